"""The change of the mean forward as a waterfall: from the baseline, part by part, to the candidate.

Drawn as a picture and, for text reports, in characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from profkit import units
from profkit.report.figures import axes, svg
from profkit.report.figures.rows import NAMED, rows_of
from profkit.report.page import Drawing, Figure

if TYPE_CHECKING:
    from profkit.comparison.records.diff import WorkloadChange

NAMED_IN_TEXT = 5  # operators with a step of their own in a text report
WIDTH = 22  # characters
CUT = 0.3  # of the longest forward: below this the change fills most of an axis from 0 anyway


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
    """Draw the change of the mean forward, part by part, on an axis that is cut to the change."""
    bars = steps(change, NAMED)
    described = "; ".join(f"{bar.name}: {said}" for bar, said in zip(bars, _texts(bars), strict=True))
    return Figure(f"mean forward under the profiler. {described}", lambda width: _draw(bars, width))


def _texts(bars: Sequence[Step]) -> list[str]:
    parts = [units.signed_duration(bar.delta_ns) for bar in bars[1:-1]]
    return [units.duration(bars[0].end_ns), *parts, units.duration(bars[-1].end_ns)]


def _draw(bars: Sequence[Step], width: int) -> Drawing:
    said = _texts(bars)
    rows = rows_of(width, [bar.name for bar in bars], said)
    edges = [bars[0].end_ns, *(bar.end_ns for bar in bars[1:-1]), bars[-1].end_ns]
    unit, name = axes.time_unit(max(edges))
    low, high = min(edges) / unit, max(edges) / unit
    is_cut = low > CUT * high
    axis = axes.around(low, high, rows.left, rows.right) if is_cut else axes.from_zero(high, rows.left, rows.right)
    if not is_cut and low < 0:
        axis = axes.around(low, high, rows.left, rows.right)
    bottom = rows.bottom(len(bars)) + 4
    title = f"mean forward, profiled ({name})" + ", axis not from 0" * is_cut
    parts = [axes.horizontal(axis, rows.top, bottom, title)]
    for row, (bar, words) in enumerate(zip(bars, said, strict=True)):
        is_end = row in (0, len(bars) - 1)
        y = rows.middle(row)
        start = rows.left if is_end else axis.at(bar.start_ns / unit)
        left, right = sorted((start, axis.at(bar.end_ns / unit)))
        change = "faster" if bar.delta_ns < 0 else "slower"
        colour = ("baseline" if row == 0 else "candidate") if is_end else change
        parts.append(svg.rect(left, y - 8, max(1.5, right - left), 16, f"f-{colour}", f"{bar.name}: {words}"))
        if is_cut and is_end:  # a gap in the bar says that it begins further to the left
            parts += [
                svg.path([(rows.left + x, y + 10), (rows.left + x + 6, y - 10)], "one hollow l-wash") for x in (8, 13)
            ]
        if row < len(bars) - 1:
            x = axis.at(bar.end_ns / unit)
            parts.append(svg.line(x, y + 8, x, rows.middle(row + 1) - 8, "axis dot"))
        parts.append(
            rows.words(row, bar.name, words, "v b" if is_end else f"v f-{change}", name_kind="b" if is_end else "")
        )
    return Drawing(width, round(bottom + 44), "".join(parts))
