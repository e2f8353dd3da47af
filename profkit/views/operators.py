"""The operator view of one run or trace (schema ``operators/1``); times in integer nanoseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import Literal

import msgspec
import numpy as np

from profkit.arrays import Integers
from profkit.runs.measurement import measure
from profkit.runs.store import Run
from profkit.trace.events import Trace
from profkit.trace.forward import find_forwards
from profkit.trace.operators import Key, sum_operators
from profkit.trace.options import DEFAULT, DETAIL, By, ReadOptions
from profkit.trace.reading.pending import PendingRead
from profkit.trace.reading.reader import read
from profkit.views.primitives import PrimitiveUse, primitives_by_operator, require_primitives


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the view's records."""


class ForwardsView(Record, frozen=True, kw_only=True):
    count: int
    rule: str
    wall_ns: list[int]


class OperatorRow(Record, frozen=True, kw_only=True):
    """One operator; per forward the figures are medians over forwards, else sums over everything."""

    name: str
    input_dims: str | None = None
    module: str | None = None
    stack: str | None = None
    calls: float
    self_host_ns: float
    total_host_ns: float
    self_device_ns: float = 0
    total_device_ns: float = 0
    primitives: list[PrimitiveUse] = []

    @property
    def place(self) -> str | None:
        """What it is told apart by from others of its name: input shapes, module or stack."""
        return self.input_dims or self.module or self.stack


class Repair(Record, frozen=True, kw_only=True):
    defect: str
    count: int


class OperatorsView(Record, frozen=True, kw_only=True):
    schema: Literal["operators/1"] = "operators/1"
    source: str
    torch: str | None
    per_forward: bool
    forwards: ForwardsView
    resolution_ns: int
    operators: list[OperatorRow]
    anomalies: dict[str, int]
    repairs: list[Repair]


def view_operators(
    run: Run,
    *,
    by: By = "name",
    per_forward: bool = False,
    options: ReadOptions = DEFAULT,
    pending: PendingRead | None = None,
) -> OperatorsView:
    """Return the operators of ``run``, by self host time: of all its traces together, or per forward.

    Raises InputError where a trace cannot be read.
    """
    run.require_traces()
    traces = [
        pending.result()
        if pending is not None and path == pending.path
        else read(path, detail=DETAIL[by], options=options)
        for path in run.traces
    ]
    forwards = [find_forwards(trace) for trace in traces]
    repairs: Counter[str] = Counter()
    for trace in traces:
        repairs.update(trace.repairs)
    rows, anomalies = _medians(run, by, options) if per_forward else _sums(traces, by)
    return OperatorsView(
        source=str(run.path),
        torch=next((t.torch_version for t in traces if t.torch_version), None),
        per_forward=per_forward,
        forwards=ForwardsView(
            count=sum(map(len, forwards)),
            rule=" / ".join(dict.fromkeys(f.rule for f in forwards)),
            wall_ns=[int(ns) for f in forwards for ns in f.wall_ns],
        ),
        resolution_ns=max((t.resolution_ns for t in traces), default=0),
        operators=sorted(rows, key=lambda row: (-row.self_host_ns, row.name)),
        anomalies=anomalies,
        repairs=[Repair(defect=defect, count=n) for defect, n in sorted(repairs.items())],
    )


def add_primitives(view: OperatorsView, run: Run, options: ReadOptions = DEFAULT) -> OperatorsView:
    """Return ``view`` with what oneDNN ran in each operator, per forward, from the run's own pass with its log.

    Raises InputError where the run has no such pass.
    """
    primitives = primitives_by_operator(require_primitives(run, options))
    rows = [msgspec.structs.replace(row, primitives=list(primitives.get(row.name, []))) for row in view.operators]
    return msgspec.structs.replace(view, operators=rows)


def _sums(traces: Sequence[Trace], by: By) -> tuple[list[OperatorRow], dict[str, int]]:
    figures: dict[Key, Integers] = {}
    anomalies: Counter[str] = Counter()
    for trace in traces:
        sums = sum_operators(trace, by=by)
        anomalies.update(sums.anomalies)
        for key, *row in zip(sums.keys, *(figure[0] for figure in sums.figures), strict=True):
            figures[key] = figures.get(key, np.zeros(5, dtype=np.int64)) + np.array(row)
    rows = [_row(by, key, *(int(value) for value in row)) for key, row in figures.items()]
    return rows, dict(anomalies)


def _medians(run: Run, by: By, options: ReadOptions) -> tuple[list[OperatorRow], dict[str, int]]:
    measured = measure(run, by, options)
    rows = [
        _row(by, key, *(float(np.median(getattr(series, f.name))) for f in fields(series)))
        for key, series in measured.operators.items()
    ]
    return rows, dict(measured.anomalies)


def _row(by: By, key: Key, calls: float, *times_ns: float) -> OperatorRow:
    self_host, total_host, self_device, total_device = times_ns
    return OperatorRow(
        name=key[0],
        input_dims=key[1] if by == "shape" else None,
        module=key[1] if by == "module" else None,
        stack=key[1] if by == "stack" else None,
        calls=calls,
        self_host_ns=self_host,
        total_host_ns=total_host,
        self_device_ns=self_device,
        total_device_ns=total_device,
    )
