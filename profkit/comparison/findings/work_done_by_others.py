"""Operators whose work other operators do on the other side, such as a fallback from oneDNN."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.diff import CallPath
from profkit.comparison.records.findings import Finding
from profkit.shortening import LONGEST_NAME, listed, shorten

NAME = "other implementation of an operator"
_ONEDNN = ("mkldnn", "onednn")  # parts of the names of PyTorch's operators that call oneDNN


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding per operator that is implemented by others, if its time changed by a part that matters."""
    for found in subject.change.implementations:
        delta_ns = found.candidate.total_host_ns - found.baseline.total_host_ns
        if not subject.matters(delta_ns):
            continue
        before, after = _path(found.baseline), _path(found.candidate)
        left = _uses_onednn(found.baseline) and not _uses_onednn(found.candidate)
        yield Finding(
            rule=NAME,
            what=f"{shorten(found.operator, LONGEST_NAME)} is done by {after}, and was done by {before}"
            + (": it no longer runs in oneDNN" if left else ""),
            delta_ns=delta_ns,
            certainty="observed",
            evidence=[
                f"{found.calls} call{'s' * (found.calls != 1)}: {units.duration(found.baseline.total_host_ns)} → "
                f"{units.duration(found.candidate.total_host_ns)} per forward"
            ],
            advice="Look at the shapes with --by shape." if delta_ns > 0 else "",
        )


def _path(way: CallPath) -> str:
    return listed(way.path).replace(", ", " → ") or "itself"


def _uses_onednn(way: CallPath) -> bool:
    return any(part in name for name in way.path for part in _ONEDNN)
