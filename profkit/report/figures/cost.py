"""Relative costs and relative 90th percentiles, as points with intervals around the baseline at 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from profkit import units
from profkit.report.cost_sentences import UNVERIFIED, names_of
from profkit.report.escape import markup
from profkit.report.figures.style import BASELINE, CATEGORIES, FASTER, PLAIN, SLOWER, axis_labels, layout_of, short
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.compare.records.cost import CostReport, Relative, RunCost

_COLOURS = {"cheaper": FASTER, "faster": FASTER, "more expensive": SLOWER, "slower": SLOWER}
_PUBLISHED = "diamond-open"


class _Point(msgspec.Struct, frozen=True):
    name: str
    value: float
    low: float | None
    high: float | None
    colour: str
    symbol: str = "circle"


def relative_costs(report: CostReport) -> Figure:
    """Draw the cost per million inferences of each run and workload, and their geometric mean, relative to 1.

    A star marks those of an unverified price.
    """
    found = _points(report, "cost", marked=True)
    found += [
        _Point(f"{entry.name}, published", entry.relative, None, None, PLAIN, _PUBLISHED)
        for entry in report.published
        if entry.relative is not None
    ]
    unverified = any(not run.price.verified for run in report.runs)
    return _figure(found, ["cost per million inferences", _one(report) + f"; * {UNVERIFIED} price" * unverified])


def relative_p90s(report: CostReport) -> Figure:
    """Draw the 90th percentile of each run and workload relative to 1."""
    return _figure(_points(report, "p90", marked=False), ["p90 latency", _one(report)])


def _one(report: CostReport) -> str:
    return f"{short(names_of(report.runs).get(report.baseline, report.baseline))} = 1"


def _points(report: CostReport, field: str, *, marked: bool) -> list[_Point]:
    """Return a point per run and workload, workload by workload; then one per mean, if there are several."""
    names = names_of(report.runs)
    found: list[_Point] = []
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


def _point(name: str, judged: Relative | None, run: RunCost, report: CostReport) -> list[_Point]:
    if judged is None or judged.relative is None:
        return []
    verdict = getattr(judged, "verdict", None) or ""
    colour = BASELINE if run.label == report.baseline else _COLOURS.get(verdict, PLAIN)
    return [_Point(name, judged.relative, judged.low, judged.high, colour)]


def _figure(points: Sequence[_Point], title: Sequence[str]) -> Figure:
    """Draw points with their intervals; ``title`` is what the axis shows, line by line."""
    names = axis_labels([point.name for point in points])
    named = list(zip(names, points, strict=True))
    with_interval = [(name, point) for name, point in named if point.low is not None and point.high is not None]
    without = [(name, point) for name, point in named if point.low is None or point.high is None]
    layout = layout_of("<br>".join(map(markup, title)), height=130 + 40 * max(1, len(points)))
    layout["yaxis"] |= CATEGORIES | {"categoryorder": "array", "categoryarray": names}
    line = {"color": "#888", "width": 1, "dash": "dot"}
    layout["shapes"] = [{"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": line}]
    bars = {
        "type": "data",
        "symmetric": False,
        "color": "#555",
        "thickness": 1.5,
        "array": [(point.high or 0.0) - point.value for _, point in with_interval],
        "arrayminus": [point.value - (point.low or 0.0) for _, point in with_interval],
    }
    # a point without an interval would get a bar of no length, which looks like one that is known exactly
    return {"data": [_markers(with_interval) | {"error_x": bars}, _markers(without)], "layout": layout}


def _markers(named: Sequence[tuple[str, _Point]]) -> Figure:
    points = [point for _, point in named]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [point.value for point in points],
        "y": [name for name, _ in named],
        "marker": {
            "size": 11,
            "color": [point.colour for point in points],
            "symbol": [point.symbol for point in points],
        },
        "text": [units.ratio(point.value)[:-1] for point in points],
        "textposition": "top center",
        "cliponaxis": False,
        "hovertext": [
            f"{units.ratio(point.value)[:-1]} {units.interval(point.low, point.high)}".rstrip() for point in points
        ],
        "hovertemplate": "%{y}: %{hovertext}<extra></extra>",
    }
