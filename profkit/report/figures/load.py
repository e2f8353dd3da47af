"""The curve of a load test: throughput against the quantiles of the latency, with 95% intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from profkit.report.escape import markup
from profkit.report.figures.style import BASELINE, CANDIDATE, PLAIN, SLOWER, layout_of
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.compare.records.load import Arrivals, LatencyLimit, Load, LoadPoint

COLOURS = {"p50": BASELINE, "p90": CANDIDATE, "p99": SLOWER}
SYMBOLS = {"p50": "circle", "p90": "triangle-up", "p99": "diamond"}
LINES = {"closed": "solid", "poisson": "dot"}
WORDS = {"closed": "closed loop", "poisson": "open loop"}


def load_curve(load: Load) -> Figure:
    """Draw latency over throughput, a line per quantile and kind of arrivals; the limit as a line, the knees marked.

    A closed-loop curve follows the number of processes, an open-loop one the rate.
    """
    data: list[Figure] = []
    arrivals: tuple[Arrivals, Arrivals] = ("closed", "poisson")
    for kind in arrivals:
        points = [p for p in load.points if p.arrivals == kind and p.throughput is not None]
        for name in COLOURS:
            shown = [p for p in points if getattr(p, name).value_ns is not None]
            if shown:
                data.append(_line(shown, name, kind))
    layout = layout_of("throughput (requests/s)", height=440)
    layout["xaxis"] |= {"rangemode": "tozero"}
    layout["yaxis"] |= {"title": {"text": "latency (ms)"}, "rangemode": "tozero"}
    layout |= {"showlegend": True, "annotations": list(_labels(load))}
    layout["margin"] = {"l": 8, "r": 24, "t": 40, "b": 44}
    if load.latency_limit is not None and data:
        data.append(_limit(load.latency_limit, [x for line in data for x in line["x"]]))
    return {"data": data, "layout": layout}


def _line(points: Sequence[LoadPoint], name: str, kind: Arrivals) -> Figure:
    """Draw one quantile of the points of one kind of arrivals, with intervals in both directions."""
    x = [p.throughput.value for p in points if p.throughput is not None]
    quantiles = [getattr(p, name) for p in points]
    y = [q.value_ns / 1e6 for q in quantiles]
    bounds = [
        (q.interval.low_ns / 1e6, q.interval.high_ns / 1e6) if q.interval else (v, v)
        for q, v in zip(quantiles, y, strict=True)
    ]
    across = [(p.throughput.low or v, p.throughput.high or v) for p, v in zip(points, x, strict=True) if p.throughput]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"{name}, {WORDS[kind]}",
        "x": x,
        "y": y,
        "line": {"color": COLOURS[name], "dash": LINES[kind], "width": 1.5},
        "marker": {"symbol": SYMBOLS[name] + ("" if kind == "closed" else "-open"), "size": 9, "color": COLOURS[name]},
        "error_y": _bars(y, bounds, COLOURS[name]),
        "error_x": _bars(x, across, COLOURS[name]),
        "text": [markup(p.name) for p in points],
        "hovertemplate": f"%{{text}}: {name} %{{y:.3f}} ms at %{{x:.3g}}/s<extra></extra>",
    }


def _bars(values: Sequence[float], bounds: Sequence[tuple[float, float]], colour: str) -> Figure:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, (_, high) in zip(values, bounds, strict=True)],
        "arrayminus": [value - low for value, (low, _) in zip(values, bounds, strict=True)],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }


def _limit(limit: LatencyLimit, throughputs: Sequence[float]) -> Figure:
    """Draw the limit as a line over the range of the points; its label is in the legend, where it hides none."""
    ms = limit.limit_ns / 1e6
    line = {"color": SLOWER, "width": 1.5, "dash": "dash"}
    name = markup(f"limit {limit.text}")
    figure = {"type": "scatter", "mode": "lines", "x": [0.0, max(throughputs)], "y": [ms, ms], "line": line}
    return {**figure, "name": name, "hovertemplate": f"{name}<extra></extra>"}


def _labels(load: Load) -> Iterator[Figure]:
    """Yield the labels of closed-loop points, processes × threads, and mark the knees."""
    knees = {answer.knee for answer in load.answers}
    for point in load.points:
        known = [q.value_ns for q in (point.p99, point.p90, point.p50) if q.value_ns is not None]
        is_knee = point.name in knees
        words = [point.name] * (point.rate_per_s is None) + ["knee"] * is_knee
        if point.throughput is None or not known or not words:
            continue
        place = {
            "x": point.throughput.value,
            "y": known[0] / 1e6,
            "text": markup(", ".join(words)),
            "font": {"size": 11},
        }
        yield place | {"showarrow": is_knee, "arrowcolor": PLAIN, "ax": 0, "ay": -30, "yshift": 0 if is_knee else 16}
