"""Speedups with their 95% intervals as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.escape import markup
from profkit.report.figures.style import CATEGORIES, FASTER, PLAIN, SLOWER, axis_labels, layout_of
from profkit.report.page import Figure
from profkit.report.verdicts import bounds

if TYPE_CHECKING:
    from profkit.compare.records.diff import Comparison
    from profkit.compare.records.many import Overview


def speedups(comparison: Comparison) -> Figure:
    """Draw each workload's speedup with its 95% interval."""
    found = [(w.name, *bounds(w.inference)) for w in comparison.workloads]
    if len(found) > 1:
        found.append(("geometric mean", *bounds(comparison.geomean_speedup)))
    return _bars(found, f"speedup of {comparison.candidate.label} over {comparison.baseline.label}")


def run_speedups(overview: Overview) -> Figure:
    """Draw each run's speedup over the baseline, the geometric mean of several workloads, with its interval."""
    found = [(run.label, *bounds(run.geomean_speedup)) for run in overview.runs if run.label != overview.baseline]
    return _bars(found, f"speedup over {overview.baseline}")


def _bars(found: Sequence[tuple[str, float | None, float | None, float | None]], title: str) -> Figure:
    rows = [row for row in found if row[1] is not None]
    values = [value or 0.0 for _, value, _, _ in rows]
    data = {
        "type": "bar",
        "orientation": "h",
        "y": axis_labels([row[0] for row in rows]),
        "x": values,
        "marker": {"color": [_colour(low, high) for _, _, low, high in rows]},
        "text": [f"{units.ratio(v)} {units.interval(low, high)}" for _, v, low, high in rows],
        "textposition": "inside",
        "insidetextanchor": "start",
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(high or value or 0.0) - (value or 0.0) for _, value, _, high in rows],
            "arrayminus": [(value or 0.0) - (low or value or 0.0) for _, value, low, _ in rows],
        },
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = layout_of(markup(title), height=110 + 34 * len(rows))
    layout["yaxis"] |= CATEGORIES
    layout["xaxis"] |= {"rangemode": "tozero"}
    layout["shapes"] = [_line_at_one()]
    return {"data": [data], "layout": layout}


def _colour(low: float | None, high: float | None) -> str:
    if low is not None and low > 1:
        return FASTER
    return SLOWER if high is not None and high < 1 else PLAIN


def _line_at_one() -> Figure:
    line = {"color": "#888", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": line}
