"""The course along versions or a setting: the latency as points with intervals, the operators as stacked bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit import units
from profkit.report.figures import axes, svg
from profkit.report.figures.rows import legend, rows_of
from profkit.report.page import Drawing, Figure
from profkit.report.palette import PARTS

if TYPE_CHECKING:
    from profkit.comparison.records.sweep import SweepPoint, SweepWorkload

_REST = "all others"


def wall_course(workload: SweepWorkload) -> Figure:
    """Draw the median latency of each configuration, one row each, with its 95% interval."""
    said = [(point.label, _said(point)) for point in workload.points]
    text = "; ".join(f"{label}: {words}" for label, words in said)
    return Figure(f"median latency by configuration. {text}", lambda width: _draw_walls(workload, width))


def _said(point: SweepPoint) -> str:
    return "not captured" if point.wall is None else units.duration(point.wall.p50_ns)


def _ends(point: SweepPoint) -> tuple[float, float, float]:
    """Return lower bound, median and upper bound (ns)."""
    assert point.wall is not None
    middle, interval = point.wall.p50_ns, point.wall.p50_interval
    return (middle, middle, middle) if interval is None else (interval.low_ns, middle, interval.high_ns)


def _draw_walls(workload: SweepWorkload, width: int) -> Drawing:
    rows = rows_of(width, [point.label for point in workload.points], [_said(point) for point in workload.points])
    known = [_ends(point) for point in workload.points if point.wall is not None]
    unit, name = axes.time_unit(max((high for _, _, high in known), default=1.0))
    low, high = min((low for low, _, _ in known), default=0.0), max((high for _, _, high in known), default=1.0)
    axis = axes.around(low / unit, high / unit, rows.left, rows.right)
    bottom = rows.bottom(len(workload.points)) + 4
    parts = [axes.horizontal(axis, rows.top, bottom, f"median latency ({name})")]
    verdicts = {step.after: step.verdict for step in workload.steps if step.is_shown}
    at: list[tuple[float, float]] = []
    marks = []
    for row, point in enumerate(workload.points):
        y = rows.middle(row)
        if point.wall is not None:
            left, middle, right = (axis.at(ns / unit) for ns in _ends(point))
            at.append((middle, y))
            verdict = verdicts.get(point.label)
            colour = verdict or "neutral"
            marks.append(svg.line(left, y, right, y, f"l-{colour}", f"{point.label}: {_said(point)}"))
            kind = f"f-{colour} edge" if verdict else f"hollow l-{colour}"
            marks.append(svg.marker("circle", middle, y, 11, kind, f"{point.label}: {_said(point)}"))
        marks.append(rows.words(row, point.label, _said(point)))
    if len(at) > 1:
        parts.append(svg.path(at, "l-neutral dot"))
    return Drawing(width, round(bottom + 44), "".join([*parts, *marks]))


def operator_course(workload: SweepWorkload) -> Figure:
    """Draw each configuration's operators as one bar of self host times."""
    names = [*workload.operators, _REST]
    captured = [point for point in workload.points if point.operators_ns]
    texts = [
        f"{point.label}: "
        + ", ".join(f"{n} {units.duration(ns)}" for n, ns in zip(names, point.operators_ns, strict=True))
        for point in captured
    ]
    return Figure(f"operators by configuration. {'; '.join(texts)}", lambda width: _draw_operators(workload, width))


def _draw_operators(workload: SweepWorkload, width: int) -> Drawing:
    names = [*workload.operators, _REST]
    sums = [sum(point.operators_ns) for point in workload.points]
    said = [units.duration(ns) if ns else "not captured" for ns in sums]
    per_line = 1 if width < 560 else 3
    lines = [names[start : start + per_line] for start in range(0, len(names), per_line)]
    top = 20.0 * len(lines) + 14
    rows = rows_of(width, [point.label for point in workload.points], said, top=top)
    unit, unit_name = axes.time_unit(max(sums, default=1.0) or 1.0)
    axis = axes.from_zero(max(sums, default=1.0) / unit, rows.left, rows.right)
    bottom = rows.bottom(len(workload.points)) + 4
    parts = [axes.horizontal(axis, rows.top, bottom, f"self host time of operators ({unit_name})")]
    colours = dict(zip(names, (*PARTS[: len(names) - 1], PARTS[-1]), strict=True))
    for number, line in enumerate(lines):
        entries = [(f"f-{colours[name]}", name) for name in line]
        parts.append(legend(4, 16 + 20 * number, entries, room=width - 8))
    for row, point in enumerate(workload.points):
        y, start = rows.middle(row) - 8, 0.0
        for name, ns in zip(names, point.operators_ns, strict=bool(point.operators_ns)):
            left, right = axis.at(start / unit), axis.at((start + ns) / unit)
            hover = f"{point.label}, {name}: {units.duration(ns)}"
            parts.append(svg.rect(left, y, right - left, 16, f"f-{colours[name]}", hover))
            start += ns
        parts.append(rows.words(row, point.label, said[row]))
    return Drawing(width, round(bottom + 44), "".join(parts))
