"""The speedups of many runs and workloads as a heat map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.figures.style import CATEGORIES, SCALE, axis_labels, layout_of
from profkit.report.page import Figure
from profkit.report.verdicts import DECIDED, bounds

if TYPE_CHECKING:
    from profkit.compare.records.many import Overview


def heatmap(overview: Overview) -> Figure:
    """Draw the speedups of all runs and workloads; ``~`` marks those that are neither faster nor slower."""
    columns = [*overview.workloads, *(["geometric mean"] if len(overview.workloads) > 1 else [])]
    z: list[list[float | None]] = []
    texts: list[list[str]] = []
    for run in overview.runs:
        entries = {entry.workload: entry for entry in run.entries}
        row: list[tuple[float | None, str]] = []
        for name in overview.workloads:
            entry = entries.get(name)
            ratio = 1.0 if entry and run.label == overview.baseline else entry.speedup if entry else None
            mark = "~ " if entry and entry.verdict is not None and entry.verdict not in DECIDED else ""
            row.append((ratio, "" if ratio is None else mark + units.ratio(ratio)))
        if len(overview.workloads) > 1:
            mean, *_ = bounds(run.geomean_speedup)
            row.append((mean, units.ratio(mean)))
        z.append([None if ratio is None else -math.log2(ratio) for ratio, _ in row])
        texts.append([text for _, text in row])
    data = {
        "type": "heatmap",
        "x": axis_labels(columns),
        "y": axis_labels([run.label for run in overview.runs]),
        "z": z,
        "text": texts,
        "texttemplate": "%{text}",
        "textfont": {"color": "#111"},
        "colorscale": SCALE,
        "zmid": 0,
        "zmin": -1,
        "zmax": 1,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{y}, %{x}: %{text}<extra></extra>",
    }
    layout = layout_of("", height=110 + 34 * len(overview.runs))
    layout["yaxis"] |= CATEGORIES
    layout["xaxis"] |= {"side": "top", "showgrid": False, "type": "category"}
    return {"data": [data], "layout": layout}
