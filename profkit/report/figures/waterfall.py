"""The change of the mean forward as a waterfall: from the baseline, part by part, to the candidate.

Drawn as a plotly figure and, for text reports, in characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from profkit import units
from profkit.report.figures.style import CATEGORIES, FASTER, NAMED, PLAIN, SLOWER, axis_labels, layout_of
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.compare.records.diff import WorkloadChange

NAMED_IN_TEXT = 5  # operators with a step of their own in a text report
WIDTH = 22  # characters


class Step(msgspec.Struct, frozen=True):
    """One bar, from ``start_ns`` to ``end_ns`` of the mean forward."""

    name: str
    start_ns: float
    end_ns: float

    @property
    def delta_ns(self) -> float:
        """What this bar adds to the mean forward, in ns."""
        return self.end_ns - self.start_ns


def steps(change: WorkloadChange, named: int = NAMED_IN_TEXT) -> list[Step]:
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


def waterfall(change: WorkloadChange) -> Figure:
    """Draw the change of the mean forward, part by part."""
    bars = steps(change, NAMED)
    names = [change.baseline.label, *(bar.name for bar in bars[1:-1]), change.candidate.label]
    ms = [bars[0].end_ns / 1e6, *(bar.delta_ns / 1e6 for bar in bars[1:-1]), bars[-1].end_ns / 1e6]
    texts = [units.duration(bars[0].end_ns), *(units.signed_duration(b.delta_ns) for b in bars[1:-1])]
    data = {
        "type": "waterfall",
        "orientation": "h",
        "measure": ["absolute", *["relative"] * (len(bars) - 2), "total"],
        "y": axis_labels(names),
        "x": ms,
        "text": [*texts, units.duration(bars[-1].end_ns)],
        "textposition": "outside",
        "cliponaxis": False,
        "decreasing": {"marker": {"color": FASTER}},
        "increasing": {"marker": {"color": SLOWER}},
        "totals": {"marker": {"color": PLAIN}},
        "connector": {"line": {"width": 1, "color": PLAIN}},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = layout_of("mean forward, profiled (ms)", height=120 + 32 * len(bars))
    layout["yaxis"] |= CATEGORIES
    return {"data": [data], "layout": layout}
