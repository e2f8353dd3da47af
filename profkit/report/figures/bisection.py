"""The tests of a bisection: each version's change from the good one with its interval, and the boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit.report.figures import axes, svg
from profkit.report.figures.rows import rows_of
from profkit.report.page import Drawing, Figure

if TYPE_CHECKING:
    from profkit.comparison.records.bisect import BisectResult, BisectTest

_COLOURS = {"good": "faster", "bad": "slower", "undecided": "neutral", "skipped": "neutral"}


def tests_drawn(found: BisectResult) -> Figure:
    """Draw the versions that were tested with an interval or a value, in their order, one row each."""
    tests = in_order(found)
    text = "; ".join(f"{test.label}: {said(found, test)}" for test in tests)
    return Figure(f"change from {found.versions[0]} by version. {text}", lambda width: _draw(found, width))


def in_order(found: BisectResult) -> list[BisectTest]:
    """Return the tests in the order of the versions."""
    return sorted(found.tests, key=lambda test: found.versions.index(test.label))


def said(found: BisectResult, test: BisectTest) -> str:
    """Return a test's change and decision in words."""
    return test.decision if test.value is None else f"{change_text(found, test.value)}, {test.decision}"


def change_text(found: BisectResult, value: float | None) -> str:
    """Return a change as text: a percentage, or a value of the outputs."""
    if value is None:
        return ""
    return f"{100 * value:+.1f}%" if found.unit == "ratio" else f"{value:.6g}"


def _draw(found: BisectResult, width: int) -> Drawing:
    tests = in_order(found)
    rows = rows_of(width, [test.label for test in tests], [said(found, test) for test in tests])
    scale = 100.0 if found.unit == "ratio" else 1.0
    shown = [scale * bound for test in tests for bound in (test.low, test.value, test.high) if bound is not None]
    shown += [0.0] if found.unit == "ratio" else []
    shown += [] if found.boundary is None else [scale * found.boundary]
    axis = axes.around(min(shown, default=0.0), max(shown, default=1.0), rows.left, rows.right)
    bottom = rows.bottom(len(tests)) + 4
    name = f"{found.figure}: change from {found.versions[0]} (%)" if found.unit == "ratio" else found.figure
    parts = [axes.horizontal(axis, rows.top, bottom, name)]
    if found.boundary is not None:
        at = axis.at(scale * found.boundary)
        parts.append(svg.line(at, rows.top, at, bottom, "l-neutral dot", "boundary between good and bad"))
    for row, test in enumerate(tests):
        y, colour = rows.middle(row), _COLOURS[test.decision]
        if test.value is not None:
            hover = f"{test.label}: {said(found, test)}"
            if test.low is not None and test.high is not None:
                ends = (axis.at(scale * test.low), axis.at(scale * test.high))
                parts.append(svg.line(ends[0], y, ends[1], y, f"l-{colour}", hover))
            parts.append(svg.marker("circle", axis.at(scale * test.value), y, 11, f"f-{colour} edge", hover))
        parts.append(rows.words(row, test.label, said(found, test)))
    return Drawing(width, round(bottom + 44), "".join(parts))
