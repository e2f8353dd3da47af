"""The two sides of a comparison, as figures name and colour them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Samples, WorkloadChange


def sides(change: WorkloadChange) -> list[tuple[str, Samples | None, str]]:
    """Return label, samples and colour of the baseline and the candidate."""
    return [
        (change.baseline.label, change.baseline_samples, "baseline"),
        (change.candidate.label, change.candidate_samples, "candidate"),
    ]


def rounds_of(samples: Samples | None, *, unprofiled: bool) -> list[list[int]]:
    """Return the wall times in ns, a list per round; empty if the result holds none."""
    if samples is None:
        return []
    return samples.latency_ns if unprofiled else samples.forward_ns
