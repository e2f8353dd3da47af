"""Relative values with their intervals: points around 1 on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from profkit.report.figures import axes, svg
from profkit.report.figures.rows import rows_of
from profkit.report.page import Drawing, Figure

LEAST = 1.1  # the axis reaches this far from 1 on both sides at least, so that a small change looks small


class Point(msgspec.Struct, frozen=True):
    """A named value above 0; bounds are None if unknown. A value that is no change beyond the noise is hollow."""

    name: str
    value: float
    low: float | None
    high: float | None
    said: str
    colour: str
    hollow: bool = False
    shape: str = "circle"


def points(found: Sequence[Point], title: str, below: str, above: str) -> Figure:
    """Draw values; ``below`` and ``above`` say what a value on either side of 1 means."""
    described = "; ".join(f"{point.name}: {point.said}" for point in found) or "no value is known"
    return Figure(f"{title}. {described}", lambda width: _draw(found, width, title, below, above))


def _draw(found: Sequence[Point], width: int, title: str, below: str, above: str) -> Drawing:
    rows = rows_of(width, [point.name for point in found], [point.said for point in found], top=30.0)
    ends = [end for point in found for end in (point.low, point.value, point.high) if end is not None and end > 0]
    axis = axes.around(min([1 / LEAST, *ends]), max([LEAST, *ends]), rows.left, rows.right, is_log=True)
    bottom = rows.bottom(len(found)) + 4
    parts = [axes.horizontal(axis, 24, bottom, title)]
    one = axis.at(1.0)
    parts.append(svg.line(one, 24, one, bottom, "one"))
    for words, x, anchor in ((f"← {below}", one - 8, "end"), (f"{above} →", one + 8, "start")):
        room = x - 4 if anchor == "end" else width - x - 4
        parts.append(svg.text(x, 14, svg.fit(words, room, svg.SMALL_EM), "s", anchor=anchor))
    for row, point in enumerate(found):
        y = rows.middle(row)
        hover = f"{point.name}: {point.said}"
        if point.low is not None and point.high is not None and point.low > 0:
            left, right = axis.at(point.low), axis.at(point.high)
            parts.append(svg.line(left, y, right, y, f"l-{point.colour}", hover))
            parts += [svg.line(x, y - 5, x, y + 5, f"l-{point.colour}") for x in (left, right)]
        kind = f"hollow l-{point.colour}" if point.hollow else f"f-{point.colour} edge"
        parts.append(svg.marker(point.shape, axis.at(point.value), y, 11, kind, hover))
        parts.append(rows.words(row, point.name, point.said))
    return Drawing(width, round(bottom + 44), "".join(parts))
