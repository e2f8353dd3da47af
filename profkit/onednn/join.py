"""Joins primitives to operators: which operator call each primitive ran in, by time, on the forward's thread."""

from __future__ import annotations

import msgspec
import numpy as np

from profkit.arrays import Ids, Integers
from profkit.onednn.log import Log
from profkit.trace.events import Events, Trace
from profkit.trace.forward import Forwards, find_forwards
from profkit.trace.spans import innermost_open

NONE = -1


class Joined(msgspec.Struct, frozen=True):
    """For each record of ``log`` the forward and the operator call it ran in, -1 if there is none.

    ``forward`` (a position in ``forwards``) and ``operator`` (a row of ``trace.operator_events``) have the shape
    ``(records,)``.
    """

    log: Log
    trace: Trace
    forwards: Forwards
    forward: Integers
    operator: Integers

    @property
    def is_warm(self) -> np.ndarray:
        """The mask of records, shape ``(records,)``, in a traced forward; those run after the warm-up."""
        return np.asarray(self.forward >= 0)

    def operator_names(self) -> list[str | None]:
        """Return the name of the operator of each record, None if it ran in none."""
        names = self.trace.operator_events.name
        return [self.trace.names[names[row]] if row >= 0 else None for row in self.operator.tolist()]


def join(log: Log, trace: Trace) -> Joined:
    """Join the records of ``log`` to the operators of ``trace``, both of the same process.

    A record belongs to the forward during which it begins, and to the innermost operator that is then open on the
    forward's thread. Both clocks give epoch time: oneDNN's in steps of 0.25 µs, the trace's up to PyTorch 2.3 in
    whole microseconds, so a record may begin one step before the operator it belongs to.
    """
    forwards = find_forwards(trace)
    start_ns = log.start_ns - trace.base_ns
    forward = np.where(log.start_ns >= 0, _covering(forwards, start_ns), NONE)
    operators = trace.operator_events
    operator = np.full(len(log), NONE, dtype=np.int64)
    inside = np.flatnonzero(forward >= 0)
    if len(inside) and len(operators):
        track = forwards.track[forward[inside]].astype(np.int32)
        # the middle of a short record is inside its operator even if its start is one step too early
        middle = start_ns[inside] + np.minimum(log.duration_ns[inside] // 2, trace.resolution_ns)
        operator[inside] = innermost_open(operators, _points(middle, track))
    return Joined(log, trace, forwards, forward, operator)


def _covering(forwards: Forwards, at_ns: Integers) -> Integers:
    """Return the forward that is open at each time, -1 if none is; forwards do not overlap in a pass with a log."""
    if not len(forwards):
        return np.full(len(at_ns), NONE, dtype=np.int64)
    place = np.searchsorted(forwards.start_ns, at_ns, side="right") - 1
    return np.where((place >= 0) & (at_ns < forwards.end_ns[np.maximum(place, 0)]), place, NONE)


def _points(at_ns: Integers, track: Ids) -> Events:
    """Return events without duration at these times, in ns, one per track given."""
    return Events.of(start_ns=at_ns, duration_ns=np.zeros_like(at_ns), track=track)
