"""Call trees: which operator called which, as the forwards of a trace repeat it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import msgspec
import numpy as np

from profkit.arrays import Integers
from profkit.stats.quantiles import median
from profkit.trace.events import Events, Trace
from profkit.trace.forward import Forwards
from profkit.trace.spans import nest, sort_order

Call = tuple[str, str]
"""An operator's name and the JSON text of its input shapes, empty if the trace has none."""


class CallTree(msgspec.Struct, frozen=True, dict=True):
    """The calls of one forward in the order in which they began, each caller before its callees.

    ``parent`` holds positions, -1 at the top. ``total_ns`` holds durations in ns, shape ``(forwards, calls)``, for the
    forwards that made exactly these calls. ``others`` counts the forwards that made other calls. ``round_edges`` are
    the rows of ``total_ns`` at which the second and later traces begin.
    """

    calls: tuple[Call, ...]
    parent: tuple[int, ...]
    total_ns: Integers
    others: int = 0
    round_edges: tuple[int, ...] = ()

    @cached_property
    def children(self) -> list[list[int]]:
        """The positions of each call's callees; ``children[-1]`` holds the calls at the top."""
        found: list[list[int]] = [[] for _ in range(len(self.calls) + 1)]
        for position, parent in enumerate(self.parent):
            found[parent].append(position)
        return found

    @cached_property
    def median_ns(self) -> list[float]:
        """The median duration of each call over the forwards, in ns."""
        medians: list[float] = median(self.total_ns, axis=0).tolist()
        return medians


NO_CALLS = CallTree((), (), np.zeros((0, 0), dtype=np.int64))


def call_trees(trace: Trace, forwards: Forwards) -> list[CallTree]:
    """Return the distinct call trees of the forwards of ``trace``, which must be read with input shapes.

    Forwards that make the same calls in the same order share one tree. With a 1 µs clock a short caller may be
    truncated to zero and lose its callees in some forwards. Truncation only removes callers, so the deepest caller
    seen in any forward is right.
    """
    events = trace.operator_events
    row = forwards.of(events)
    order, starts = _ordered(events, row, len(forwards))
    place = np.full(len(events), -1, dtype=np.int64)  # of each event within its forward
    place[order] = np.arange(len(order)) - starts[row[order]]
    above = nest(events).parent
    parent = np.where((above >= 0) & (row[above] == row), place[above], -1)[order]
    code = np.stack((events.name[order].astype(np.int64), events.shape[order].astype(np.int64)), axis=1)
    found: dict[bytes, list[int]] = {}
    for forward in range(len(forwards)):
        found.setdefault(code[starts[forward] : starts[forward + 1]].tobytes(), []).append(forward)
    trees = []
    for members in found.values():
        spans = [slice(starts[m], starts[m + 1]) for m in members]
        names, shapes = code[spans[0]].T.tolist()
        calls = ((trace.names[n], trace.shapes[s] if s >= 0 else "") for n, s in zip(names, shapes, strict=True))
        deepest = np.max([parent[span] for span in spans], axis=0)
        duration = np.stack([events.duration_ns[order[span]] for span in spans])
        trees.append(CallTree(tuple(calls), tuple(deepest.tolist()), duration))
    return trees


def rows_of(trace: Trace, forwards: Forwards, forward: int) -> Integers:
    """Return the rows of ``trace.operator_events`` that are the calls of one forward, in the order of its tree."""
    events = trace.operator_events
    order, starts = _ordered(events, forwards.of(events), len(forwards))
    return order[starts[forward] : starts[forward + 1]]


def _ordered(events: Events, row: Integers, count: int) -> tuple[Integers, Integers]:
    """Return the rows in forwards, in nesting order per forward, and the position where each forward begins."""
    order = sort_order(events)
    order = order[np.argsort(row[order], kind="stable")]
    order = order[row[order] >= 0]
    return order, np.searchsorted(row[order], np.arange(count + 1))


def merge(trees: Iterable[CallTree]) -> CallTree:
    """Return the tree that most forwards of ``trees`` share, with the durations of all of them; else ``NO_CALLS``."""
    alike: dict[tuple[Call, ...], list[CallTree]] = {}
    for tree in trees:
        alike.setdefault(tree.calls, []).append(tree)
    if not alike:
        return NO_CALLS
    forwards = {calls: sum(len(tree.total_ns) for tree in group) for calls, group in alike.items()}
    calls = max(forwards, key=lambda key: forwards[key])
    return CallTree(
        calls,
        tuple(np.max([tree.parent for tree in alike[calls]], axis=0).tolist()),
        np.concatenate([tree.total_ns for tree in alike[calls]]),
        sum(forwards.values()) - forwards[calls],
        tuple(np.cumsum([len(tree.total_ns) for tree in alike[calls]])[:-1].tolist()),
    )
