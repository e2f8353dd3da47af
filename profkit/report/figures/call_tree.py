"""The call trees of both sides as icicle charts, on one scale of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from profkit import units
from profkit.report.figures import svg
from profkit.report.figures.rows import legend
from profkit.report.page import Drawing, Figure

if TYPE_CHECKING:
    from profkit.comparison.records.diff import CallChange, WorkloadChange

ROW = 24.0  # pixels of a call: a line of text fits
DEEPEST = 8  # levels below which nothing is drawn: the table expands to all of them
THINNEST = 2.0  # pixels: the calls below it are drawn together as one
_CHANGED = 1.1  # a factor: calls that changed by less have no colour
_LARGE = 1.5  # a factor: from this on the colour is full


class _Placed(msgspec.Struct, frozen=True):
    """A call at its place, ``at`` its position in the list, None for several small ones together."""

    at: int | None
    count: int
    x: float
    width: float
    level: int


def call_tree(change: WorkloadChange) -> Figure:
    """Draw the call trees of both sides: widths are total host times, colours are the change from side to side."""
    below: dict[int, list[int]] = {}
    for at, call in enumerate(change.calls):
        below.setdefault(call.parent, []).append(at)
    described = "; ".join(f"{change.calls[at].name}: {_times(change.calls[at])}" for at in below.get(-1, [])[:20])
    text = f"call trees of both sides. At the top: {described}"
    return Figure(text, lambda width: _draw(change, below, width))


def _times(call: CallChange) -> str:
    before, after = (units.duration(t.total_host_ns) if t else "none" for t in (call.baseline, call.candidate))
    return f"{before} → {after}"


def _ns(call: CallChange, side: str) -> float:
    times = getattr(call, side)
    return 0.0 if times is None else times.total_host_ns


def _draw(change: WorkloadChange, below: dict[int, list[int]], width: int) -> Drawing:
    sums = {s: sum(_ns(change.calls[at], s) for at in below.get(-1, [])) for s in ("baseline", "candidate")}
    scale = (width - 8) / (max(sums.values()) or 1.0)
    entries = [
        ("f-faster k5", "faster"),
        ("f-slower k5", "slower"),
        ("f-wash", "about the same"),
        ("lone", "only on this side"),
    ]
    parts = [legend(4, 16, entries, room=width - 8)]
    y = 48.0
    for side, label in (("baseline", change.baseline.label), ("candidate", change.candidate.label)):
        parts.append(svg.text(4, y, f"{svg.fit(label, width - 120)}: {units.duration(sums[side])}", "b"))
        placed = _place(change.calls, below, side, scale)
        parts += [_mark(change.calls, place, y + 8) for place in placed]
        y += 8 + ROW * (1 + max((place.level for place in placed), default=0)) + 34
    return Drawing(width, round(y - 34 + 10), "".join(parts))


def _place(calls: Sequence[CallChange], below: dict[int, list[int]], side: str, scale: float) -> list[_Placed]:
    """Return where the calls of a side stand, the larger first; small ones beside each other become one."""
    found: list[_Placed] = []
    waiting = [(-1, 4.0, math.inf, 0)]
    while waiting:
        parent, x, room, level = waiting.pop()
        inside = sorted(
            (at for at in below.get(parent, []) if _ns(calls[at], side)), key=lambda at: -_ns(calls[at], side)
        )
        widths = [_ns(calls[at], side) * scale for at in inside]
        shrink = min(1.0, room / (sum(widths) or 1.0))  # medians do not add up: calls may exceed their caller
        small = 0
        for at, width in zip(inside, widths, strict=True):
            if width * shrink < THINNEST:
                small += 1
                continue
            found.append(_Placed(at, 1, x, width * shrink, level))
            if level + 1 < DEEPEST:
                waiting.append((at, x, width * shrink, level + 1))
            x += width * shrink
        rest = sum(widths[len(widths) - small :]) * shrink if small else 0.0
        if rest >= THINNEST:
            found.append(_Placed(None, small, x, rest, level))
    return found


def _mark(calls: Sequence[CallChange], place: _Placed, top: float) -> str:
    y = top + ROW * place.level
    if place.at is None:
        words = f"{place.count} smaller calls" if place.count > 1 else "a smaller call"
        return svg.rect(place.x, y, place.width, ROW, "f-wash edge", words) + _label(place, y, words)
    call = calls[place.at]
    hover = f"{call.name}: {_times(call)}"
    return svg.rect(place.x, y, place.width, ROW, _colour(call), hover) + _label(place, y, call.name)


def _label(place: _Placed, y: float, words: str) -> str:
    shown = svg.fit(words, place.width - 8, svg.SMALL_EM)
    return svg.text(place.x + 4, y + 16, shown, "t") if len(shown) > 4 or shown == words else ""


def _colour(call: CallChange) -> str:
    before, after = _ns(call, "baseline"), _ns(call, "candidate")
    if not before or not after or max(before, after) / min(before, after) < _CHANGED:
        return "f-wash edge" if before and after else "lone"
    verdict = "faster" if after < before else "slower"
    return f"f-{verdict} {'k5' if max(before, after) / min(before, after) >= _LARGE else 'k2'} edge"
