"""The oneDNN primitives that ran in an operator's calls of one shape, as commands of benchdnn."""

from __future__ import annotations

import numpy as np

from profkit.arrays import Mask
from profkit.onednn.benchdnn import benchdnn
from profkit.onednn.join import join
from profkit.onednn.log import Log, read_log
from profkit.runs.store import Run
from profkit.trace.events import Trace
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading.reader import read

_MOST = 3  # commands: a call of one shape has one or two problems


def commands_of(run: Run, operator: str, dims: str, reading: ReadOptions) -> list[str]:
    """Return commands for the primitives in the calls of ``operator`` with these shapes, the longest time first.

    ``dims`` are the shapes as the trace reader has them. Returns [] without oneDNN's log; raises InputError if it
    cannot be read.
    """
    path, trace_path = run.onednn_log, run.onednn_trace
    if path is None or trace_path is None:
        return []
    log = read_log(path, reading.memory_limit)
    trace = read(trace_path, detail=Detail.SHAPES, options=reading)
    joined = join(log, trace)
    inside = _inside(log, trace, operator, dims) & joined.is_warm
    spent: dict[str, int] = {}
    chosen = np.flatnonzero(inside)
    for number, ns in zip(log.primitive[chosen].tolist(), log.duration_ns[chosen].tolist(), strict=True):
        primitive = log.primitives[number]
        if primitive.operation == "exec":
            types = dict(part.split(":", 1) for part in primitive.data_types.split() if ":" in part)
            command = benchdnn(primitive.kind, primitive.problem, types, primitive.fpmath)
            if command is not None:
                spent[command] = spent.get(command, 0) + ns
    return sorted(spent, key=lambda command: -spent[command])[:_MOST]


def _inside(log: Log, trace: Trace, operator: str, dims: str) -> Mask:
    """Return the mask of the records that begin in a call of the operator with these shapes."""
    events = trace.operator_events
    wanted = [i for i, name in enumerate(trace.names) if name == operator]
    shapes = [i for i, text in enumerate(trace.shapes) if text == dims]
    rows = np.flatnonzero(np.isin(events.name, wanted) & np.isin(events.shape, shapes))
    rows = rows[np.argsort(events.start_ns[rows], kind="stable")]
    nothing: Mask = np.zeros(len(log), dtype=bool)
    if not len(rows):
        return nothing
    # a record may begin one step of the trace's clock before its operator
    at = log.start_ns - trace.base_ns + np.minimum(log.duration_ns // 2, trace.resolution_ns)
    place = np.searchsorted(events.start_ns[rows], at, side="right") - 1
    found: Mask = (place >= 0) & (at < events.end_ns[rows][np.maximum(place, 0)])
    return found
