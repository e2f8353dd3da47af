"""The curve of a load test: throughput against the quantiles of the latency, with 95% intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from profkit import units
from profkit.report.figures import axes, svg
from profkit.report.page import Drawing, Figure

if TYPE_CHECKING:
    from profkit.comparison.records.load import Arrivals, Load, LoadPoint

COLOURS = {"p50": "q50", "p90": "q90", "p99": "q99"}
SHAPES = {"p50": "circle", "p90": "triangle", "p99": "diamond"}
WORDS = {"closed": "closed loop", "poisson": "open loop"}
Bounds = tuple[float, float]


class _Place(msgspec.Struct, frozen=True):
    """A point of a curve: requests per second, ns, and their intervals."""

    name: str
    x: float
    y: float
    across: Bounds
    along: Bounds


class _Curve(msgspec.Struct, frozen=True):
    quantile: str
    arrivals: Arrivals
    places: Sequence[_Place]


def load_curve(load: Load) -> Figure:
    """Draw latency over throughput, a line per quantile and kind of arrivals; the limit as a line, the knees marked.

    A closed-loop curve follows the number of processes, an open-loop one the rate.
    """
    curves = list(_curves(load))
    described = "; ".join(
        f"{curve.quantile}, {WORDS[curve.arrivals]}: "
        + ", ".join(f"{place.name} {units.duration(place.y)} at {place.x:.3g}/s" for place in curve.places)
        for curve in curves
    )
    return Figure(f"latency over throughput. {described or 'no point was measured'}", lambda w: _draw(load, curves, w))


def _curves(load: Load) -> Iterator[_Curve]:
    arrivals: tuple[Arrivals, Arrivals] = ("closed", "poisson")
    for kind in arrivals:
        for quantile in COLOURS:
            places = [found for p in load.points if p.arrivals == kind and (found := _place(p, quantile)) is not None]
            if places:
                yield _Curve(quantile, kind, places)


def _place(point: LoadPoint, name: str) -> _Place | None:
    quantile, rate = getattr(point, name), point.throughput
    if rate is None or quantile.value_ns is None:
        return None
    interval = quantile.interval
    along = (interval.low_ns, interval.high_ns) if interval else (quantile.value_ns, quantile.value_ns)
    across = (rate.value if rate.low is None else rate.low, rate.value if rate.high is None else rate.high)
    return _Place(point.name, rate.value, quantile.value_ns, across, along)


def _draw(load: Load, curves: Sequence[_Curve], width: int) -> Drawing:
    limit = load.latency_limit
    every = [place for curve in curves for place in curve.places]
    highest = max([*(place.along[1] for place in every), *([limit.limit_ns] if limit else [])], default=1e6)
    unit, name = axes.time_unit(highest)
    legend, top = _legend(load, curves, width)
    top += 34
    left, right, bottom = 56.0, width - 16.0, top + 330
    x = axes.from_zero(max((place.across[1] for place in every), default=1.0), left, right)
    y = axes.from_zero(highest / unit, bottom, top)
    parts = [legend, axes.vertical(y, left, right, f"latency ({name})")]
    parts.append(axes.horizontal(x, top, bottom, "throughput (requests per second)"))
    if limit is not None:
        height = y.at(limit.limit_ns / unit)
        parts.append(svg.line(left, height, right, height, "one dash", f"limit {limit.text}"))
    for curve in curves:
        parts += _marks(curve, x, y, unit)
    return Drawing(width, round(bottom + 44), "".join([*parts, *_labels(load, x, y, unit)]))


def _marks(curve: _Curve, x: axes.Axis, y: axes.Axis, unit: float) -> Iterator[str]:
    colour, is_open = COLOURS[curve.quantile], curve.arrivals != "closed"
    at = [(x.at(place.x), y.at(place.y / unit)) for place in curve.places]
    yield svg.path(at, f"l-{colour}" + " dot" * is_open)
    for place, (left, top) in zip(curve.places, at, strict=True):
        yield svg.line(x.at(place.across[0]), top, x.at(place.across[1]), top, f"l-{colour}")
        yield svg.line(left, y.at(place.along[0] / unit), left, y.at(place.along[1] / unit), f"l-{colour}")
        hover = f"{place.name}: {curve.quantile} {units.duration(place.y)} at {place.x:.3g}/s"
        kind = f"hollow l-{colour}" if is_open else f"f-{colour} edge"
        yield svg.marker(SHAPES[curve.quantile], left, top, 10, kind, hover)


def _legend(load: Load, curves: Sequence[_Curve], width: int) -> tuple[str, float]:
    """Draw what the lines are, in as many lines as it takes; return it and its height."""
    x, y, parts = 4.0, 16.0, []
    entries = [(curve, f"{curve.quantile}, {WORDS[curve.arrivals]}") for curve in curves]
    for curve, words in [*entries, *([(None, f"limit {load.latency_limit.text}")] if load.latency_limit else [])]:
        words = svg.fit(words, width - 50, svg.SMALL_EM)
        taken = 34 + svg.text_width(words, svg.SMALL_EM) + 14
        if x + taken > width and x > 4:
            x, y = 4.0, y + 20
        if curve is None:
            parts.append(svg.line(x, y - 4, x + 28, y - 4, "one dash"))
        else:
            colour, is_open = COLOURS[curve.quantile], curve.arrivals != "closed"
            parts.append(svg.line(x, y - 4, x + 28, y - 4, f"l-{colour}" + " dot" * is_open))
            kind = f"hollow l-{colour}" if is_open else f"f-{colour} edge"
            parts.append(svg.marker(SHAPES[curve.quantile], x + 14, y - 4, 9, kind))
        parts.append(svg.text(x + 34, y, words, "s"))
        x += taken
    return "".join(parts), y


def _labels(load: Load, x: axes.Axis, y: axes.Axis, unit: float) -> Iterator[str]:
    """Yield the labels of closed-loop points, processes × threads, and name the knees."""
    knees = {answer.knee for answer in load.answers}
    for point in load.points:
        known = [q.value_ns for q in (point.p99, point.p90, point.p50) if q.value_ns is not None]
        words = [point.name] * (point.rate_per_s is None) + ["knee"] * (point.name in knees)
        if point.throughput is None or not known or not words:
            continue
        text = ", ".join(words)
        half = svg.text_width(text) / 2
        place = min(max(x.at(point.throughput.value), x.start + half), x.end - half)
        kind = "b" if point.name in knees else "s"
        yield svg.text(place, max(y.at(known[0] / unit) - 14, y.end - 4), text, kind, anchor="middle")
