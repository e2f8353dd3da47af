"""What a comparison found and ruled out: a part of ``diff/2``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.parts import Record
from profkit.quantities import Change

Certainty = Literal["shown", "observed"]


class Finding(Record, frozen=True, kw_only=True):
    """One thing that differs between the sides and can explain a change, or needs attention."""

    rule: Annotated[str, Meta(description="name of the rule that found it")]
    what: Annotated[str, Meta(description="the finding in one sentence")]
    delta_ns: Annotated[
        Change | None, Meta(description="candidate - baseline, time per forward (ns); null if it is not a time")
    ] = None
    certainty: Annotated[
        Certainty,
        Meta(description="shown: by a verdict beyond noise; observed: read from records of one pass, without interval"),
    ]
    evidence: Annotated[list[str], Meta(description="the rows, primitives and counters that it rests on, in words")]
    advice: Annotated[str, Meta(description="what to do; empty if there is nothing to do")] = ""
    source: Annotated[str, Meta(description="where the advice is documented (URL); empty if it is profkit's own")] = ""


class RuledOut(Record, frozen=True, kw_only=True):
    """A possible cause that the evidence speaks against."""

    rule: Annotated[str, Meta(description="name of the rule that ruled it out")]
    what: Annotated[str, Meta(description="the cause and the evidence against it, in one sentence")]
