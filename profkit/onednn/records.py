"""Sums over oneDNN's log as records of results. They are apart because reading a log takes more imports."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from profkit.quantities import Amount, Count

STRICT = "fp32"


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over one part of a log: ``cold`` before the traced forwards, ``warm`` in them."""

    calls: Annotated[Count, Meta(description="number of executions")]
    exec_ns: Annotated[Count, Meta(description="execution time (ns)")]
    reorders: Annotated[Count, Meta(description="number of executions of reorders")]
    reorder_ns: Annotated[Count, Meta(description="execution time of reorders (ns)")]
    weights_reorders: Annotated[Count, Meta(description="number of executions of reorders of weights")]
    weights_reorder_ns: Annotated[Count, Meta(description="execution time of reorders of weights (ns)")]
    cache_hits: Annotated[Count, Meta(description="number of primitives created from a cache")]
    cache_misses: Annotated[Count, Meta(description="number of primitives created without a cache")]
    create_ns: Annotated[Count, Meta(description="time to create primitives (ns)")]


class RepeatedReorder(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that every warm forward reorders."""

    problem: Annotated[str, Meta(description="dimensions of the weights")]
    implementation: Annotated[str, Meta(description="implementation of the reorder")]
    calls: Annotated[Amount, Meta(description="executions per forward")]
    exec_ns: Annotated[Amount, Meta(description="execution time per forward (ns)")]


class PrimitiveUse(msgspec.Struct, frozen=True, kw_only=True):
    """A primitive that ran in an operator, per forward."""

    kind: Annotated[str, Meta(description="primitive kind")]
    implementation: Annotated[str, Meta(description="implementation")]
    fpmath: Annotated[str, Meta(description="fpmath mode")]
    calls: Annotated[Amount, Meta(description="executions per forward")]
    exec_ns: Annotated[Amount, Meta(description="execution time per forward (ns)")]
