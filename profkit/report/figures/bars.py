"""Times as bars from zero, one or several to a row."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from profkit import units
from profkit.report.figures import axes, svg
from profkit.report.figures.rows import legend, rows_of
from profkit.report.page import Drawing, Figure

_THICK = 16.0
_GAP = 2.0


class BarRow(msgspec.Struct, frozen=True):
    """A name and its times in ns, one per entry of the legend."""

    name: str
    times_ns: Sequence[float]


def bars(found: Sequence[BarRow], colours: Sequence[tuple[str, str]], title: str) -> Figure:
    """Draw times; ``colours`` are pairs of a colour and what it means, one per time of a row."""
    described = "; ".join(f"{row.name}: {_said(row)}" for row in found) or "no time is known"
    return Figure(f"{title}. {described}", lambda width: _draw(found, colours, width, title))


def _said(row: BarRow) -> str:
    return " → ".join(units.duration(ns) if ns else units.NOTHING for ns in row.times_ns)


def _draw(found: Sequence[BarRow], colours: Sequence[tuple[str, str]], width: int, title: str) -> Drawing:
    several = len(colours) > 1
    top = 34.0 if several else 8.0
    thick = _THICK if not several else 11.0
    pitch = len(colours) * (thick + _GAP) + 12
    rows = rows_of(width, [row.name for row in found], [_said(row) for row in found], top=top, pitch=pitch)
    unit, name = axes.time_unit(max((max(row.times_ns) for row in found), default=1.0))
    axis = axes.from_zero(max((max(row.times_ns) for row in found), default=unit) / unit, rows.left, rows.right)
    bottom = rows.bottom(len(found)) + 4
    parts = [axes.horizontal(axis, top, bottom, f"{title} ({name})")]
    if several:
        parts.append(
            legend(rows.left, 16, [(f"f-{colour}", words) for colour, words in colours], room=width - rows.left)
        )
    for number, row in enumerate(found):
        y = rows.middle(number) - (len(colours) * (thick + _GAP) - _GAP) / 2
        for (colour, words), ns in zip(colours, row.times_ns, strict=True):
            hover = f"{row.name}{f', {words}' * several}: {units.duration(ns) if ns else 'none'}"
            length = axis.at(ns / unit) - rows.left
            parts.append(svg.rect(rows.left, y, max(length, 1.5 if ns else 0.0), thick, f"f-{colour}", hover))
            y += thick + _GAP
        parts.append(rows.words(number, row.name, _said(row)))
    parts.append(svg.line(rows.left, top, rows.left, bottom, "axis"))
    return Drawing(width, round(bottom + 44), "".join(parts))
