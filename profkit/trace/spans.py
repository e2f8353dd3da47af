"""Nesting per track: parent, depth, self time; anomalies are counted, never dropped.

Spans of one track (pid, tid) are ordered by ``(start, event index)``; if any span has no index, by start, then longest
first, then file order. The parent of a span is the nearest earlier one that is still open at its start. Ordering by
length even if there are indices would be wrong on traces of whole microseconds: of two truncated siblings ``[s, s]``
and ``[s, s+1]`` the longer, later one would become the parent of the earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from profkit.arrays import Ids, Integers, Mask
from profkit.trace.events import Events

_STRETCH = 1 << 15  # spans per step: their columns fit the core's own cache
_MOST_ROUNDS = 256  # of nearest_open on one stretch: traces with Python stacks need about 100


@dataclass(frozen=True)
class Nesting:
    """The call tree of some spans; the arrays have the shape ``(spans,)``, in the order of the events.

    ``parent`` is a row, -1 at the top. ``self_ns`` is the span's duration less the parts of its direct children
    inside it, in ns. ``anomalies`` counts: ``crossing`` children that end after their parent, and ``clamped`` self
    times that would have been negative. ``order`` holds the rows in nesting order, in which the descendants of a span
    follow it directly; None if that is the order of the events.
    """

    parent: Integers
    self_ns: Integers
    anomalies: dict[str, int]
    order: Integers | None = None

    @cached_property
    def depth(self) -> Ids:
        """The number of ancestors of each span."""
        depth = (self.parent >= 0).astype(np.int32)
        for above, active in _jumps(self.parent):
            depth[active] += depth[above]
        return depth

    @cached_property
    def _last(self) -> Integers:
        """For each place in nesting order, the place of the last descendant of the span there, or its own."""
        last = np.arange(len(self.parent))
        parent = self.parent if self.order is None else _in_order(self.parent, self.order)
        child = np.flatnonzero(parent >= 0)
        last[parent[child]] = child  # of several children the last one stays
        while len(child := np.flatnonzero(last[last] != last)):
            last[child] = last[last[child]]
        return last

    def subtree_sums(self, values: Integers) -> Integers:
        """Return for each span the sum of ``values`` over it and its descendants; both are of shape ``(spans,)``."""
        order: Integers | slice = slice(None) if self.order is None else self.order
        until = np.concatenate(([0], np.cumsum(values[order])))
        result = np.empty_like(values)
        result[order] = until[self._last + 1] - until[:-1]
        return result

    def has_same_above(self, key: Integers) -> Mask:
        """Return for each span whether one of its ancestors has the same key."""
        found = np.zeros(len(key), dtype=bool)
        if not len(key):
            return found
        order = np.arange(len(key)) if self.order is None else self.order
        by_key = np.argsort(key[order], kind="stable")
        keys = key[order][by_key]
        first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        # the descendants of a span follow it directly: an earlier span that reaches as far as a later one contains it
        reach = _running_maximum(self._last[by_key], first)
        same = np.zeros(len(key), dtype=bool)
        same[1:] = reach[:-1] >= by_key[1:]
        same[first] = False
        found[order[by_key]] = same
        return found


def _jumps(parent: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Yield ancestors of spans 1, 2, 4, ... levels above, and the rows of the spans that have one."""
    above = parent.copy()
    active = np.flatnonzero(above >= 0)
    while len(active):
        yield above[active], active
        above[active] = above[above[active]]
        active = active[above[active] >= 0]


def _in_order(parent: Integers, order: Integers) -> Integers:
    """Return the parents of the spans in nesting order, as places in that order."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    above = parent[order]
    return np.where(above >= 0, place[above], -1)


def nest(events: Events) -> Nesting:
    """Nest ``events``, which must all be of one kind: operators, or Python frames, ..."""
    order = None
    if is_in_order(events):  # as most files are written
        parent = nearest_open(events.track, events.start_ns, events.end_ns)
    else:
        order = sort_order(events)
        position = nearest_open(events.track[order], events.start_ns[order], events.end_ns[order])
        parent = np.full(len(events), -1, dtype=np.int64)
        parent[order] = np.where(position >= 0, order[position], -1)
    self_ns, anomalies = _self_times(events, parent)
    return Nesting(parent=parent, self_ns=self_ns, anomalies=anomalies, order=order)


def is_in_order(events: Events) -> bool:
    """Whether the rows are in nesting order already: track by track, by ``(start, index)`` within each."""
    track, start, index = events.track, events.start_ns, events.index
    if not len(events) or (index < 0).any() or (np.diff(track) < 0).any():
        return False
    later = start[1:] > start[:-1]
    later |= (start[1:] == start[:-1]) & (index[1:] >= index[:-1])
    later |= track[1:] != track[:-1]
    return bool(later.all())


def sort_order(events: Events) -> Integers:
    """Return the rows in nesting order: by track, start, event index (or duration, see above)."""
    if (events.index >= 0).all():
        return np.lexsort((events.index, events.start_ns, events.track))
    return np.lexsort((-events.duration_ns, events.start_ns, events.track))


def nearest_open(track: Ids, start: Integers, end: Integers) -> Integers:
    """Return for each span in nesting order the position of the nearest earlier one open at its start, or -1.

    Open means on the same track, with ``end`` after the ``start`` of the later span; ``start`` and ``end`` are in ns.
    The first candidate of each span is its predecessor. Every span between a closed candidate and that candidate's own
    candidate ended before the candidate began, so it can be skipped. The skips double in length: n log n at worst,
    for all spans at once.
    """
    candidate = np.arange(-1, len(start) - 1)
    if len(start):
        candidate[0] = -1
        candidate[1:][track[1:] != track[:-1]] = -1
    for begin in range(0, len(start), _STRETCH):
        active = np.flatnonzero(candidate[begin : begin + _STRETCH] >= 0) + begin
        rounds = 0
        while len(active):
            rounds += 1
            if rounds > _MOST_ROUNDS:
                return _nearest_open_by_stack(track, start, end)
            active = active[end[candidate[active]] <= start[active]]
            candidate[active] = candidate[candidate[active]]
            active = active[candidate[active] >= 0]
    return candidate


def _nearest_open_by_stack(track: Ids, start: Integers, end: Integers) -> Integers:
    """Return what :func:`nearest_open` does: in linear time whatever the depth, but slowly."""
    found = []
    open_: list[int] = []
    ends = end.tolist()
    on = None
    for place, (here, begin) in enumerate(zip(track.tolist(), start.tolist(), strict=True)):
        if here != on:
            open_, on = [], here
        while open_ and ends[open_[-1]] <= begin:  # starts rise: what is closed now stays closed
            open_.pop()
        found.append(open_[-1] if open_ else -1)
        open_.append(place)
    return np.array(found, dtype=np.int64)


def innermost_open(outer: Events, inner: Events) -> Integers:
    """Return for each of ``inner`` the row of the innermost of ``outer`` open on its track at its start, or -1."""
    count = len(outer)
    track = np.concatenate((outer.track, inner.track))
    start = np.concatenate((outer.start_ns, inner.start_ns))
    end = np.concatenate((outer.end_ns, inner.start_ns))  # zero length: never the parent of another
    is_inner = np.arange(len(start)) >= count
    length = np.concatenate((-outer.duration_ns, np.zeros(len(inner), dtype=np.int64)))
    order = np.lexsort((length, is_inner, start, track))
    found = nearest_open(track[order], start[order], end[order])
    result = np.full(len(start), -1, dtype=np.int64)
    result[order] = np.where(found >= 0, order[found], -1)
    return result[count:]


def _self_times(events: Events, parent: Integers) -> tuple[Integers, dict[str, int]]:
    start, end = events.start_ns, events.end_ns
    self_ns = events.duration_ns.copy()
    crossing = 0
    for begin in range(0, len(events), _STRETCH):
        child = np.flatnonzero(parent[begin : begin + _STRETCH] >= 0) + begin
        above = parent[child]
        crossing += int((end[child] > end[above]).sum())
        within = np.minimum(end[child], end[above]) - start[child]
        np.subtract.at(self_ns, above, np.maximum(within, 0))
    clamped = self_ns < 0
    anomalies = {
        "clamped": int(clamped.sum()),
        "crossing": crossing,
    }
    self_ns[clamped] = 0
    return self_ns, anomalies


def sums(cell: Integers, values: Integers, cells: int) -> Integers:
    """Return the exact sum of ``values`` per cell, shape ``(cells,)``.

    In float64, which is faster, if it represents every partial sum; else in int64.
    """
    if float(np.abs(values).sum(dtype=np.float64)) < 2.0**52:
        return np.bincount(cell, values, minlength=cells).astype(np.int64)
    result = np.zeros(cells, dtype=np.int64)
    np.add.at(result, cell, values)
    return result


def covered_ns(key: Integers, start: Integers, end: Integers) -> tuple[Integers, Integers]:
    """Return the distinct keys, rising, and for each the ns covered by at least one of its spans (their union)."""
    if not len(key):
        return key, key.astype(np.int64)
    if (start[1:] >= start[:-1]).all() and key.max() < 1 << 15:
        order = np.argsort(key.astype(np.int16), kind="stable")  # a radix sort
    else:
        order = np.lexsort((start, key))
    key, start, end = key[order], start[order], end[order]
    del order
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    # a span adds the part of it that is after all earlier spans of its key; in place: the columns may be long
    begin = np.empty_like(start)
    begin[0] = start[0]
    begin[1:] = np.maximum(start[1:], _running_maximum(end, first)[:-1])
    begin[first] = start[first]
    fresh = np.maximum(np.subtract(end, begin, out=end), 0, out=end)
    return key[first].astype(np.int64), np.add.reduceat(fresh, first)


def _running_maximum(values: Integers, first: Integers) -> Integers:
    """Return the running maximum of ``values`` within each group; ``first`` holds the groups' first positions."""
    # Each group is raised above the one before, so that one accumulation serves all; in a loop if int64 overflows.
    low = values.min()
    height = int(values.max() - low) + 1
    if height * len(first) < 1 << 62:
        lift = np.repeat(np.arange(len(first)) * height, np.diff(first, append=len(values)))
        running: Integers = np.maximum.accumulate(values - low + lift) - lift + low
        return running
    return np.concatenate([np.maximum.accumulate(group) for group in np.split(values, first[1:])])
