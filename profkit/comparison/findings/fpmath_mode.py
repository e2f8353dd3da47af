"""An fpmath mode that had no effect cannot explain a change."""

from __future__ import annotations

from collections.abc import Iterator

from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import RuledOut

NAME = "fpmath mode"
_NO_EFFECT = {"accepted without effect": "had no effect", "not accepted": "was not accepted"}


def examine(subject: Subject) -> Iterator[Answer]:
    """Rule out each mode that was judged against the other side and had no effect."""
    paths = {subject.change.baseline.path: subject.sides[1], subject.change.candidate.path: subject.sides[0]}
    for verdict in subject.change.fpmath:
        if verdict.reference in paths and verdict.outcome in _NO_EFFECT:
            evidence = f": {verdict.evidence[0]}" if verdict.evidence else ""
            yield RuledOut(
                rule=NAME, what=f"{verdict.mode} in {paths[verdict.reference]} {_NO_EFFECT[verdict.outcome]}{evidence}"
            )
