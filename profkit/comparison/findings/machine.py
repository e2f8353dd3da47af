"""Other work on the machine: ruled out if no round was disturbed. Disturbed rounds are named by a warning."""

from __future__ import annotations

from collections.abc import Iterator

from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import RuledOut

NAME = "machine"


def examine(subject: Subject) -> Iterator[Answer]:
    """Rule out other work on the machine if the load of every round is known, and none was disturbed."""
    manifests = (subject.baseline, subject.candidate)
    rounds = [round_ for manifest in manifests if manifest is not None for round_ in manifest.rounds]
    known = all(manifest is not None for manifest in manifests) and all(r.load.other_share is not None for r in rounds)
    if rounds and known and not any(r.disturbed for r in rounds):
        yield RuledOut(rule=NAME, what=f"other work on the machine: none of {len(rounds)} rounds was disturbed")
