"""Writes the median forwards of a baseline and a candidate as two processes of one trace, with a common start.

The longer lane is the slower side. Matching operators are linked by flow events. oneDNN primitives are nested under
their operators if the run has a log. They were measured in a separate pass, which is slower because it writes the log.
Each primitive is therefore scaled to the same fraction of its operator's call as in that pass. The format is Chrome's
trace event format, as Perfetto and the TensorBoard plugin read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from profkit import units
from profkit.arrays import Integers
from profkit.comparison.calls.align import Alignment, align
from profkit.onednn.join import Joined
from profkit.onednn.merge import CATEGORY, microseconds
from profkit.runs.contents import RunContents
from profkit.runs.evidence import Recording
from profkit.runs.forwards import WithoutForwards
from profkit.runs.measurement import rounds_of
from profkit.runs.store import Run
from profkit.trace.calls import CallTree, call_trees, merge, rows_of
from profkit.trace.events import Trace
from profkit.trace.forward import Forwards, find_forwards
from profkit.trace.options import DEFAULT, Detail, ReadOptions
from profkit.trace.reading.reader import read

LINK = "same operator"
PLACED = "by its share of the call"
_SIDES = ("baseline", "candidate")


class Lane(msgspec.Struct, frozen=True):
    """The median forward of a run: its trace, and the rows of its calls, shape (calls,), in the order of ``tree``."""

    run: Run
    trace: Trace
    start_ns: int
    end_ns: int
    tree: CallTree
    rows: Integers

    @property
    def wall_ns(self) -> int:
        """The forward's wall time in ns."""
        return self.end_ns - self.start_ns


def lanes(baseline: Run, candidate: Run, options: ReadOptions = DEFAULT) -> dict[str, Any]:
    """Return the trace document of both runs' median forwards; raises InputError if a run cannot be read."""
    both = [_lane(run, options) for run in (baseline, candidate)]
    events: list[dict[str, Any]] = []
    for pid, lane in enumerate(both, 1):
        events += _process_metadata(lane, pid)
        events += _spans(lane, pid)
        events += _primitives(lane, pid, options)
    events += _links(both, align(both[0].tree, both[1].tree))
    sides = {side: f"{lane.run.label} {lane.run.workload}" for side, lane in zip(_SIDES, both, strict=True)}
    return {"schemaVersion": 1, "displayTimeUnit": "ms", "profkit": sides, "traceEvents": events}


def _lane(run: Run, options: ReadOptions) -> Lane:
    run.require_traces()
    found: list[tuple[int, int, int]] = []
    read_traces: list[tuple[Trace, Forwards]] = []
    left_out = WithoutForwards(run)
    for path in run.traces:
        trace = read(path, detail=Detail.SHAPES, options=options)
        forwards = find_forwards(trace, options.forward)
        if not left_out.has_none(trace, forwards):
            found += [(int(ns), len(read_traces), index) for index, ns in enumerate(forwards.wall_ns)]
            read_traces.append((trace, forwards))
    left_out.require(found)
    rounds_of(run, [Recording.of(trace) for trace, _ in read_traces])  # raises InputError for several configurations
    _, number, index = sorted(found)[(len(found) - 1) // 2]
    trace, forwards = read_traces[number]
    rows = rows_of(trace, forwards, index)
    tree = merge(t for pair in read_traces for t in call_trees(*pair))
    names = _names(trace, rows)
    if [name for name, _ in tree.calls] != names:  # this forward differs from most
        tree = next(t for t in call_trees(trace, forwards) if [name for name, _ in t.calls] == names)
    return Lane(run, trace, int(forwards.start_ns[index]), int(forwards.end_ns[index]), tree, rows)


def _process_metadata(lane: Lane, pid: int) -> Iterator[dict[str, Any]]:
    name = f"{_SIDES[pid - 1]}: {lane.run.label} {lane.run.workload}, {units.duration(lane.wall_ns)}"
    yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
    yield {"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}


def _spans(lane: Lane, pid: int) -> Iterator[dict[str, Any]]:
    """Yield every span that begins in the forward, with times from its start; each thread has its own track."""
    trace, events = lane.trace, lane.trace.events
    inside = (events.start_ns >= lane.start_ns) & (events.start_ns < lane.end_ns) & (events.duration_ns >= 0)
    for row in np.flatnonzero(inside).tolist():
        start = int(events.start_ns[row])
        end = min(start + int(events.duration_ns[row]), lane.end_ns)
        shape = int(events.shape[row])
        yield {
            "ph": "X",
            "cat": trace.categories[events.category[row]] or "cpu_op",
            "name": trace.names[events.name[row]],
            "pid": pid,
            "tid": int(events.track[row]) + 1,
            "ts": microseconds(start - lane.start_ns),
            "dur": microseconds(end - start),
            "args": {"Input Dims": msgspec.Raw(trace.shapes[shape].encode())} if shape >= 0 else {},
        }


def _primitives(lane: Lane, pid: int, options: ReadOptions) -> Iterator[dict[str, Any]]:
    """Yield the oneDNN primitives, each at the same fraction of its operator's call as in the pass with the log."""
    joined = RunContents(lane.run, options).primitives
    if joined is None or not len(joined.forwards):
        return
    middle = int(np.argsort(joined.forwards.wall_ns)[(len(joined.forwards) - 1) // 2])
    logged = rows_of(joined.trace, joined.forwards, middle)
    if _names(lane.trace, lane.rows) != _names(joined.trace, logged):
        return  # the calls differ from those of the timed forward, so primitives cannot be assigned to them
    position = {int(row): index for index, row in enumerate(logged)}
    by_call: dict[int, list[int]] = defaultdict(list)
    for record in np.flatnonzero((joined.forward == middle) & (joined.operator >= 0)).tolist():
        if joined.log.primitives[joined.log.primitive[record]].operation == "exec":
            by_call[int(joined.operator[record])].append(record)
    for logged_call, records in by_call.items():
        yield from _in_call(lane, pid, joined, position[logged_call], logged_call, records)


def _in_call(
    lane: Lane, pid: int, joined: Joined, position: int, logged_call: int, records: list[int]
) -> Iterator[dict[str, Any]]:
    """Yield the primitives of one call, placed outside the operators that it calls."""
    timed, logged = lane.trace.operator_events, joined.trace.operator_events
    call = int(lane.rows[position])
    scale = int(timed.duration_ns[call]) / max(1, int(logged.duration_ns[logged_call]))
    inner = [int(lane.rows[child]) for child in lane.tree.children[position]]
    taken = [(int(timed.start_ns[row]), int(timed.end_ns[row])) for row in inner]
    free = int(timed.start_ns[call])
    for record in records:
        primitive = joined.log.primitives[joined.log.primitive[record]]
        offset = int(joined.log.start_ns[record]) - joined.trace.base_ns - int(logged.start_ns[logged_call])
        begin = max(free, int(timed.start_ns[call]) + round(offset * scale))
        length = round(int(joined.log.duration_ns[record]) * scale)
        begin, end = _between(taken, begin, length, int(timed.end_ns[call]))
        free = end
        yield {
            "ph": "X",
            "cat": CATEGORY,
            "name": f"{primitive.kind} {primitive.implementation}",
            "pid": pid,
            "tid": int(timed.track[call]) + 1,
            "ts": microseconds(begin - lane.start_ns),
            "dur": microseconds(end - begin),
            "args": {"fpmath": primitive.fpmath, "problem": primitive.problem, "placed": PLACED},
        }


def _between(taken: list[tuple[int, int]], begin: int, length: int, last: int) -> tuple[int, int]:
    """Return the begin and end of a span, moved out of the calls that it overlaps and cut before the next call.

    Viewers show spans of one track correctly only if they nest.
    """
    for start, end in taken:  # ascending
        if start <= begin < end:
            begin = end
    begin = min(begin, last)
    limit = min((start for start, _ in taken if start >= begin), default=last)
    return begin, min(begin + length, max(begin, limit), last)


def _names(trace: Trace, rows: Integers) -> list[str]:
    return [trace.names[name] for name in trace.operator_events.name[rows].tolist()]


def _links(both: list[Lane], alignment: Alignment) -> Iterator[dict[str, Any]]:
    """Yield flow events between matching top-level operators, and between those with another implementation."""
    callers = {change.caller for change in alignment.changes}
    top = [pair for pair in alignment.pairs if _is_top(both[0], pair[0]) and _is_top(both[1], pair[1])]
    pairs = sorted({*top, *callers, *alignment.stand_ins})
    for number, pair in enumerate(pairs, 1):
        for phase, pid, lane, position in zip("sf", (1, 2), both, pair, strict=True):
            events = lane.trace.operator_events
            row = int(lane.rows[position])
            link = {
                "ph": phase,
                "id": number,
                "cat": LINK,
                "name": LINK,
                "pid": pid,
                "tid": int(events.track[row]) + 1,
                "ts": microseconds(int(events.start_ns[row]) - lane.start_ns),
            }
            yield link | ({"bp": "e"} if phase == "f" else {})


def _is_top(lane: Lane, position: int) -> bool:
    parent = lane.tree.parent[position]
    return parent < 0 or (lane.tree.parent[parent] < 0 and lane.tree.calls[parent][0] == "forward")
