"""Nesting per track: parent, depth, self time; anomalies are counted, never dropped.

Spans of one track (pid, tid) are ordered by ``(start, event index)``; where a span has no index, by start, then
longest first, then file order. The parent of a span is the nearest earlier one still open at its start. Ordering
by length alone would be wrong on traces of whole microseconds: of two truncated siblings ``[s, s]`` and
``[s, s+1]`` the longer, later one would swallow the earlier. You cannot nest longer things in shorter things.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from profkit.trace.table import Events, Ids, Integers, Mask

_YEAR_NS = 365 * 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Nesting:
    """The call tree of some spans, row by row in the order of the events it was made from.

    ``parent`` is a row, -1 at the top. ``self_ns`` is the span's own duration less its direct children, in ns.
    ``anomalies`` counts what was odd: ``crossing`` children that end after their parent (the overhang is not
    charged to the parent), ``negative`` durations, ``implausible`` ones of more than a year, ``clamped`` self times
    that would have been negative.
    """

    parent: Integers
    depth: Ids
    self_ns: Integers
    anomalies: dict[str, int]


def nest(events: Events) -> Nesting:
    """Nest ``events``, all of which belong to one kind (operators, Python frames, ...)."""
    order = sort_order(events)
    track, start, end = events.track[order], events.start_ns[order], events.end_ns[order]
    parent_position = nearest_open(track, start, end)
    parent = np.full(len(events), -1, dtype=np.int64)
    parent[order] = np.where(parent_position >= 0, order[parent_position], -1)
    self_ns, anomalies = _self_times(events, parent)
    return Nesting(parent=parent, depth=_depths(parent), self_ns=self_ns, anomalies=anomalies)


def sort_order(events: Events) -> Integers:
    """Return the rows in nesting order: by track, start, event index."""
    if (events.index >= 0).all():
        return np.lexsort((events.index, events.start_ns, events.track))
    return np.lexsort((-events.duration_ns, events.start_ns, events.track))


def nearest_open(track: Ids, start: Integers, end: Integers) -> Integers:
    """Return for each span in nesting order the position of the nearest earlier one open at its start, or -1.

    Open means same track and ``end > start`` of the later one. Each span's candidate begins at its predecessor.
    Everything between a closed candidate and that candidate's own candidate ended before the candidate began,
    so a jump over it is safe, and jumps of jumps double in length: n log n at worst, all spans at once.
    """
    candidate = np.arange(-1, len(start) - 1)
    if len(start):
        candidate[np.flatnonzero(np.diff(track, prepend=track[0] - 1))] = -1
    active = np.flatnonzero(candidate >= 0)
    while len(active):
        active = active[end[candidate[active]] <= start[active]]
        candidate[active] = candidate[candidate[active]]
        active = active[candidate[active] >= 0]
    return candidate


def innermost_open(outer: Events, inner: Events) -> Integers:
    """Return for each of ``inner`` the row of the innermost of ``outer`` open on its track at its start, or -1."""
    count = len(outer)
    track = np.concatenate((outer.track, inner.track))
    start = np.concatenate((outer.start_ns, inner.start_ns))
    end = np.concatenate((outer.end_ns, inner.start_ns))  # never open for another
    is_inner = np.arange(len(start)) >= count
    length = np.concatenate((-outer.duration_ns, np.zeros(len(inner), dtype=np.int64)))
    order = np.lexsort((length, is_inner, start, track))
    found = nearest_open(track[order], start[order], end[order])
    result = np.full(len(start), -1, dtype=np.int64)
    result[order] = np.where(found >= 0, order[found], -1)
    return result[count:]


def has_same_above(key: Integers, parent: Integers) -> Mask:
    """Return for each span whether one with the same key stands above it in the tree."""
    found = np.zeros(len(key), dtype=bool)
    ancestor = parent.copy()
    active = np.flatnonzero(ancestor >= 0)
    while len(active):
        same = key[ancestor[active]] == key[active]
        found[active[same]] = True
        active = active[~same]
        ancestor[active] = parent[ancestor[active]]
        active = active[ancestor[active] >= 0]
    return found


def _depths(parent: Integers) -> Ids:
    depth = np.zeros(len(parent), dtype=np.int32)
    ancestor = parent.copy()
    active = np.flatnonzero(ancestor >= 0)
    while len(active):
        depth[active] += 1
        ancestor[active] = parent[ancestor[active]]
        active = active[ancestor[active] >= 0]
    return depth


def _self_times(events: Events, parent: Integers) -> tuple[Integers, dict[str, int]]:
    end = events.end_ns
    child = np.flatnonzero(parent >= 0)
    within = np.minimum(end[child], end[parent[child]]) - events.start_ns[child]
    self_ns = events.duration_ns.copy()
    np.subtract.at(self_ns, parent[child], np.maximum(within, 0))
    clamped = self_ns < 0
    anomalies = {
        "clamped": int(clamped.sum()),
        "crossing": int((end[child] > end[parent[child]]).sum()),
        "negative": int((events.duration_ns < 0).sum()),
        "implausible": int((events.duration_ns > _YEAR_NS).sum()),
    }
    return np.where(clamped, 0, self_ns), anomalies


def covered_ns(key: Integers, start: Integers, end: Integers) -> tuple[Integers, Integers]:
    """Return the distinct keys and, for each, the ns covered by at least one of its spans (their union)."""
    order = np.lexsort((start, key))
    key, start, end = key[order], start[order], end[order]
    if not len(key):
        return key, key.astype(np.int64)
    first = np.flatnonzero(np.diff(key, prepend=key[0] - 1))
    reached = _running_maximum(end, first)
    before = np.concatenate(([0], reached[:-1]))
    before[first] = start[first]
    fresh = np.maximum(end - np.maximum(start, before), 0)
    return key[first], np.add.reduceat(fresh, first)


def _running_maximum(values: Integers, first: Integers) -> Integers:
    """Return the running maximum of ``values`` within each group; ``first`` holds the groups' first positions."""
    # Groups are lifted apart so that one accumulation serves all, by less than int64 can hold or in a loop.
    low = values.min()
    height = int(values.max() - low) + 1
    if height * len(first) < 1 << 62:
        lift = np.repeat(np.arange(len(first)) * height, np.diff(first, append=len(values)))
        running: Integers = np.maximum.accumulate(values - low + lift) - lift + low
        return running
    return np.concatenate([np.maximum.accumulate(group) for group in np.split(values, first[1:])])
