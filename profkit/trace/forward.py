"""Finds where each forward begins and ends: by the first rule that applies; the result names the rule.

``annotation`` (profkit's own around each forward), ``step`` (``ProfilerStep#N``), ``script`` (the TorchScript
``forward`` operator), ``module`` (the root ``nn.Module`` frame), ``envelope`` (first to last top-level operator).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from profkit.arrays import Ids, Integers, Mask
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.spans import nest


@dataclass(frozen=True, slots=True)
class Forwards:
    """The forwards of a trace in time order; the arrays have the shape ``(forwards,)``.

    ``rule`` names the rule that found them (see above). ``start_ns`` and ``end_ns`` are ns on the clock of
    :class:`Events`; ``track`` is the position of the thread in ``Trace.tracks``.
    """

    rule: str
    start_ns: Integers
    end_ns: Integers
    track: Ids

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def wall_ns(self) -> Integers:
        """The wall time of each forward in ns."""
        return self.end_ns - self.start_ns

    def of(self, events: Events) -> Integers:
        """Return for each event the position of the forward it starts in, -1 if it starts in none.

        Forwards of several threads may overlap. An event on a thread that has forwards belongs to one of those, any
        other event to the latest forward that is open.
        """
        result = self._latest_open(np.arange(len(self)), events.start_ns)
        if len(self) > 1 and (self.start_ns[1:] < self.end_ns[:-1]).any():
            for track in np.unique(self.track):
                mine = events.track == track
                result[mine] = self._latest_open(np.flatnonzero(self.track == track), events.start_ns[mine])
        return result

    def _latest_open(self, forwards: Integers, at_ns: Integers) -> Integers:
        """Return the latest of ``forwards`` (rising positions) that is open at each time; -1 if none is."""
        if not len(forwards):
            return np.full(len(at_ns), -1, dtype=np.int64)
        place = np.searchsorted(self.start_ns[forwards], at_ns, side="right") - 1
        # of the forwards that began earlier, the last one to end
        ends = self.end_ns[forwards]
        longest = np.maximum.accumulate(np.where(ends >= np.maximum.accumulate(ends), np.arange(len(ends)), 0))
        found = np.full(len(at_ns), -1, dtype=np.int64)
        for candidate in (np.maximum(longest[np.maximum(place, 0)], 0), np.maximum(place, 0)):
            inside = (place >= 0) & (at_ns < ends[candidate])
            found[inside] = forwards[candidate[inside]]
        return found


def find_forwards(trace: Trace) -> Forwards:
    """Find the forwards of ``trace``; there is none if no rule applies and it has no operator."""
    for rule, find in _RULES:
        events = find(trace)
        if len(events):
            order = np.argsort(events.start_ns, kind="stable")
            return Forwards(rule, events.start_ns[order], events.end_ns[order], events.track[order])
    operators = trace.operator_events
    if not len(operators):
        nothing = np.zeros(0, dtype=np.int64)
        return Forwards("envelope", nothing, nothing, nothing.astype(np.int32))
    first, last = operators.start_ns.min(keepdims=True), operators.end_ns.max(keepdims=True)
    return Forwards("envelope", first, last, operators.track[:1])


def _annotated(trace: Trace) -> Events:
    return _outermost(trace, dialect.ANNOTATION, trace.name_mask(equal=dialect.FORWARD_ANNOTATION))


def _steps(trace: Trace) -> Events:
    # 1.8 to 1.11 wrote steps in the operators' category
    return _outermost(trace, dialect.ANNOTATION | dialect.OPERATOR, trace.name_mask(prefix=dialect.STEP_PREFIX))


def _scripted(trace: Trace) -> Events:
    return _outermost(trace, dialect.OPERATOR, trace.name_mask(equal=dialect.SCRIPT_FORWARD))


def _modules(trace: Trace) -> Events:
    return _outermost(trace, dialect.PYTHON, trace.name_mask(prefix=dialect.MODULE_PREFIX))


def _outermost(trace: Trace, categories: frozenset[str], names: Mask) -> Events:
    """Return the events of those categories and names that are not inside another such event."""
    if not names.any():
        return trace.events.take(np.zeros(0, dtype=np.int64))
    events = trace.events.take(trace.has_category(categories) & trace.has_name(names))
    return events.take(nest(events).parent < 0)


_RULES: tuple[tuple[str, Callable[[Trace], Events]], ...] = (
    ("annotation", _annotated),
    ("step", _steps),
    ("script", _scripted),
    ("module", _modules),
)
