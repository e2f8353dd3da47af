"""A series of days: each day a point, each level a line, each step where the level changes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.figures import axes, svg
from profkit.report.page import Drawing, Figure

if TYPE_CHECKING:
    from profkit.comparison.records.history import HistorySeries, HistoryStep

_HEIGHT = 320
_LEFT, _TOP, _BOTTOM = 64.0, 34.0, 272.0
_MONTHS = 6  # marks on the axis of days at most, where there is room


def series_figure(series: HistorySeries) -> Figure:
    """Draw the days of a series with its levels and steps."""
    steps = "; ".join(f"step on {step.date}: {_said(step)}" for step in series.steps) or "no step"
    first, last = series.points[0], series.points[-1]
    text = (
        f"{series.name} by day: {first.date} ({units.duration(first.wall_ns)}) to {last.date} "
        f"({units.duration(last.wall_ns)}); {steps}"
    )
    return Figure(text, lambda width: _draw(series, width))


def _said(step: HistoryStep) -> str:
    return f"{units.duration(step.before_ns)} → {units.duration(step.after_ns)}"


def _draw(series: HistorySeries, width: int) -> Drawing:
    places = [_number(point.date) for point in series.points]
    known = [point.wall_ns for point in series.points]
    unit, name = axes.time_unit(max(known))
    right = width - 10.0
    across = axes.Axis(min(places) - 0.5, max(places) + 0.5, _LEFT, right)
    up = axes.around(min(known) / unit, max(known) / unit, _BOTTOM, _TOP)
    parts = [axes.vertical(up, _LEFT, right, f"median forward ({name})")]
    for step in series.steps:
        colour = f"f-{step.verdict}-wash" if step.is_shown else "f-wash"
        left, end = across.at(_number(step.earliest) - 0.5), across.at(_number(step.latest) + 0.5)
        title = f"step on {step.date} ({step.earliest} to {step.latest}): {_said(step)}"
        parts.append(svg.rect(left, _TOP, max(end - left, 2.0), _BOTTOM - _TOP, colour, title))
    for begin, end, level in _levels(series):
        y = up.at(level / unit)
        parts.append(svg.line(across.at(begin - 0.5), y, across.at(end + 0.5), y, "l-time", units.duration(level)))
    for place, point in zip(places, series.points, strict=True):
        title = f"{point.date}: {units.duration(point.wall_ns)}, {', '.join(point.versions)}"
        is_newest = point is series.points[-1] and series.newest.is_shown
        kind = f"f-{series.newest.verdict} edge" if is_newest else "f-neutral"
        parts.append(svg.circle(across.at(place), up.at(point.wall_ns / unit), 5 if is_newest else 3, kind, title))
    parts.append(svg.line(_LEFT, _BOTTOM, right, _BOTTOM, "axis"))
    parts += _dates(series, across, width)
    return Drawing(width, _HEIGHT, "".join(parts))


def _levels(series: HistorySeries) -> list[tuple[int, int, float]]:
    """Return the first and the last day of each level, and its time (ns)."""
    points = series.points
    edges = [points[0].date, *(step.date for step in series.steps), ""]
    if not series.steps:
        return [(_number(points[0].date), _number(points[-1].date), series.level_ns)] if series.level_ns else []
    found = []
    for begin, end, level in zip(
        edges[:-1], edges[1:], [series.steps[0].before_ns, *(step.after_ns for step in series.steps)], strict=True
    ):
        last = points[-1].date if not end else max((point.date for point in points if point.date < end), default=begin)
        found.append((_number(begin), _number(last), level))
    return found


def _dates(series: HistorySeries, across: axes.Axis, width: int) -> list[str]:
    points = series.points
    count = max(2, min(_MONTHS, int((width - _LEFT) / 110)))
    chosen = sorted({round(k * (len(points) - 1) / (count - 1)) for k in range(count)})
    parts = []
    for place in chosen:
        x = across.at(_number(points[place].date))
        anchor = "start" if place == 0 else "end" if place == len(points) - 1 else "middle"
        parts.append(svg.text(x, _BOTTOM + 20, points[place].date, "s", anchor=anchor))
    return parts


def _number(day: str) -> int:
    """Return a day as a number of days; 0 for a text that is none, which a saved result may hold."""
    try:
        return date.fromisoformat(day).toordinal()
    except ValueError:
        return 0
