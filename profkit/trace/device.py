"""Device time per operator: the kernels and copies that each operator call launched.

A kernel belongs to the operator whose ``External id`` it carries; else to that of the runtime call that launched it
(same ``correlation``): by the call's own ``External id``, else to the innermost operator open on the call's thread. In
the files of the exporter before kineto a flow leads from the operator to the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from profkit.arrays import Integers, Mask
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.spans import Nesting, innermost_open, sums


@dataclass(frozen=True, slots=True)
class DeviceTimes:
    """Device time per operator call in ns, shape ``(operator calls,)``, in the order of ``Trace.operator_events``.

    ``self_ns`` is the time of the kernels and copies that the call itself launched, ``subtree_ns`` includes those of
    the calls below it. ``unattributed`` counts the device events whose operator is not in the file, and those of a
    category that is not known to be work.
    """

    self_ns: Integers
    subtree_ns: Integers
    unattributed: int


def has_device_events(trace: Trace) -> bool:
    """Whether the trace may hold device work."""
    return (
        bool(trace.devices)
        or any(dialect.may_be_device(category) for category in trace.categories)
        or bool(trace.has_category(dialect.DEVICE_UNCERTAIN).any())
        or bool(_old_devices(trace).any())
    )


def device_times(trace: Trace, operators: Events, nesting: Nesting) -> DeviceTimes:
    """Attribute every kernel and copy of ``trace`` to a call of ``operators``."""
    old = _old_devices(trace)
    work = trace.events.take(trace.has_category(dialect.DEVICE) | old)
    calls = trace.events.take(trace.has_category(dialect.RUNTIME))
    owner = _by_id(operators.external_id, work.external_id)
    lost = np.flatnonzero(owner < 0)
    if len(lost) and len(calls):
        call = _by_id(calls.correlation, work.correlation[lost])
        of_call = _by_id(operators.external_id, calls.external_id)
        open_then = innermost_open(operators, calls)
        of_call = np.where(of_call >= 0, of_call, open_then)
        owner[lost] = np.where(call >= 0, of_call[call], -1)
    if old.any():
        by_flow = _by_flow(trace, operators, work)
        owner = np.where(owner >= 0, owner, by_flow)
    found = owner >= 0
    own = sums(owner[found], work.duration_ns[found], len(operators))
    unattributed = int((~found).sum()) + _uncertain(trace)
    return DeviceTimes(own, nesting.subtree_sums(own), unattributed)


def _old_devices(trace: Trace) -> Mask:
    """Return the mask of the kernels that the exporter before kineto wrote, shape ``(events,)``."""
    is_device = np.array([dialect.is_old_device(pid) for pid, _ in trace.tracks], dtype=bool)
    return is_device[trace.events.track] if is_device.any() else np.zeros(len(trace.events), dtype=bool)


def _uncertain(trace: Trace) -> int:
    """Return the number of events that may be device work: of a category that is not known to be."""
    unknown = frozenset(category.lower() for category in trace.categories if dialect.is_unknown(category))
    launched = trace.has_category(unknown) & (trace.events.correlation > 0)
    return int((launched | trace.has_category(dialect.DEVICE_UNCERTAIN)).sum())


def _by_id(ids: Integers, wanted: Integers) -> Integers:
    """Return for each wanted id the row of ``ids`` that has it, or -1; ids up to 0 mean that there is none."""
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    row = order[place]
    found: Integers = np.where((ids[row] == wanted) & (wanted > 0), row, -1)
    return found


def _by_flow(trace: Trace, operators: Events, work: Events) -> Integers:
    """Return for each of ``work`` the row of its operator, or -1, as the exporter before kineto ties them.

    A flow begins at the start of the operator, on its thread, and ends at the start of the kernel, on its device.
    """
    tracks = {track: number for number, track in enumerate(trace.tracks)}
    begins: dict[object, tuple[int, int]] = {}
    ends: dict[tuple[int, int], object] = {}
    for phase, category, number, pid, tid, ns in trace.flow_records:
        track = tracks.get((pid, tid))
        if track is not None and phase == "s":
            begins[category, number] = (track, ns)
        elif track is not None and phase == "f":
            ends[track, ns] = (category, number)
    places = zip(work.track.tolist(), work.start_ns.tolist(), strict=True)
    launches = [begins.get(ends.get(place), (-1, 0)) for place in places]
    at = Events.of(
        start_ns=np.array([ns for _, ns in launches], dtype=np.int64),
        duration_ns=np.zeros(len(launches), dtype=np.int64),
        track=np.array([track for track, _ in launches], dtype=np.int32),
    )
    return innermost_open(operators, at)
