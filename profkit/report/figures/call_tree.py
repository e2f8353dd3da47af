"""The call tree of both sides as an icicle chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.escape import markup
from profkit.report.figures.style import SCALE, layout_of, short
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.compare.records.diff import WorkloadChange

THINNEST = 0.0002  # of the whole tree: a fifth of a pixel
NODES = 1500  # calls drawn at most: with more a browser takes seconds


def call_tree(change: WorkloadChange) -> Figure:
    """Draw the call tree: widths are the total host times of one side, chosen by buttons; colours are the change."""
    data = []
    seen = _visible(change)
    for side in ("candidate", "baseline"):
        ids, parents, labels, values, colours, texts = ["all"], [""], [change.name], [0.0], [0.0], [""]
        for at, call in enumerate(change.calls):
            times = getattr(call, side)
            if times is None or at not in seen:
                continue
            before, after = (t.total_host_ns if t else 0.0 for t in (call.baseline, call.candidate))
            ids.append(str(at))
            parents.append(str(call.parent) if call.parent >= 0 else "all")
            labels.append(short(call.name))
            values.append(times.total_host_ns / 1e6)
            colours.append(max(-1.0, min(1.0, math.log2(after / before))) if before and after else 0.0)
            both = f"{units.duration(before or None)} → {units.duration(after or None)}"
            texts.append(f"{units.count(times.calls)} calls, {both}")
        values[0] = sum(v for v, p in zip(values, parents, strict=True) if p == "all")
        data.append(
            {
                "type": "icicle",
                "ids": ids,
                "parents": parents,
                "labels": [markup(label) for label in labels],
                "values": _fitting(ids, parents, values),
                "branchvalues": "total",
                "text": texts,
                "hovertemplate": "%{label}<br>%{text}<extra></extra>",
                "textinfo": "label",
                "tiling": {"orientation": "v"},
                "marker": {
                    "colors": colours,
                    "colorscale": SCALE,
                    "cmid": 0,
                    "cmin": -1,
                    "cmax": 1,
                    "showscale": False,
                },
                "visible": side == "candidate",
            }
        )
    layout = layout_of("", height=420)
    layout["margin"] = {"l": 4, "r": 4, "t": 44, "b": 4}
    buttons = [
        {"label": markup(f"widths of {label}"), "method": "update", "args": [{"visible": [k == n for n in (0, 1)]}]}
        for k, label in enumerate((change.candidate.label, change.baseline.label))
    ]
    menu = {"type": "buttons", "showactive": False, "direction": "right", "buttons": buttons}
    layout["updatemenus"] = [menu | {"x": 0, "xanchor": "left", "y": 1.12}]
    return {"data": data, "layout": layout}


def _visible(change: WorkloadChange) -> set[int]:
    """Return the positions of the calls to draw: the ``NODES`` largest that are wide enough, and their callers."""
    largest = [max(t.total_host_ns for t in (c.baseline, c.candidate) if t) for c in change.calls]
    whole = sum(ns for ns, call in zip(largest, change.calls, strict=True) if call.parent < 0)
    wide = [at for at, ns in enumerate(largest) if ns >= whole * THINNEST]
    found: set[int] = set()
    for at in sorted(wide, key=lambda at: -largest[at])[:NODES]:
        above = at
        while above >= 0 and above not in found:  # by medians a caller may be smaller than its calls
            found.add(above)
            above = change.calls[above].parent
    return found


def _fitting(ids: Sequence[str], parents: Sequence[str], values: Sequence[float]) -> list[float]:
    """Raise callers to the sum of their calls: medians do not add up, and plotly draws only values that do."""
    fitted = dict(zip(ids, values, strict=True))
    sums: dict[str, float] = {}
    for name, parent in zip(reversed(ids), reversed(parents), strict=True):  # callers come before their calls
        fitted[name] = max(fitted[name], sums.get(name, 0.0))
        sums[parent] = sums.get(parent, 0.0) + fitted[name]
    return [fitted[name] for name in ids]
