"""The change of the mean forward as a waterfall: from the baseline, part by part, to the candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profkit.compare.records.diff import WorkloadChange

NAMED = 5  # operators with a step of their own
WIDTH = 22  # characters


@dataclass(frozen=True, slots=True)
class Step:
    """One bar, from ``start_ns`` to ``end_ns`` of the mean forward."""

    name: str
    start_ns: float
    end_ns: float

    @property
    def delta_ns(self) -> float:
        return self.end_ns - self.start_ns


def steps(change: WorkloadChange, named: int = NAMED) -> list[Step]:
    """Return the bars: the whole baseline, the parts, the largest first, the whole candidate."""
    shares = change.attribution.operators
    parts = [(f"{share.name} {share.place or ''}".rstrip(), share.delta_ns) for share in shares[:named]]
    if shares[named:]:
        count = len(shares) - named
        parts.append((f"{count} other operator{'s' * (count != 1)}", sum(share.delta_ns for share in shares[named:])))
    parts.append(("outside operators", change.attribution.outside_operators_ns))
    at: float = change.attribution.baseline_ns
    found = [Step(change.baseline.label, 0, at)]
    for name, delta_ns in parts:
        found.append(Step(name, at, at + delta_ns))
        at += delta_ns
    return [*found, Step(change.candidate.label, 0, at)]


def draw(bars: Sequence[Step], width: int = WIDTH) -> list[str]:
    """Draw the bars in characters, on one scale; a part too small for a character is a thin line."""
    longest = max((max(bar.start_ns, bar.end_ns) for bar in bars), default=0) or 1
    drawn = []
    for bar in bars:
        low, high = sorted(max(0.0, ns) / longest * width for ns in (bar.start_ns, bar.end_ns))
        begin, end = round(low), round(high)
        drawn.append(" " * min(begin, width - 1) + ("█" * (end - begin) or "▏"))
    return drawn
