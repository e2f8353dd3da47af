"""Conversions of data types and layouts that appeared: copies that the other side does not make."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import Finding

NAME = "copies and conversions"
COPIES = ("aten::copy_", "aten::_to_copy", "aten::to", "aten::contiguous", "aten::clone")


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if copies are called more often, and take more time by a part of the forward that matters."""
    rows = [o for o in subject.change.operators if o.name in COPIES and o.judged_on == "self"]
    more = [o for o in rows if (o.candidate.calls if o.candidate else 0) > (o.baseline.calls if o.baseline else 0)]
    delta_ns = sum(o.delta_ns for o in more)
    if not more or delta_ns <= 0 or not subject.matters(delta_ns):
        return
    yield Finding(
        rule=NAME,
        what=f"{subject.sides[1]} copies or converts tensors more often",
        delta_ns=delta_ns,
        certainty="shown" if all(o.verdict in ("slower", "added") for o in more) else "observed",
        evidence=[
            f"{o.name}: {units.count(o.baseline.calls if o.baseline else 0)} → "
            f"{units.count(o.candidate.calls if o.candidate else 0)} calls, {units.signed_duration(o.delta_ns)}"
            for o in more
        ],
        advice="Look at which tensors with --by shape, and keep one data type and memory format through the model.",
    )
