"""Nesting by (start, event index): golden cases, a brute-force oracle, and what must hold for any input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profkit.trace.events import Events
from profkit.trace.reading.reader import parse
from profkit.trace.spans import covered_ns, nest
from tests.conftest import event, trace_json


def events_of(*records: dict[str, Any]) -> Events:
    return parse(trace_json(records), "t").events


def test_children_leave_their_parents_self_time() -> None:
    nesting = nest(events_of(event("a", 0, 10, 0), event("b", 1, 3, 1), event("c", 2, 1, 2), event("b", 5, 4, 3)))
    assert nesting.parent.tolist() == [-1, 0, 1, 0]
    assert nesting.depth.tolist() == [0, 1, 2, 1]
    assert nesting.self_ns.tolist() == [3000, 2000, 1000, 4000]


def test_a_truncated_sibling_is_not_swallowed_by_the_next() -> None:
    """[5, 5] and [5, 6] by index are siblings; longest first would put the first into the second."""
    nesting = nest(events_of(event("aten::empty", 5, 0, 0), event("aten::empty", 5, 1, 1)))
    assert nesting.parent.tolist() == [-1, -1]


def test_without_index_the_longest_of_one_start_is_the_parent() -> None:
    nesting = nest(events_of(event("b", 5, 1), event("a", 5, 4), event("c", 6, 2)))
    assert nesting.parent.tolist() == [1, -1, 1]


def test_a_child_beyond_its_parents_end_is_counted_and_its_overhang_not_charged() -> None:
    nesting = nest(events_of(event("a", 0, 10, 0), event("b", 8, 6, 1), event("c", 12, 1, 2)))
    assert nesting.parent.tolist() == [-1, 0, 1]
    assert nesting.self_ns.tolist() == [8000, 5000, 1000]
    assert nesting.anomalies == {"clamped": 0, "crossing": 1}


def test_tracks_do_not_nest_in_each_other() -> None:
    nesting = nest(events_of(event("a", 0, 10, 0), event("b", 1, 2, 1, tid=2), event("c", 2, 2, 2, pid=2)))
    assert nesting.parent.tolist() == [-1, -1, -1]


def test_nothing() -> None:
    nesting = nest(events_of())
    assert len(nesting.parent) == len(nesting.self_ns) == 0


def test_many_siblings_take_few_passes() -> None:
    n = 20_000
    events = events_of(event("a", 0, 2 * n, 0), *(event("b", 2 * i, 1, i + 1) for i in range(n)))
    nesting = nest(events)
    assert (nesting.parent[1:] == 0).all()
    assert nesting.self_ns[0] == n * 1000


@pytest.mark.timeout(60)
def test_deep_nesting_takes_no_more_than_its_events() -> None:
    n = 100_000
    depth = np.arange(n)
    events = columns([(0, k, 2 * (n - k)) for k in range(n)])
    nesting = nest(events)
    assert nesting.parent.tolist() == list(range(-1, n - 1))
    assert (nesting.depth == depth).all()
    assert (nesting.self_ns[:-1] == 2).all()
    assert (nesting.subtree_sums(depth) == np.cumsum(depth[::-1])[::-1]).all()
    assert (nesting.has_same_above(depth % 7) == (depth >= 7)).all()


def columns(spans: list[tuple[int, int, int]]) -> Events:
    """Events of (track, start, duration); the index is the position."""
    track, start, duration = (np.array(c, dtype=np.int64) for c in zip(*spans, strict=True))
    zeros = np.zeros(len(spans), dtype=np.int32)
    nothing = np.full(len(spans), -1)
    return Events(start, duration, zeros, zeros, track.astype(np.int32), np.arange(len(spans)), *[nothing] * 5)


def slow_parents(events: Events) -> list[int]:
    """The definition, word for word: the nearest earlier span of the track that is open at the start."""
    order = sorted(range(len(events)), key=lambda i: (events.track[i], events.start_ns[i], events.index[i]))
    parents = [-1] * len(events)
    for place, i in enumerate(order):
        for j in reversed(order[:place]):
            if events.track[j] == events.track[i] and events.end_ns[j] > events.start_ns[i]:
                parents[i] = j
                break
    return parents


any_spans = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(-3, 40)), min_size=1, max_size=60)


@given(any_spans)
@settings(max_examples=400, deadline=None)
def test_any_input_nests_as_the_definition_says(spans: list[tuple[int, int, int]]) -> None:
    events = columns(spans)
    nesting = nest(events)
    assert nesting.parent.tolist() == slow_parents(events)
    assert (nesting.self_ns >= 0).all()
    assert len(nesting.self_ns) == len(spans)  # nothing is dropped


@given(any_spans, st.data())
@settings(max_examples=300, deadline=None)
def test_sums_over_the_tree_are_those_of_a_recursion(spans: list[tuple[int, int, int]], data: st.DataObject) -> None:
    """Whatever crosses what, and in any order of the rows."""
    shuffled = data.draw(st.permutations(range(len(spans))))
    sorted_events = columns(spans)
    events = sorted_events.take(np.array(shuffled))
    values = data.draw(st.lists(st.integers(0, 1 << 40), min_size=len(spans), max_size=len(spans)))
    keys = data.draw(st.lists(st.integers(0, 3), min_size=len(spans), max_size=len(spans)))
    nesting = nest(events)
    parents = slow_parents(events)
    assert nesting.parent.tolist() == parents

    def below(row: int) -> int:
        return values[row] + sum(below(child) for child, parent in enumerate(parents) if parent == row)

    def above(row: int) -> list[int]:
        return [] if parents[row] < 0 else [parents[row], *above(parents[row])]

    rows = range(len(spans))
    assert nesting.subtree_sums(np.array(values)).tolist() == [below(row) for row in rows]
    assert nesting.depth.tolist() == [len(above(row)) for row in rows]
    found = nesting.has_same_above(np.array(keys))
    assert found.tolist() == [keys[row] in [keys[other] for other in above(row)] for row in rows]


@st.composite
def call_trees(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Properly nested spans of up to three tracks, parents before children."""
    spans: list[tuple[int, int, int]] = []

    def grow(track: int, start: int, end: int, depth: int) -> None:
        at = start
        while at < end and len(spans) < 80 and draw(st.booleans()):
            begin = draw(st.integers(at, end - 1))
            finish = draw(st.integers(begin + 1, end))
            spans.append((track, begin, finish - begin))
            if depth < 5:
                grow(track, begin, finish, depth + 1)
            at = finish

    for track in range(draw(st.integers(1, 3))):
        grow(track, 0, 100, 0)
    return spans or [(0, 0, 1)]


@given(call_trees())
@settings(max_examples=300, deadline=None)
def test_self_times_of_nested_spans_sum_to_the_union_of_the_top(spans: list[tuple[int, int, int]]) -> None:
    events = columns(spans)
    nesting = nest(events)
    assert sum(nesting.anomalies.values()) == 0
    for track in set(events.track.tolist()):
        mine = events.track == track
        top = mine & (nesting.parent < 0)
        covered = np.zeros(101, dtype=bool)
        for start, end in zip(events.start_ns[top], events.end_ns[top], strict=True):
            covered[start:end] = True
        assert nesting.self_ns[mine].sum() == covered.sum()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=50))
@settings(max_examples=300, deadline=None)
def test_covered_time_is_the_union(spans: list[tuple[int, int, int]]) -> None:
    key, start, duration = (np.array(c, dtype=np.int64) for c in zip(*spans, strict=True))
    keys, ns = covered_ns(key, start, start + duration)
    for k, found in zip(keys, ns, strict=True):
        points = {p for j, s, d in spans if j == k for p in range(s, s + d)}
        assert found == len(points)


def test_covered_time_of_spans_centuries_apart() -> None:
    key = np.arange(100) % 50
    start = np.where(np.arange(100) < 50, -(1 << 61), 1 << 61)
    _, ns = covered_ns(key, start, start + 7)
    assert ns.tolist() == [14] * 50
