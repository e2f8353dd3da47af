"""Wall times of forwards: their distribution, and their course over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.figures import axes, svg
from profkit.report.figures.rows import legend, rows_of
from profkit.report.figures.sides import rounds_of, sides
from profkit.report.page import Drawing, Figure

if TYPE_CHECKING:
    from profkit.comparison.records.diff import WorkloadChange

NARROWEST_BIN = 3.0  # pixels of a bar of the histogram
FEWEST_BINS = 16
HIGHEST = 66.0  # pixels of the highest bar
SHAPES = {"p50": "circle", "p90": "triangle", "p99": "diamond"}
Side = tuple[str, list[list[int]], str]


def _sides(change: WorkloadChange) -> list[Side]:
    unprofiled = change.latency is not None
    return [(label, rounds_of(samples, unprofiled=unprofiled), colour) for label, samples, colour in sides(change)]


def _what(change: WorkloadChange) -> str:
    return f"wall time of a forward, {'profiler off' if change.latency is not None else 'under the profiler'}"


def latency(change: WorkloadChange) -> Figure:
    """Draw the distribution of each side's wall times, with the percentiles that are known."""
    found, marks = _sides(change), _marks(change)
    described = "; ".join(f"{side[0]}: {_said(known)}" for side, known in zip(found, marks, strict=True))
    return Figure(f"{_what(change)}. {described}", lambda width: _distribution(found, marks, width, _what(change)))


def _said(marks: dict[str, float]) -> str:
    return ", ".join(f"{name} {units.duration(ns)}" for name, ns in marks.items())


def _marks(change: WorkloadChange) -> list[dict[str, float]]:
    """Return the percentiles of each side (ns), those that the table of wall times shows."""
    if change.latency is None:
        return [{"p50": ns} for ns in (change.forward.baseline_ns, change.forward.candidate_ns)]
    latency = change.latency
    shown = {"p50": True, "p90": latency.p90 is not None, "p99": latency.p99 is not None}
    marks = []
    for side in (latency.baseline, latency.candidate):
        times = {"p50": side.p50_ns, "p90": side.p90_ns, "p99": side.p99_ns}
        marks.append({name: ns for name, ns in times.items() if ns is not None and shown[name]})
    return marks


def _distribution(found: Sequence[Side], marks: Sequence[dict[str, float]], width: int, what: str) -> Drawing:
    medians = [f"p50 {units.duration(known['p50'])}" for known in marks]
    rows = rows_of(width, [label for label, _, _ in found], medians, top=34.0, pitch=92.0)
    values = [ns for _, rounds, _ in found for forwards in rounds for ns in forwards]
    values += [round(ns) for known in marks for ns in known.values()]
    unit, name = axes.time_unit(max(values))
    axis = axes.around(min(values) / unit, max(values) / unit, rows.left, rows.right)
    most = max(sum(map(len, rounds)) for _, rounds, _ in found)
    bin_width = max(NARROWEST_BIN, (rows.right - rows.left) / max(FEWEST_BINS, 4 * math.sqrt(most)))
    bottom = rows.bottom(len(found)) + 4
    parts = [axes.horizontal(axis, rows.top - 6, bottom, f"{what} ({name}); height: number of forwards")]
    for row, ((label, rounds, colour), known) in enumerate(zip(found, marks, strict=True)):
        y = rows.middle(row) + 38
        parts.append(_histogram([axis.at(ns / unit) for forwards in rounds for ns in forwards], y, bin_width, colour))
        parts.append(svg.line(rows.left, y, rows.right, y, "axis"))
        for percentile, ns in known.items():
            hover = f"{label}, {percentile}: {units.duration(ns)}"
            parts.append(svg.marker(SHAPES[percentile], axis.at(ns / unit), y, 12, f"f-{colour} edge", hover))
        parts.append(rows.words(row, label, medians[row]))
    x = rows.left
    for percentile in {name: None for known in marks for name in known}:
        parts.append(svg.marker(SHAPES[percentile], x + 6, 12, 11, "f-faint") + svg.text(x + 18, 16, percentile, "s"))
        x += 60
    return Drawing(width, round(bottom + 44), "".join(parts))


def _histogram(places: Sequence[float], y: float, bin_width: float, colour: str) -> str:
    """Draw how many of some places, in pixels, are in each bin, as bars that stand on ``y``."""
    counts: dict[int, int] = {}
    for x in places:
        counts[int(x // bin_width)] = counts.get(int(x // bin_width), 0) + 1
    scale = HIGHEST / max(counts.values(), default=1)
    return "".join(
        svg.rect(bin_ * bin_width, y - scale * n, bin_width - 0.5, scale * n, f"f-{colour}", f"{n} forwards")
        for bin_, n in sorted(counts.items())
    )


def over_time(change: WorkloadChange) -> Figure:
    """Draw each forward's wall time in the order in which it ran, round by round, so that drift shows."""
    found = _sides(change)
    rounds = max((len(side[1]) for side in found), default=0)
    described = f"{_what(change)}, in order, {rounds} round{'s' * (rounds != 1)}"
    return Figure(described, lambda width: _course(found, rounds, width, _what(change)))


def _course(found: Sequence[Side], rounds: int, width: int, what: str) -> Drawing:
    left, right, top, bottom = 52.0, width - 8.0, 56.0, 276.0
    highest = max((max(forwards) for _, every, _ in found for forwards in every if forwards), default=1)
    unit, name = axes.time_unit(highest)
    axis = axes.from_zero(highest / unit, bottom, top)
    parts = [axes.vertical(axis, left, right, f"{what} ({name})")]
    entries = [(f"f-{colour}", label) for label, _, colour in found]
    parts.append(legend(left, 16, entries, room=width - left))
    band = (right - left) / max(1, rounds)
    for number in range(rounds):
        x = left + band * number
        parts.append(svg.line(x, top, x, bottom, "grid"))
        if rounds <= 12 or number % (rounds // 6) == 0:
            parts.append(svg.text(x + band / 2, bottom + 16, str(number + 1), "s", anchor="middle"))
    for label, every, colour in found:
        for number, forwards in enumerate(every):
            start, room = left + band * number + 0.08 * band, 0.84 * band
            hover = f"{label}, round {number + 1}: {len(forwards)} forwards"
            points = [(start + room * x, axis.at(ns / unit)) for x, ns in _thinned(forwards, max(2, int(room / 2)))]
            parts.append(svg.path(points, f"l-{colour}", hover))
            if len(points) <= 1:
                parts += [svg.circle(x, y, 3, f"f-{colour}", hover) for x, y in points]
    parts.append(svg.line(left, bottom, right, bottom, "axis"))
    parts.append(svg.text((left + right) / 2, bottom + 36, "round", "s", anchor="middle"))
    return Drawing(width, round(bottom + 44), "".join(parts))


def _thinned(values: Sequence[int], most: int) -> list[tuple[float, int]]:
    """Return places from 0 to 1 and values; of more than ``most`` the lowest and the highest of each stretch."""
    count = len(values)
    if count <= most:
        return [((k + 0.5) / count, value) for k, value in enumerate(values)]
    found = []
    for part in range(most // 2):
        begin, end = part * count // (most // 2), (part + 1) * count // (most // 2)
        lowest = min(range(begin, end), key=values.__getitem__)
        highest = max(range(begin, end), key=values.__getitem__)
        found += [((k + 0.5) / count, values[k]) for k in sorted({lowest, highest})]
    return found
