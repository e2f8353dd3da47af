"""Call trees: which operator called which, as the forwards of a trace repeat it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from profkit.arrays import Integers
from profkit.trace.events import Events, Trace
from profkit.trace.forward import Forwards
from profkit.trace.spans import nest, sort_order

Call = tuple[str, str]
"""An operator's name and the JSON text of its input shapes, empty where the trace has none."""


@dataclass(frozen=True)
class CallTree:
    """The calls of one forward in the order in which they began, callers before what they call.

    ``parent`` holds positions, -1 at the top. ``total_ns`` has one row per forward that called exactly this, and one
    column per call: its duration in ns. ``others`` counts the forwards that called something else.
    """

    calls: tuple[Call, ...]
    parent: tuple[int, ...]
    total_ns: Integers
    others: int = 0

    @cached_property
    def children(self) -> list[list[int]]:
        """The positions of what each call calls; at the end those at the top, so that ``children[-1]`` is theirs."""
        found: list[list[int]] = [[] for _ in range(len(self.calls) + 1)]
        for position, parent in enumerate(self.parent):
            found[parent].append(position)
        return found

    @cached_property
    def median_ns(self) -> list[float]:
        """The median duration of each call over the forwards, in ns."""
        medians: list[float] = np.median(self.total_ns, axis=0).tolist()
        return medians


NO_CALLS = CallTree((), (), np.zeros((0, 0), dtype=np.int64))


def call_trees(trace: Trace, forwards: Forwards) -> list[CallTree]:
    """Return the distinct call trees of the forwards of ``trace``; the trace is to be read with input shapes.

    Forwards that make the same calls in the same order follow one tree. A clock of whole microseconds shortens some
    callers to nothing, which then seem to have called nothing, another one in each forward: of the callers that the
    forwards show for a call, the nearest is the true one, for truncation can only lose one.
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
        nearest = np.max([parent[span] for span in spans], axis=0)
        duration = np.stack([events.duration_ns[order[span]] for span in spans])
        trees.append(CallTree(tuple(calls), tuple(nearest.tolist()), duration))
    return trees


def rows_of(trace: Trace, forwards: Forwards, forward: int) -> Integers:
    """Return the rows of ``trace.operator_events`` that are the calls of one forward, in the order of its tree."""
    events = trace.operator_events
    order, starts = _ordered(events, forwards.of(events), len(forwards))
    return order[starts[forward] : starts[forward + 1]]


def _ordered(events: Events, row: Integers, count: int) -> tuple[Integers, Integers]:
    """Return the rows in forwards, forward by forward in nesting order, and where each forward begins among them."""
    order = sort_order(events)
    order = order[np.argsort(row[order], kind="stable")]
    order = order[row[order] >= 0]
    return order, np.searchsorted(row[order], np.arange(count + 1))


def merge(trees: Iterable[CallTree]) -> CallTree:
    """Return the tree that most forwards of all ``trees`` follow, with the durations of all that do."""
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
    )
