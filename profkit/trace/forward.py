"""Where one forward begins and ends: the first rule that applies, and the result says which.

``annotation`` (profkit's own around each forward), ``step`` (``ProfilerStep#N``), ``script`` (the TorchScript
``forward`` operator), ``module`` (the root ``nn.Module`` frame), ``envelope`` (first to last top-level operator).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from profkit.trace import dialect
from profkit.trace.spans import nest
from profkit.trace.table import Events, Integers, Mask, Trace


@dataclass(frozen=True, slots=True)
class Forwards:
    """The forwards of a trace in time order; ``start_ns`` and ``end_ns`` since the trace's epoch, in ns."""

    rule: str
    start_ns: Integers
    end_ns: Integers

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def wall_ns(self) -> Integers:
        return self.end_ns - self.start_ns

    def of(self, events: Events) -> Integers:
        """Return for each event the position of the forward it starts in, -1 where it starts in none."""
        position = np.searchsorted(self.start_ns, events.start_ns, side="right") - 1
        inside = (position >= 0) & (events.start_ns < self.end_ns[np.maximum(position, 0)])
        return np.where(inside, position, -1)


def find_forwards(trace: Trace) -> Forwards:
    """Find the forwards of ``trace``; none where it has no operator either."""
    for rule, find in _RULES:
        events = find(trace)
        if len(events):
            order = np.argsort(events.start_ns, kind="stable")
            return Forwards(rule, events.start_ns[order], events.end_ns[order])
    operators = trace.operator_events
    if not len(operators):
        nothing = np.zeros(0, dtype=np.int64)
        return Forwards("envelope", nothing, nothing)
    return Forwards("envelope", operators.start_ns.min(keepdims=True), operators.end_ns.max(keepdims=True))


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
    """Return the events of those categories and names that stand in no other such event."""
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
