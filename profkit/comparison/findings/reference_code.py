"""oneDNN's reference implementations, which are not optimized, in place of optimized ones."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.diff import PrimitiveChange, PrimitiveTimes
from profkit.comparison.records.findings import Finding
from profkit.shortening import LONGEST_NAME, shorten

NAME = "reference implementations"
SHOWN = 3
SOURCE = "https://oneapi-src.github.io/oneDNN/dev_guide_verbose.html"


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if problems run in reference code on one side only."""
    primitives = subject.change.primitives
    moved = [
        problem
        for problem in (primitives.problems if primitives else [])
        if problem.baseline
        and problem.candidate
        and _is_reference(problem.baseline) != _is_reference(problem.candidate)
    ]
    delta_ns = sum(problem.delta_ns for problem in moved)
    if not moved or not subject.matters(delta_ns):
        return
    worse = delta_ns > 0
    largest = sorted(moved, key=lambda problem: -abs(problem.delta_ns))[:SHOWN]
    evidence = [_in_words(problem) for problem in largest]
    yield Finding(
        rule=NAME,
        what=f"{len(moved)} oneDNN problem{'s' * (len(moved) != 1)} ran in a reference implementation in "
        f"{subject.sides[1 if worse else 0]}, and in an optimized one in {subject.sides[0 if worse else 1]}",
        delta_ns=delta_ns,
        certainty="observed",
        evidence=evidence,
        advice="Capture a log with ONEDNN_VERBOSE=all: profkit onednn lists why the optimized ones were not chosen."
        if worse
        else "",
        source=SOURCE if worse else "",
    )


def _is_reference(times: PrimitiveTimes) -> bool:
    """Whether the implementation with the most time is reference code (``gemm:ref``, ``simple_nchw:any``)."""
    return any(part.startswith(("ref", "simple")) for part in _first(times).split(":"))


def _first(times: PrimitiveTimes | None) -> str:
    return times.implementations[0] if times and times.implementations else "none"


def _in_words(change: PrimitiveChange) -> str:
    ways = f"{_first(change.baseline)} → {_first(change.candidate)}"
    return f"{change.kind} {shorten(change.problem, LONGEST_NAME)}: {ways} {units.signed_duration(change.delta_ns)}"
