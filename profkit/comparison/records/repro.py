"""One operator alone under two versions (schema ``repro/1``)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.parts import Judged, Record
from profkit.quantities import Amount, Count

Outcome = Literal["reproduces", "only in context", "no change", "inconclusive"]
"""``reproduces``: the operator alone changes in the same direction as in the model. ``only in context``: it changes in
the model, and alone it does not. ``no change``: neither is shown to change. ``inconclusive``: the data cannot tell."""


class ReproSide(Record, frozen=True, kw_only=True):
    """One version."""

    label: Annotated[str, Meta(description="label of its run")]
    torch: Annotated[str, Meta(description="version of PyTorch")]
    onednn: Annotated[str | None, Meta(description="version of its oneDNN; null if unknown")]
    context_ns: Annotated[Amount | None, Meta(description="host time of a call in the model (ns); null if unknown")]
    alone_ns: Annotated[Amount, Meta(description="time of a call alone (ns): geometric mean of the rounds' medians")]
    variables: Annotated[dict[str, str], Meta(description="environment variables of the recorded run")]
    benchdnn: Annotated[list[str], Meta(description="benchdnn commands for the oneDNN primitives of the operator")]


class ReproResult(Record, frozen=True, kw_only=True):
    """Whether a change of an operator shows when it runs alone."""

    schema: Annotated[Literal["repro/1"], Meta(description="schema of this document")] = "repro/1"
    operator: Annotated[str, Meta(description="operator name")]
    shape: Annotated[str, Meta(description="shapes of its tensors, as JSON")]
    types: Annotated[list[str], Meta(description="types of its inputs, as the trace names them")]
    values: Annotated[list[str], Meta(description="values of the inputs that are no tensors; empty texts for tensors")]
    threads: Annotated[Count | None, Meta(description="intra-op threads; null if PyTorch chose them")]
    host: Annotated[str, Meta(description="the machine on which the operator ran alone")]
    rounds: Annotated[Count, Meta(description="processes of each version")]
    sides: Annotated[list[ReproSide], Meta(description="baseline and candidate", min_length=2, max_length=2)]
    context: Annotated[Judged, Meta(description="the operator's calls of this shape in the model")]
    alone: Annotated[Judged, Meta(description="the operator alone, by turns")]
    outcome: Annotated[Outcome, Meta(description="what both together say")]
    script: Annotated[str, Meta(description="the script that timed it")]
    warnings: Annotated[list[str], Meta(description="what to know before relying on the figures")] = []
