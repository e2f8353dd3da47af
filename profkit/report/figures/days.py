"""Counts by day as vertical bars."""

from __future__ import annotations

from collections.abc import Mapping

from profkit.report.figures import axes, svg
from profkit.report.page import Drawing, Figure

_HEIGHT = 260
_LEFT, _TOP, _BOTTOM = 56.0, 34.0, 222.0
MOST = 120  # days that have room


def day_bars(counts: Mapping[str, int], what: str) -> Figure:
    """Draw the number of things of each day; the last ``MOST`` days that have any."""
    shown = list(counts.items())[-MOST:]
    described = "; ".join(f"{day}: {count}" for day, count in shown)
    return Figure(f"{what} by day. {described}", lambda width: _draw(shown, what, width))


def _draw(shown: list[tuple[str, int]], what: str, width: int) -> Drawing:
    right = width - 8.0
    axis = axes.from_zero(max((count for _, count in shown), default=1), _BOTTOM, _TOP)
    parts = [axes.vertical(axis, _LEFT, right, what)]
    pitch = (right - _LEFT) / max(1, len(shown))
    for place, (day, count) in enumerate(shown):
        x, y = _LEFT + pitch * place, axis.at(count)
        parts.append(svg.rect(x + 0.1 * pitch, y, min(0.8 * pitch, 40), _BOTTOM - y, "f-neutral", f"{day}: {count}"))
    parts.append(svg.line(_LEFT, _BOTTOM, right, _BOTTOM, "axis"))
    for x, day, anchor in ((_LEFT, shown[0][0], "start"), (right, shown[-1][0], "end"))[: min(2, len(shown))]:
        parts.append(svg.text(x, _BOTTOM + 20, day, "s", anchor=anchor))
    return Drawing(width, _HEIGHT, "".join(parts))
