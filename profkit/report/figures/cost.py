"""Relative costs and relative 90th percentiles, as points with intervals around the baseline at 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit import units
from profkit.report.cost_sentences import UNVERIFIED, names_of
from profkit.report.figures.points import Point, points
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.comparison.records.cost import CostReport, Relative, RunCost

_COLOURS = {"cheaper": "faster", "faster": "faster", "more expensive": "slower", "slower": "slower"}


def relative_costs(report: CostReport) -> Figure:
    """Draw the cost per million inferences of each run and workload, and their geometric mean, relative to 1.

    A star marks those of an unverified price.
    """
    found = _points(report, "cost", marked=True)
    found += [
        Point(
            f"{entry.name}, published",
            entry.relative,
            None,
            None,
            units.ratio(entry.relative)[:-1],
            "neutral",
            hollow=True,
            shape="diamond",
        )
        for entry in report.published
        if entry.relative
    ]
    unverified = any(not run.price.verified for run in report.runs)
    title = f"cost per million inferences; {_one(report)}" + f"; * {UNVERIFIED} price" * unverified
    return points(found, title, "cheaper", "more expensive")


def relative_p90s(report: CostReport) -> Figure:
    """Draw the 90th percentile of each run and workload relative to 1."""
    return points(_points(report, "p90", marked=False), f"p90 latency; {_one(report)}", "faster", "slower")


def _one(report: CostReport) -> str:
    return f"{names_of(report.runs).get(report.baseline, report.baseline)} = 1"


def _points(report: CostReport, field: str, *, marked: bool) -> list[Point]:
    """Return a point per run and workload, workload by workload; then one per mean, if there are several."""
    names = names_of(report.runs)
    found: list[Point] = []
    for workload in report.workloads:
        many = f", {workload}" if len(report.workloads) > 1 else ""
        for run in report.runs:
            entry = next((entry for entry in run.entries if entry.workload == workload), None)
            if entry is not None:
                found += _point(_axis_name(run, names, marked=marked) + many, getattr(entry, field), run, report)
    if field == "cost" and len(report.shared) > 1:
        for run in report.runs:
            found += _point(f"{_axis_name(run, names, marked=marked)}, geometric mean", run.mean, run, report)
    return found


def _axis_name(run: RunCost, names: dict[str, str], *, marked: bool) -> str:
    """Return what a run is called; the mark is in front, because a long name loses its end."""
    return f"* {names[run.label]}" if marked and not run.price.verified else names[run.label]


def _point(name: str, judged: Relative | None, run: RunCost, report: CostReport) -> list[Point]:
    if judged is None or not judged.relative:
        return []
    verdict = getattr(judged, "verdict", None) or ""
    is_baseline = run.label == report.baseline
    colour = "baseline" if is_baseline else _COLOURS.get(verdict, "neutral")
    said = f"{units.ratio(judged.relative)[:-1]} {units.interval(judged.low, judged.high)}".rstrip()
    hollow = not is_baseline and verdict not in _COLOURS
    return [Point(name, judged.relative, judged.low, judged.high, said, colour, hollow)]
