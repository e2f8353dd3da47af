"""The parts that several results share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from profkit.quantities import Amount, Count
from profkit.stats.judged import Judged, Verdict

if TYPE_CHECKING:
    from profkit.trace.operators import Key
    from profkit.trace.options import By

__all__ = [
    "HasPlace",
    "InputDims",
    "Judged",
    "Latency",
    "Module",
    "Record",
    "SideName",
    "Stack",
    "TimeInterval",
    "Verdict",
    "place_fields",
]

SideName = Literal["baseline", "candidate"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records of results: immutable; unknown fields are ignored, so that newer files still read."""


InputDims = Annotated[str | None, Meta(description="input shapes as JSON text, with --by shape; else null")]
Module = Annotated[str | None, Meta(description="path of nn.Module frames, with --by module; else null")]
Stack = Annotated[str | None, Meta(description="Python call stack, innermost last, with --by stack; else null")]


class HasPlace:
    """Mixin of the records that tell apart rows of one operator name; they declare the three fields."""

    __slots__ = ()
    input_dims: str | None
    module: str | None
    stack: str | None

    @property
    def place(self) -> str | None:
        """The one of the three that is known."""
        return self.input_dims or self.module or self.stack


def place_fields(by: By, key: Key) -> dict[str, Any]:
    """Return the fields of a record that tell its row apart from others of its operator's name."""
    return {} if by == "name" else {"input_dims" if by == "shape" else by: key[1]}


class TimeInterval(Record, frozen=True, kw_only=True):
    """The 95% interval of a time on one side: Student's t on the logarithms of its rounds' times.

    It covers how the rounds of this side differ, and for a profiled time what the clock can hide.
    """

    low_ns: Annotated[Amount, Meta(description="lower bound (ns)")]
    high_ns: Annotated[Amount, Meta(description="upper bound (ns)")]


class Latency(Record, frozen=True, kw_only=True):
    """The wall time of one forward. A percentile is the geometric mean over rounds of each round's percentile."""

    p50_ns: Annotated[Amount, Meta(description="median (ns)")]
    p90_ns: Annotated[Amount | None, Meta(description="90th percentile (ns); null with too few forwards")]
    p99_ns: Annotated[Amount | None, Meta(description="99th percentile (ns); null with too few forwards")]
    mean_ns: Annotated[Amount, Meta(description="mean over all forwards (ns)")]
    n: Annotated[Count, Meta(description="number of forwards")]
    p50_interval: Annotated[TimeInterval | None, Meta(description="of the median; null with a single round")] = None
    p90_interval: Annotated[
        TimeInterval | None, Meta(description="of the 90th percentile; null with a single round")
    ] = None
    p99_interval: Annotated[
        TimeInterval | None, Meta(description="of the 99th percentile; null with a single round")
    ] = None
