"""Speedups with their 95% intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.figures.points import Point, points
from profkit.report.page import Figure
from profkit.report.verdicts import DECIDED, verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison
    from profkit.comparison.records.many import Overview
    from profkit.comparison.records.parts import Judged
    from profkit.comparison.records.tune import TuneResult


def speedups(comparison: Comparison) -> Figure:
    """Draw each workload's speedup with its 95% interval."""
    found: list[tuple[str, Judged]] = [(w.name, w.inference) for w in comparison.workloads]
    if len(found) > 1:
        found.append(("geometric mean", comparison.geomean_speedup))
    return _points(found, f"speedup of {comparison.candidate.label} over {comparison.baseline.label}")


def run_speedups(overview: Overview) -> Figure:
    """Draw each run's speedup over the baseline, the geometric mean of several workloads; the fastest comes first."""
    found = [(run.label, run.geomean_speedup) for run in overview.runs if run.label != overview.baseline]
    return _points(sorted(found, key=lambda row: -(row[1].speedup or 0)), f"speedup over {overview.baseline}")


def candidate_speedups(found: TuneResult) -> Figure:
    """Draw the speedup of each candidate over the configuration as it is, and that of the recommended ones together."""
    rows = [(tried.name, tried.point.over_first) for tried in found.tried]
    if len(found.recipe.names) > 1:
        rows.append(("together", found.recipe.point.over_first))
    return _points(sorted(rows, key=lambda row: -(row[1].speedup or 0)), f"speedup over {found.baseline.label}")


def _points(found: Sequence[tuple[str, Judged]], title: str) -> Figure:
    shown = [
        Point(
            name,
            judged.speedup,
            judged.low,
            judged.high,
            _said(judged),
            judged.verdict if judged.verdict in DECIDED else "neutral",
            hollow=judged.verdict not in DECIDED,
        )
        for name, judged in found
        if judged.speedup is not None and judged.speedup > 0
    ]
    return points(shown, title, "slower", "faster")


def _said(judged: Judged) -> str:
    parts = (units.ratio(judged.speedup), units.interval(judged.low, judged.high), verdict_cell(judged.verdict).text)
    return " ".join(filter(None, parts))
