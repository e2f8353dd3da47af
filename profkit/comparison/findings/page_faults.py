"""Page faults: memory that is given back to the system and faulted in again in every forward."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import Finding
from profkit.runs.manifest import Manifest

NAME = "page faults"
MANY = 500  # per forward: at about 0.5 µs each, a quarter of a millisecond
FACTOR = 2.0  # between the sides
SOURCE = "https://github.com/pytorch/pytorch/commit/5a4f1363409f70865634332c0b5284555ea1cb24"  # says when it pays


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if one side has many page faults per forward, and several times as many as the other."""
    found = [_per_forward(manifest) for manifest in (subject.baseline, subject.candidate)]
    before, after = found
    if before is None or after is None or max(before, after) < MANY or max(before, after) < FACTOR * min(before, after):
        return
    more = after > before
    yield Finding(
        rule=NAME,
        what=f"{subject.sides[1 if more else 0]} has more page faults in every forward",
        certainty="observed",
        evidence=[f"page faults {units.count(before)} → {units.count(after)} per forward (median)"],
        advice="Try --env THP_MEM_ALLOC_ENABLE=1 (needs transparent huge pages), or another allocator." if more else "",
        source=SOURCE if more else "",
    )


def _per_forward(manifest: Manifest | None) -> float | None:
    """Return the median number of minor page faults of a latency forward; None if they were not counted."""
    counts = [count for r in manifest.rounds for count in r.counters.minor_faults] if manifest is not None else []
    return float(statistics.median(counts)) if counts else None
