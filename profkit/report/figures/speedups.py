"""Speedups with their 95% intervals as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.escape import markup
from profkit.report.figures.style import CATEGORIES, FASTER, PLAIN, SLOWER, axis_labels, layout_of
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.compare.records.diff import Comparison
    from profkit.compare.records.many import Overview
    from profkit.compare.records.parts import Judged

COLOURS = {"faster": FASTER, "slower": SLOWER}  # by the verdict, as the tables show it


def speedups(comparison: Comparison) -> Figure:
    """Draw each workload's speedup with its 95% interval."""
    found: list[tuple[str, Judged]] = [(w.name, w.inference) for w in comparison.workloads]
    if len(found) > 1:
        found.append(("geometric mean", comparison.geomean_speedup))
    return _bars(found, f"speedup of {comparison.candidate.label} over {comparison.baseline.label}")


def run_speedups(overview: Overview) -> Figure:
    """Draw each run's speedup over the baseline, the geometric mean of several workloads, with its interval."""
    found = [(run.label, run.geomean_speedup) for run in overview.runs if run.label != overview.baseline]
    return _bars(found, f"speedup over {overview.baseline}")


def _bars(found: Sequence[tuple[str, Judged]], title: str) -> Figure:
    rows = [(name, judged, judged.speedup) for name, judged in found if judged.speedup is not None]
    values = [value for _, _, value in rows]
    data = {
        "type": "bar",
        "orientation": "h",
        "y": axis_labels([row[0] for row in rows]),
        "x": values,
        "marker": {"color": [COLOURS.get(judged.verdict or "", PLAIN) for _, judged, _ in rows]},
        "text": [f"{units.ratio(value)} {units.interval(judged.low, judged.high)}" for _, judged, value in rows],
        "textposition": "inside",
        "insidetextanchor": "start",
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(judged.high or value) - value for _, judged, value in rows],
            "arrayminus": [value - (judged.low or value) for _, judged, value in rows],
        },
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = layout_of(markup(title), height=110 + 34 * len(rows))
    layout["yaxis"] |= CATEGORIES
    layout["xaxis"] |= {"rangemode": "tozero"}
    layout["shapes"] = [_line_at_one()]
    return {"data": [data], "layout": layout}


def _line_at_one() -> Figure:
    line = {"color": "#888", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": line}
