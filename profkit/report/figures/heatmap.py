"""The speedups of many runs and several workloads as a table of coloured cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from profkit import units
from profkit.report.figures import svg
from profkit.report.page import Drawing, Figure
from profkit.report.verdicts import DECIDED, bounds, verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.many import Overview, RunOverview

_PITCH = 34.0
_LEVELS = 5  # shades of a colour; the last from a factor of two on
_NARROWEST = 74.0  # pixels of a cell


class _Cell(msgspec.Struct, frozen=True):
    text: str
    kind: str
    hover: str


def heatmap(overview: Overview) -> Figure:
    """Draw the speedups of all runs and workloads; ``~`` marks those that are neither faster nor slower."""
    columns = [*overview.workloads, *(["geometric mean"] if len(overview.workloads) > 1 else [])]
    table = [(run.label, _cells(overview, run)) for run in overview.runs]
    described = "; ".join(
        f"{label}: {', '.join(f'{name} {cell.text}' for name, cell in zip(columns, cells, strict=True) if cell.text)}"
        for label, cells in table
    )
    return Figure(f"speedups over {overview.baseline}. {described}", lambda width: _draw(table, columns, width))


def _cells(overview: Overview, run: RunOverview) -> list[_Cell]:
    entries = {entry.workload: entry for entry in run.entries}
    found = []
    for name in overview.workloads:
        entry = entries.get(name)
        if entry is None:
            found.append(_Cell("", "f-wash", f"{run.label}, {name}: not captured"))
        elif run.label == overview.baseline:
            found.append(_Cell("1x", "f-wash", f"{run.label}, {name}: baseline"))
        else:
            found.append(_cell(f"{run.label}, {name}", entry.speedup, entry.low, entry.high, entry.verdict))
    if len(overview.workloads) > 1:
        mean = run.geomean_speedup
        found.append(_cell(f"{run.label}, geometric mean", *bounds(mean), mean.verdict))
    return found


def _cell(who: str, speedup: float | None, low: float | None, high: float | None, verdict: str | None) -> _Cell:
    if speedup is None or speedup <= 0:
        return _Cell("", "f-wash", f"{who}: unknown")
    words = " ".join(filter(None, (units.ratio(speedup), units.interval(low, high), verdict_cell(verdict).text)))
    if verdict not in DECIDED:
        return _Cell(("~ " if verdict is not None else "") + units.ratio(speedup), "f-wash", f"{who}: {words}")
    level = min(_LEVELS, max(1, math.ceil(_LEVELS * abs(math.log2(speedup)))))
    return _Cell(units.ratio(speedup), f"f-{verdict} k{level}", f"{who}: {words}")


def _draw(table: list[tuple[str, list[_Cell]]], columns: list[str], width: int) -> Drawing:
    left = min(svg.widest([label for label, _ in table]), 0.3 * width) + 14
    each = max(_NARROWEST, (width - left - 4) / max(1, len(columns)))
    parts = []
    for number, name in enumerate(columns):
        x = left + each * (number + 0.5)
        parts.append(svg.text(x, 18, svg.fit(name, each - 6, svg.SMALL_EM), "s", anchor="middle"))
    for row, (label, cells) in enumerate(table):
        y = 28 + _PITCH * row
        parts.append(svg.text(left - 10, y + 21, svg.fit(label, left - 14), anchor="end"))
        for number, cell in enumerate(cells):
            x = left + each * number
            parts.append(svg.rect(x + 1, y + 1, each - 2, _PITCH - 2, cell.kind, cell.hover))
            parts.append(svg.text(x + each / 2, y + 21, cell.text, "v c", anchor="middle"))
    whole = max(width, math.ceil(left + each * len(columns) + 4))
    return Drawing(whole, round(36 + _PITCH * len(table)), "".join(parts))
