"""The time of oneDNN primitives before and after, by implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit.errors import UsageError
from profkit.report.figures.bars import BarRow, bars
from profkit.report.figures.rows import NAMED
from profkit.report.figures.sides import sides
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.comparison.records.diff import WorkloadChange


def primitives(change: WorkloadChange) -> Figure:
    """Draw oneDNN's time per warm forward by implementation, before and after."""
    found = change.primitives
    if found is None:
        raise UsageError(f"{change.name} has no primitives", hint="Both sides need a oneDNN log: capture them again.")
    sums: dict[str, list[float]] = {}
    for problem in found.problems:
        for k, times in enumerate((problem.baseline, problem.candidate)):
            if times is not None:
                mode = "" if times.fpmath == "fp32" else f" {times.fpmath}"
                name = f"{problem.kind} {', '.join(times.implementations)}{mode}"
                sums.setdefault(name, [0.0, 0.0])[k] += times.exec_ns
    names = sorted(sums, key=lambda name: -max(sums[name]))[:NAMED]
    colours = [(colour, label) for label, _, colour in sides(change)]
    return bars([BarRow(name, sums[name]) for name in names], colours, "oneDNN per warm forward, under its log")
