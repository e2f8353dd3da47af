"""Finds where each forward begins and ends: by the first rule that applies; the result names the rule.

``named`` (the annotation that the user says is the forward), ``annotation`` (profkit's own around each forward),
``step`` (``ProfilerStep#N``), ``script`` (the TorchScript ``forward`` operator), ``module`` (the root ``nn.Module``
frame), ``envelope`` (first to last top-level operator of a process).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from profkit.arrays import Ids, Integers, Mask
from profkit.errors import UsageError
from profkit.shortening import LONGEST_NAME, listed, shorten
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.spans import has_same_above, nest

NAMED = "named"
# annotations that PyTorch makes itself, and those that this module has rules for
_OWN: tuple[str, ...] = (dialect.STEP_PREFIX, dialect.FORWARD_ANNOTATION, "PyTorch Profiler", "Optimizer.")
_OWN += ("enumerate(DataLoader)", "DataParallel", "DistributedDataParallel", "nccl:", "gloo:")
_OWN += ("Torch", "## ", "Pregraph", "AOTDispatcher")
_BACKWARD = re.compile(r"Backward[0-9]*$")
_LISTED = 10  # annotations in an error


def _no_processes() -> Ids:
    return np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Forwards:
    """The forwards of a trace in time order; the arrays have the shape ``(forwards,)``.

    ``rule`` names the rule that found them (see above). ``start_ns`` and ``end_ns`` are ns on the clock of
    :class:`Events`; ``track`` is the position of the thread in ``Trace.tracks``. ``process``, of the shape
    ``(tracks,)``, numbers the processes of a file that has several, by track; else it is empty.
    """

    rule: str
    start_ns: Integers
    end_ns: Integers
    track: Ids
    process: Ids = field(default_factory=_no_processes)

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def wall_ns(self) -> Integers:
        """The wall time of each forward in ns."""
        return self.end_ns - self.start_ns

    def of(self, events: Events) -> Integers:
        """Return for each event the position of the forward it starts in, -1 if it starts in none.

        Forwards of several threads may overlap. An event on a thread that has forwards belongs to one of those, any
        other event to the latest forward that is open in its process.
        """
        result = self._latest_open(np.arange(len(self)), events.start_ns)
        if len(self) > 1 and (self.start_ns[1:] < self.end_ns[:-1]).any():
            if len(self.process):
                self._settle(result, self.process[self.track], self.process[events.track], events.start_ns)
            self._settle(result, self.track, events.track, events.start_ns)
        return result

    def _settle(self, result: Integers, of_forward: Ids, of_event: Ids, at_ns: Integers) -> None:
        """Put into ``result`` the forward of each event whose group, a process or a thread, has forwards."""
        forwards, events = np.argsort(of_forward, kind="stable"), np.argsort(of_event, kind="stable")
        for group in np.unique(of_forward):
            mine = _equal_to(group, of_event, events)
            result[mine] = self._latest_open(_equal_to(group, of_forward, forwards), at_ns[mine])

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


def _equal_to(value: np.signedinteger, values: Ids, order: Integers) -> Integers:
    """Return the positions of a value among ``values``, which ``order`` sorts; without a look at the others."""
    begin = np.searchsorted(values, value, "left", sorter=order)
    end = np.searchsorted(values, value, "right", sorter=order)
    found: Integers = order[begin:end]
    return found


def find_forwards(trace: Trace, name: str | None = None) -> Forwards:
    """Find the forwards of ``trace``; there is none if no rule applies and it has no operator.

    With ``name`` each outermost span of that name is a forward, and no other rule counts: an annotation, or, if there
    is none, an operator or a Python frame. Raises UsageError, which lists the annotations, if there is no such span.
    """
    process = _processes(trace)
    if name is not None:
        return _in_order(NAMED, _named(trace, name), process)
    for rule, find in _RULES:
        events = find(trace)
        if len(events):
            return _in_order(rule, events, process)
    operators = trace.operator_events
    if not len(operators):
        nothing = np.zeros(0, dtype=np.int64)
        return Forwards("envelope", nothing, nothing, nothing.astype(np.int32))
    if not len(process):
        first, last = operators.start_ns.min(keepdims=True), operators.end_ns.max(keepdims=True)
        return Forwards("envelope", first, last, operators.track[:1])
    return _in_order("envelope", _envelopes(operators, process), process)


def _envelopes(operators: Events, process: Ids) -> Events:
    """Return one span per process, from its first operator to its last, on the track of the first in the file."""
    _, row, number = np.unique(process[operators.track], return_index=True, return_inverse=True)
    start, end = operators.start_ns[row], operators.end_ns[row]
    np.minimum.at(start, number, operators.start_ns)
    np.maximum.at(end, number, operators.end_ns)
    return Events.of(start_ns=start, duration_ns=end - start, track=operators.track[row])


def _in_order(rule: str, events: Events, process: Ids) -> Forwards:
    order = np.argsort(events.start_ns, kind="stable")
    return Forwards(rule, events.start_ns[order], events.end_ns[order], events.track[order], process)


def _processes(trace: Trace) -> Ids:
    """Return the number of the process of each track, shape ``(tracks,)``; empty if one process has all operators."""
    numbers: dict[int | str, int] = {}
    process = np.array([numbers.setdefault(pid, len(numbers)) for pid, _ in trace.tracks], dtype=np.int32)
    if len(numbers) < 2 or len(process_ids(trace)) < 2:
        return _no_processes()
    return process


def process_ids(trace: Trace) -> list[int | str]:
    """Return the ids of the processes that have operators, in the order of their tracks in the file."""
    tracks = np.flatnonzero(np.bincount(trace.operator_events.track, minlength=1)).tolist()
    return list(dict.fromkeys(trace.tracks[track][0] for track in tracks)) if len(trace.operator_events) else []


def _named(trace: Trace, name: str) -> Events:
    wanted = trace.name_mask(equal=name)
    for categories in (dialect.ANNOTATION, dialect.OPERATOR, dialect.PYTHON):
        if len(found := _outermost(trace, categories, wanted)):
            return found
    operators = trace.operator_events  # of the autograd profiler's exporter, which writes no categories
    found = operators.take(wanted[operators.name]) if len(operators) else operators
    if len(found):
        return found.take(nest(found).parent < 0)
    known = [f"{shorten(other, LONGEST_NAME)} ({count})" for other, count in user_annotations(trace).items()]
    hint = f"Its annotations are: {listed(known, 2 * LONGEST_NAME, _LISTED)}." if known else ""
    hint = hint or "It has no annotation: put torch.profiler.record_function(NAME) around the forward."
    what = f"the trace has no span named {shorten(name, LONGEST_NAME)!r}"
    raise UsageError(what, where=trace.source, hint=hint)


def user_annotations(trace: Trace) -> dict[str, int]:
    """Return the user's annotations, and how often each occurs outside itself; the most frequent first.

    Exporters without a category for annotations write them as operators; there, a name without ``::`` is taken for one.
    """
    mine = np.array([not name.startswith(_OWN) for name in trace.names], dtype=bool)
    if trace.dialect in dialect.WITHOUT_ANNOTATIONS:
        operators = trace.operator_events
        mine &= np.array(["::" not in name and not _BACKWARD.search(name) for name in trace.names], dtype=bool)
        mine &= ~trace.name_mask(equal=dialect.SCRIPT_FORWARD)
        spans = operators.take(mine[operators.name]) if len(operators) else operators
    else:
        spans = trace.events.take(trace.has_category(dialect.ANNOTATION) & trace.has_name(mine))
    if not len(spans):
        return {}
    outermost = spans.name[~has_same_above(spans.name.astype(np.int64), nest(spans).parent)]
    numbers, counts = np.unique(outermost, return_counts=True)
    found = {trace.names[number]: count for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def unused_annotations(trace: Trace, forwards: Forwards) -> dict[str, int]:
    """Return the user's annotations that occur more than once, if they could be the forwards and were not taken.

    Profkit's own annotation and the one that the user named are not doubted.
    """
    if forwards.rule in (NAMED, "annotation"):
        return {}
    return {name: count for name, count in user_annotations(trace).items() if count > 1}


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
