"""Axes: from values to pixels, and the round numbers that are marked."""

from __future__ import annotations

import math

import msgspec

from profkit.report.figures import svg

_STEPS = (1.0, 2.0, 5.0, 10.0)
_NEAR = 4.0  # a logarithmic axis over less than this factor has marks at equal distances, as a linear one
_MOST = 1e12  # a factor: what is further from 1 stands at the end of a logarithmic axis
_LARGEST = 1e300  # of a linear axis: with larger numbers its ends would be infinite
_TIME_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


class Axis(msgspec.Struct, frozen=True):
    """A horizontal or vertical axis from ``low`` at pixel ``start`` to ``high`` at pixel ``end``."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value; a value beyond the axis is drawn at its end."""
        low, high, here = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, here = math.log(low), math.log(high), math.log(here)
        return self.start + (self.end - self.start) * (here - low) / (high - low)

    def ticks(self, most: int) -> list[float]:
        """Return round values within the axis, about ``most`` of them."""
        if self.is_log and self.high / self.low >= _NEAR:
            return _powers(self.low, self.high, most)
        step = _step(max((self.high - self.low) / max(1, most), 1 / _LARGEST))
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _step(rough: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next((step * power for step in _STEPS if step * power >= rough * (1 - 1e-9)), 10 * power)


def _powers(low: float, high: float, most: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [d * 10.0**k for k in decades for d in digits if low * (1 - 1e-9) <= d * 10.0**k <= high * (1 + 1e-9)]
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]


def from_zero(high: float, start: float, end: float) -> Axis:
    """Return a linear axis from 0 to a little above ``high``."""
    return Axis(0.0, min(high, _LARGEST) * 1.04 if high > 1 / _LARGEST else 1.0, start, end)


def around(low: float, high: float, start: float, end: float, *, is_log: bool = False) -> Axis:
    """Return an axis that holds ``low`` and ``high`` with a margin of a twentieth on both sides."""
    if is_log:
        low, high = (min(max(end, 1 / _MOST), _MOST) for end in (low, high))
        margin = max((high / low) ** 0.05, 1.01)
        return Axis(low / margin, high * margin, start, end, True)
    low, high = (min(max(end, -_LARGEST), _LARGEST) for end in (low, high))
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - margin, high + margin, start, end)


def tick_text(value: float) -> str:
    """Format a round number without the noise of binary fractions."""
    return f"{value:.6g}"


def time_unit(ns: float) -> tuple[float, str]:
    """Return the unit, in ns, and its name, in which a time of ``ns`` is written."""
    return next(((factor, name) for factor, name in _TIME_UNITS if abs(ns) >= factor), _TIME_UNITS[-1])


def horizontal(axis: Axis, top: float, bottom: float, title: str, ending: str = "") -> str:
    """Draw the marks of a horizontal axis at ``bottom``, lines up to ``top``, and the title below; 44 pixels high."""
    most = max(2, int((axis.end - axis.start) / 75))
    parts = []
    for value in axis.ticks(most):
        x = axis.at(value)
        parts.append(svg.line(x, top, x, bottom, "grid"))
        parts.append(svg.text(x, bottom + 16, tick_text(value) + ending, "s", anchor="middle"))
    middle = (axis.start + axis.end) / 2
    room = 2 * min(middle - 4, axis.end - middle + 60)
    return "".join(parts) + svg.text(middle, bottom + 36, svg.fit(title, room, svg.SMALL_EM), "s", anchor="middle")


def vertical(axis: Axis, left: float, right: float, title: str) -> str:
    """Draw the marks of a vertical axis at ``left``, lines to ``right``, and the title above the marks."""
    most = max(2, int(abs(axis.end - axis.start) / 45))
    parts = [svg.text(4, min(axis.start, axis.end) - 14, title, "s")]
    for value in axis.ticks(most):
        y = axis.at(value)
        parts.append(svg.line(left, y, right, y, "grid"))
        parts.append(svg.text(left - 6, y + 4, tick_text(value), "s", anchor="end"))
    return "".join(parts)
