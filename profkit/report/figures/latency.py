"""Wall times of forwards: their distribution, and their course over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit.report.escape import markup
from profkit.report.figures.style import BASELINE, CATEGORIES, layout_of, rounds_of, sides
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.compare.records.diff import WorkloadChange


def latency(change: WorkloadChange) -> Figure:
    """Draw the distribution of each side's wall times, with the percentiles that are known."""
    data: list[Figure] = []
    what = "profiler off" if change.latency is not None else "profiled"
    for (label, samples, colour), marks in zip(sides(change), _marks(change), strict=True):
        rounds = rounds_of(samples, unprofiled=change.latency is not None)
        values = [ns / 1e6 for forwards in rounds for ns in forwards]
        data.append(
            {
                "type": "violin",
                "orientation": "h",
                "x": values,
                "y": [markup(label)] * len(values),
                "name": markup(label),
                "line": {"color": colour},
                "points": "all",
                "jitter": 0.6,
                "pointpos": 0,
                "marker": {"size": 3, "opacity": 0.6},
                "spanmode": "hard",
                "showlegend": False,
                "hovertemplate": "%{x:.3f} ms<extra></extra>",
            }
        )
        for name, symbol in (("p50", "line-ns"), ("p90", "triangle-up"), ("p99", "diamond")):
            if name not in marks:
                continue
            marker = {"symbol": symbol, "size": 13, "color": colour, "line": {"width": 2, "color": colour}}
            point: Figure = {"type": "scatter", "mode": "markers", "x": [marks[name]], "y": [markup(label)]}
            point |= {"marker": marker, "name": name, "legendgroup": name, "showlegend": colour == BASELINE}
            data.append(point | {"hovertemplate": f"{name}: %{{x:.3f}} ms<extra></extra>"})
    layout = layout_of(f"wall time of a forward, {what} (ms)", height=300)
    layout["yaxis"] |= CATEGORIES
    layout |= {"showlegend": True, "violingap": 0.1}
    return {"data": data, "layout": layout}


def _marks(change: WorkloadChange) -> list[dict[str, float]]:
    """Return the percentiles of each side (ms), those that the table of wall times shows."""
    if change.latency is None:
        return [{"p50": ns / 1e6} for ns in (change.forward.baseline_ns, change.forward.candidate_ns)]
    latency = change.latency
    shown = {"p50": True, "p90": latency.p90 is not None, "p99": latency.p99 is not None}
    marks = []
    for side in (latency.baseline, latency.candidate):
        times = {"p50": side.p50_ns, "p90": side.p90_ns, "p99": side.p99_ns}
        marks.append({name: ns / 1e6 for name, ns in times.items() if ns is not None and shown[name]})
    return marks


def over_time(change: WorkloadChange) -> Figure:
    """Draw each forward's wall time in the order in which it ran, round by round, so that drift shows."""
    data = []
    what = "profiler off" if change.latency is not None else "profiled"
    for label, samples, colour in sides(change):
        x: list[float | None] = []
        y: list[float | None] = []
        for number, forwards in enumerate(rounds_of(samples, unprofiled=change.latency is not None), 1):
            x += [*(number + (k / max(1, len(forwards))) * 0.8 for k in range(len(forwards))), None]
            y += [*(ns / 1e6 for ns in forwards), None]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": x,
                "y": y,
                "name": markup(label),
                "line": {"color": colour, "width": 1},
                "marker": {"size": 4},
                "hovertemplate": "round %{x:.0f}: %{y:.3f} ms<extra>" + markup(label) + "</extra>",
            }
        )
    layout = layout_of("round", height=300)
    layout["xaxis"] |= {"dtick": 1}
    layout["yaxis"] |= {"title": {"text": f"forward, {what} (ms)"}, "rangemode": "tozero"}
    return {"data": data, "layout": layout | {"showlegend": True}}
