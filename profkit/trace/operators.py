"""Spans → operator statistics: calls, host and device times per key, for the whole file or per forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from profkit.arrays import Integers, Mask
from profkit.trace.device import device_times, has_device_events
from profkit.trace.events import Events, Trace
from profkit.trace.forward import Forwards
from profkit.trace.modules import modules, stacks
from profkit.trace.options import By
from profkit.trace.spans import Nesting, covered_ns, nest, sums

Key = tuple[str, str | None]
"""An operator's name, and its shapes, module or stack if the operators are grouped by that, else None."""


@dataclass(frozen=True, slots=True)
class OperatorSamples:
    """Per row (one forward, or the whole file) and per operator key: calls, host and device times in ns.

    The arrays have the shape ``(rows, keys)``. Self host time is an operator's own duration less its direct child
    operators; total host time is the time with at least one call of that key on the stack. Device times are
    the durations of the kernels and copies that the operator launched, itself or, in total, through what it calls.
    ``anomalies`` counts the oddities of :class:`Nesting` and of the file (:class:`TraceHead`), and ``unattributed``
    device events.
    """

    keys: tuple[Key, ...]
    calls: Integers
    self_ns: Integers
    total_ns: Integers
    self_device_ns: Integers
    total_device_ns: Integers
    anomalies: Mapping[str, int]

    @property
    def figures(self) -> tuple[Integers, Integers, Integers, Integers, Integers]:
        """Calls, self and total host time, self and total device time; each of shape ``(rows, keys)``, times in ns."""
        return self.calls, self.self_ns, self.total_ns, self.self_device_ns, self.total_device_ns


def sum_operators(
    trace: Trace, forwards: Forwards | None = None, by: By = "name", nesting: Nesting | None = None
) -> OperatorSamples:
    """Sum the operators of ``trace``: over the whole file in one row, or in one row per forward.

    Operators that start outside every forward are left out per forward, and included over the whole file. ``trace``
    must have been read with the detail that ``by`` needs (``DETAIL[by]``). ``nesting`` is that of its operators, if it
    is known already.
    """
    events = trace.operator_events
    nesting = nest(events) if nesting is None else nesting
    rows = 1 if forwards is None else len(forwards)
    keys, column = _keys(trace, events, by)
    cell: Integers = column
    inside: Mask | slice = slice(None)
    if forwards is not None:
        row = forwards.of(events)
        inside = row >= 0
        cell = (row * len(keys) + column)[inside]
    cells = rows * len(keys)
    tracks = max(1, len(trace.tracks))
    covered, ns = covered_ns(cell * tracks + events.track[inside], events.start_ns[inside], events.end_ns[inside])
    self_device_ns = total_device_ns = np.zeros(cells, dtype=np.int64)
    anomalies = {**nesting.anomalies, "negative": 0, "implausible": 0, **trace.anomalies}
    if has_device_events(trace):
        device = device_times(trace, events, nesting)
        self_device_ns = sums(cell, device.self_ns[inside], cells)
        outermost = ~nesting.has_same_above(column)
        total_device_ns = sums(cell, (device.subtree_ns * outermost)[inside], cells)
        anomalies["unattributed"] = device.unattributed
    shape = (rows, len(keys))
    return OperatorSamples(
        keys,
        np.bincount(cell, minlength=cells).reshape(shape),
        sums(cell, nesting.self_ns[inside], cells).reshape(shape),
        sums(covered // tracks, ns, cells).reshape(shape),
        self_device_ns.reshape(shape),
        total_device_ns.reshape(shape),
        anomalies,
    )


def _keys(trace: Trace, events: Events, by: By) -> tuple[tuple[Key, ...], Integers]:
    """Return the keys in order of first appearance, and each event's position among them."""
    second, texts = _second(trace, events, by)
    width = len(texts)
    code = events.name.astype(np.int64) * width + second
    size = max(1, len(trace.names)) * width
    if size <= 1 << 22:  # nearly always: a table of every possible key takes at most 48 MiB and saves the sorting
        first = np.full(size, len(code), dtype=np.int64)
        first[code[::-1]] = np.arange(len(code) - 1, -1, -1)
        present = np.flatnonzero(first < len(code))
        chosen = present[np.argsort(first[present], kind="stable")]
        rank = np.zeros(size, dtype=np.int32)
        rank[chosen] = np.arange(len(chosen))
        position = rank[code]
    else:
        chosen, first, position = np.unique(code, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        chosen, position = chosen[order], rank[position]
    return tuple((trace.names[c // width], texts[c % width]) for c in chosen.tolist()), position


def _second(trace: Trace, events: Events, by: By) -> tuple[Integers, list[str | None]]:
    """Return the second half of each event's key, as a position in a table of texts, and the table."""
    if by == "name":
        return np.zeros(len(events), dtype=np.int64), [None]
    if by == "shape":
        return _distinct(events.shape + 1, ["[]", *trace.shapes])
    positions, texts = (modules if by == "module" else stacks)(trace, events)
    return _distinct(positions, [*texts])


def _distinct(positions: Integers, texts: list[str | None]) -> tuple[Integers, list[str | None]]:
    """Return the table without repeated texts, and the positions in it: a key must not occur twice.

    An operator without inputs has the same shapes as one whose inputs were not recorded, for example.
    """
    first: dict[str | None, int] = {}
    moved = [first.setdefault(text, len(first)) for text in texts]
    if len(first) == len(texts):
        return positions, texts
    return np.array(moved, dtype=np.int64)[positions], [*first]
