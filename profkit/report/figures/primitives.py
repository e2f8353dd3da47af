"""The time of oneDNN primitives before and after, by implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit import units
from profkit.errors import UsageError
from profkit.report.escape import markup
from profkit.report.figures.style import CATEGORIES, NAMED, axis_labels, layout_of, sides
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.compare.records.diff import WorkloadChange


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
                sums.setdefault(name, [0.0, 0.0])[k] += times.exec_ns / 1e6
    names = sorted(sums, key=lambda name: -max(sums[name]))[:NAMED]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": axis_labels(names),
            "x": [sums[name][k] for name in names],
            "name": markup(label),
            "marker": {"color": colour},
            "text": [units.duration(sums[name][k] * 1e6) if sums[name][k] else "" for name in names],
            "textposition": "outside",
            "cliponaxis": False,
            "hovertemplate": "%{y}: %{text}<extra></extra>",
        }
        for k, (label, _, colour) in enumerate(sides(change))
    ]
    layout = layout_of("oneDNN per warm forward, under its log (ms)", height=140 + 44 * len(names))
    layout["yaxis"] |= CATEGORIES
    return {"data": data, "layout": layout | {"barmode": "group", "showlegend": True}}
