"""Device time per operator: the kernels and copies that each operator call launched.

A kernel belongs to the operator whose ``External id`` it carries; else to that of the runtime call that launched it
(same ``correlation``): by the call's own ``External id``, else to the innermost operator open on the call's thread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from profkit.arrays import Integers
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.spans import Nesting, innermost_open, sums


@dataclass(frozen=True, slots=True)
class DeviceTimes:
    """Device time per operator call in ns, shape ``(operator calls,)``, in the order of ``Trace.operator_events``.

    ``self_ns`` is the time of the kernels and copies that the call itself launched, ``subtree_ns`` includes those of
    the calls below it. ``unattributed`` counts the device events whose operator is not in the file.
    """

    self_ns: Integers
    subtree_ns: Integers
    unattributed: int


def device_times(trace: Trace, operators: Events, nesting: Nesting) -> DeviceTimes:
    """Attribute every kernel and copy of ``trace`` to a call of ``operators``."""
    work = trace.events.take(trace.has_category(dialect.DEVICE))
    calls = trace.events.take(trace.has_category(dialect.RUNTIME))
    owner = _by_id(operators.external_id, work.external_id)
    lost = np.flatnonzero(owner < 0)
    if len(lost) and len(calls):
        call = _by_id(calls.correlation, work.correlation[lost])
        of_call = _by_id(operators.external_id, calls.external_id)
        open_then = innermost_open(operators, calls)
        of_call = np.where(of_call >= 0, of_call, open_then)
        owner[lost] = np.where(call >= 0, of_call[call], -1)
    found = owner >= 0
    own = sums(owner[found], work.duration_ns[found], len(operators))
    return DeviceTimes(own, _subtree_sums(own, nesting), int((~found).sum()))


def _by_id(ids: Integers, wanted: Integers) -> Integers:
    """Return for each wanted id the row of ``ids`` that has it, or -1; ids up to 0 mean that there is none."""
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    row = order[place]
    found: Integers = np.where((ids[row] == wanted) & (wanted > 0), row, -1)
    return found


def _subtree_sums(own: Integers, nesting: Nesting) -> Integers:
    """Add the value of every call to all its ancestors."""
    subtree: Integers = own.copy()
    for depth in range(int(nesting.depth.max(initial=0)), 0, -1):
        level = np.flatnonzero(nesting.depth == depth)
        np.add.at(subtree, nesting.parent[level], subtree[level])
    return subtree
