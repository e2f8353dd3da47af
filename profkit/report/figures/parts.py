"""The largest parts of a whole as bars."""

from __future__ import annotations

from collections.abc import Sequence

from profkit import units
from profkit.report.escape import markup
from profkit.report.figures.style import CATEGORIES, FASTER, NAMED, axis_labels, layout_of
from profkit.report.page import Figure


def parts(title: str, rows: Sequence[tuple[str, float]]) -> Figure:
    """Draw the largest of some named times in ns."""
    shown = sorted(rows, key=lambda row: -row[1])[: 2 * NAMED]
    data = {
        "type": "bar",
        "orientation": "h",
        "y": axis_labels([name for name, _ in shown]),
        "x": [ns / 1e6 for _, ns in shown],
        "marker": {"color": FASTER},
        "text": [units.duration(ns) for _, ns in shown],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = layout_of(markup(title), height=110 + 26 * len(shown))
    layout["yaxis"] |= CATEGORIES
    return {"data": [data], "layout": layout}
