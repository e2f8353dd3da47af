"""Other work on the machine: named if rounds were disturbed, ruled out if none was."""

from __future__ import annotations

from collections.abc import Iterator

from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import Finding, RuledOut
from profkit.runs.pairing import pair_rounds
from profkit.stats.judged import ROUNDS_NEEDED

NAME = "machine"
SOURCE = "https://llvm.org/docs/Benchmarking.html"  # what to switch off on a machine that measures


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if rounds were disturbed; rule it out if the load of every round is known and none was."""
    manifests = (subject.baseline, subject.candidate)
    rounds = [[] if manifest is None else manifest.rounds for manifest in manifests]
    disturbed = [[r.disturbed for r in side if r.disturbed] for side in rounds]
    count, whole = sum(map(len, disturbed)), sum(map(len, rounds))
    if count:
        yield Finding(
            rule=NAME,
            what=f"other work on the machine disturbed {count} of {whole} rounds, {_effect(subject)}",
            certainty="observed",
            evidence=[
                f"{label}: {len(found)} of {len(side)} rounds ({found[0]})"
                for label, side, found in zip(subject.sides, rounds, disturbed, strict=True)
                if found
            ],
            advice="Stop other work (profkit machine names it), and capture more rounds.",
            source=SOURCE,
        )
    elif all(rounds) and all(r.load.other_share is not None for side in rounds for r in side):
        yield RuledOut(rule=NAME, what=f"other work on the machine: none of {whole} rounds was disturbed")


def _effect(subject: Subject) -> str:
    if subject.change.inference.no_interval == "disturbed rounds":
        return "and there are too few for an interval"
    if subject.baseline is None or subject.candidate is None:
        return "which widens the intervals"
    if max(pair_rounds(subject.baseline, subject.candidate).needed) == ROUNDS_NEEDED:
        return "which are not compared"
    return "which widens the intervals, and may slow one side more than the other"
