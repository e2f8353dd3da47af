"""Spans → operator statistics: calls, self and total host time per key, for the whole file and per forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from profkit.trace.forward import Forwards
from profkit.trace.spans import covered_ns, nest
from profkit.trace.table import Events, Integers, Trace

By = Literal["name", "shape"]
Key = tuple[str, str | None]
"""An operator's name and, by shape, its ``Input Dims`` as JSON text; else None."""


@dataclass(frozen=True, slots=True)
class OperatorSamples:
    """Per row (one forward, or the whole file) and per operator key: calls, self and total host time in ns.

    The arrays have the shape ``(rows, len(keys))``. Self host time is an operator's own duration less its direct
    child operators; total host time is the time with at least one call of that key on the stack.
    """

    keys: tuple[Key, ...]
    calls: Integers
    self_ns: Integers
    total_ns: Integers
    anomalies: Mapping[str, int]


def sum_operators(trace: Trace, forwards: Forwards | None = None, by: By = "name") -> OperatorSamples:
    """Sum the operators of ``trace``: over the whole file in one row, or in one row per forward.

    Per forward, operators that start outside every forward are left out; over the whole file nothing is.
    """
    events = trace.operators
    nesting = nest(events)
    rows = 1 if forwards is None else len(forwards)
    row = np.zeros(len(events), dtype=np.int64) if forwards is None else forwards.of(events)
    keys, column = _keys(trace, events, by)
    inside = row >= 0
    cell = row[inside] * len(keys) + column[inside]
    calls, self_ns, total_ns = (np.zeros(rows * len(keys), dtype=np.int64) for _ in range(3))
    np.add.at(calls, cell, 1)
    np.add.at(self_ns, cell, nesting.self_ns[inside])
    tracks = max(1, len(trace.tracks))
    covered, ns = covered_ns(cell * tracks + events.track[inside], events.start_ns[inside], events.end_ns[inside])
    np.add.at(total_ns, covered // tracks, ns)
    shape = (rows, len(keys))
    return OperatorSamples(
        keys, calls.reshape(shape), self_ns.reshape(shape), total_ns.reshape(shape), nesting.anomalies
    )


def _keys(trace: Trace, events: Events, by: By) -> tuple[tuple[Key, ...], Integers]:
    """Return the keys in order of first appearance, and each event's position among them."""
    if by == "name":
        code, width = events.name.astype(np.int64), 1
    else:
        width = len(trace.shapes) + 1
        code = events.name.astype(np.int64) * width + events.shape + 1
    _, first, position = np.unique(code, return_index=True, return_inverse=True)
    appearance = np.argsort(first, kind="stable")
    rank = np.empty_like(appearance)
    rank[appearance] = np.arange(len(appearance))
    chosen = code[first[appearance]]
    if by == "name":
        return tuple((trace.names[c], None) for c in chosen), rank[position]
    return tuple((trace.names[c // width], _shape(trace, int(c % width) - 1)) for c in chosen), rank[position]


def _shape(trace: Trace, shape: int) -> str:
    return trace.shapes[shape] if shape >= 0 else "[]"
