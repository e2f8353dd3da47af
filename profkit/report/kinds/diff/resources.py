"""CPU time and memory beside the wall times of a comparison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.document import Cell, Column, Table
from profkit.report.verdicts import bounds, cost_cell

if TYPE_CHECKING:
    from profkit.comparison.records.diff import WorkloadChange

_SHOWN = {
    "cpu_time": ("CPU time of all threads", units.duration),
    "peak_memory": ("peak memory of the process", units.size),
}


def resources_table(change: WorkloadChange, left: str, right: str) -> Iterator[Table]:
    """Yield the table of what a forward costs beside time, if both sides recorded it."""
    if not change.resources:
        return
    columns = [Column(t, right=bool(t), flexible=not t) for t in ("", left, right, "ratio")]
    columns += [Column("95% interval", right=False), Column("", right=False, verdict=True)]
    rows = []
    for resource in change.resources:
        name, show = _SHOWN[resource.name]
        verdict = cost_cell(resource.verdict)
        speedup, low, high = bounds(resource)
        rows.append(
            [
                Cell(name),
                Cell(show(resource.baseline)),
                Cell(show(resource.candidate)),
                Cell(units.ratio(speedup), verdict.tone),
                Cell(units.interval(low, high), verdict.tone),
                verdict,
            ]
        )
    yield Table(f"{change.name}: CPU time and memory of one forward", columns, rows)
