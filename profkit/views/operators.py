"""The operators of one run or trace (schema ``operators/1``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from profkit.arrays import Integers
from profkit.comparison.records.parts import HasPlace, InputDims, Module, Record, Stack, place_fields
from profkit.errors import InputError
from profkit.onednn.records import PrimitiveUse
from profkit.quantities import Amount, Count
from profkit.runs.evidence import Recording
from profkit.runs.forwards import hint_at_annotations
from profkit.runs.measurement import FIGURES, Measurement, measure, rounds_of
from profkit.runs.ranks import ProcessTimes, side_by_side, times_of_processes
from profkit.runs.store import Run
from profkit.shortening import LONGEST_NAME, shorten
from profkit.trace.events import Trace
from profkit.trace.forward import Forwards, find_forwards
from profkit.trace.nature import KernelTime, Nature, kernel_times, nature_of
from profkit.trace.operators import Key, OperatorSamples, sum_operators
from profkit.trace.options import DEFAULT, DETAIL, By, ReadOptions
from profkit.trace.reading.pending import PendingRead, read_pending
from profkit.views.parts import Kernel, Rank, kernels, ranks


class ForwardsView(Record, frozen=True, kw_only=True):
    """The forwards of all traces."""

    count: Annotated[Count, Meta(description="number of forwards")]
    rule: Annotated[str, Meta(description="rule that identified the forwards")]
    wall_ns: Annotated[list[Count], Meta(description="wall times (ns)")]


class OperatorRow(Record, HasPlace, frozen=True, kw_only=True):
    """One operator. Its values are medians over forwards if ``per_forward`` is true, else sums over all traces."""

    name: Annotated[str, Meta(description="operator name")]
    input_dims: InputDims = None
    module: Module = None
    stack: Stack = None
    calls: Annotated[Amount, Meta(description="number of calls")]
    self_host_ns: Annotated[Amount, Meta(description="host time without the operators that it calls (ns)")]
    total_host_ns: Annotated[Amount, Meta(description="host time with at least one call of it on the stack (ns)")]
    self_device_ns: Annotated[Amount, Meta(description="device time of the kernels that it launched directly (ns)")] = 0
    total_device_ns: Annotated[
        Amount, Meta(description="device time of the kernels it and its callees launched (ns)")
    ] = 0
    primitives: Annotated[
        list[PrimitiveUse], Meta(description="oneDNN primitives that ran in it, with --with-primitives")
    ] = []


class Repair(Record, frozen=True, kw_only=True):
    """A kind of damage repaired while reading."""

    defect: Annotated[str, Meta(description="the damage")]
    count: Annotated[Count, Meta(description="number of occurrences")]


class OperatorsView(Record, frozen=True, kw_only=True):
    """The operators, largest self host time first."""

    schema: Annotated[Literal["operators/1"], Meta(description="schema of this document")] = "operators/1"
    source: Annotated[str, Meta(description="path of the run or trace")]
    torch: Annotated[str | None, Meta(description="PyTorch version")]
    per_forward: Annotated[bool, Meta(description="whether values are medians over forwards instead of sums")]
    forwards: Annotated[ForwardsView, Meta(description="the forwards")]
    resolution_ns: Annotated[Count, Meta(description="resolution of the trace's clock (ns)")]
    operators: Annotated[list[OperatorRow], Meta(description="the rows")]
    anomalies: Annotated[dict[str, Count], Meta(description="number of anomalies in the traces, by kind")]
    repairs: Annotated[list[Repair], Meta(description="damage repaired while reading")]
    warnings: Annotated[list[str], Meta(description="which traces do not count, or not as rounds, and why")] = []
    ranks: Annotated[list[Rank], Meta(description="ranks or processes side by side; empty for a single one")] = []
    contents: Annotated[
        str | None, Meta(description="what the traces are if they have no operator, in words; else null")
    ] = None
    kernels: Annotated[list[Kernel], Meta(description="device work by name, if the traces have no operator")] = []
    hints: Annotated[list[str], Meta(description="what may make the result say more")] = []


def view_operators(
    run: Run,
    *,
    by: By = "name",
    per_forward: bool = False,
    with_primitives: bool = False,
    options: ReadOptions = DEFAULT,
    pending: PendingRead | None = None,
) -> OperatorsView:
    """Return the operators of ``run``: of all its traces together, or per forward.

    ``with_primitives`` adds the oneDNN primitives of each operator per forward, from the pass that wrote the log. Each
    trace is decoded once; ``pending`` is a read that has already started. Raises InputError if a trace cannot be read,
    or if primitives are requested and the run has no oneDNN log.
    """
    if not (per_forward or with_primitives):
        return _sum_traces(run, by, options, pending)
    measured = measure(run, (by,), options, pending=pending)
    return view_measured(measured, by, _primitives(run, options) if with_primitives else {})


def view_measured(
    measured: Measurement, by: By, uses: Mapping[str, Sequence[PrimitiveUse]] = MappingProxyType({})
) -> OperatorsView:
    """Return the operators per forward of what was measured; ``uses`` are the primitives of each operator."""
    return OperatorsView(
        source=str(measured.run.path),
        torch=measured.torch,
        per_forward=True,
        forwards=ForwardsView(
            count=measured.forwards,
            rule=measured.rule,
            wall_ns=[int(ns) for forwards in measured.forward_ns for ns in forwards],
        ),
        resolution_ns=measured.resolution_ns,
        operators=_sorted(_median_rows(measured, by, uses)),
        anomalies=dict(measured.anomalies),
        repairs=_repairs(measured.repairs),
        warnings=list(measured.warnings),
        ranks=ranks(measured.ranks),
        hints=list(measured.hints),
    )


def _primitives(run: Run, options: ReadOptions) -> Mapping[str, Sequence[PrimitiveUse]]:
    """Return the oneDNN primitives that ran in each operator."""
    from profkit.onednn.summary import primitives_by_operator
    from profkit.runs.contents import RunContents

    return primitives_by_operator(RunContents(run, options).require_primitives())


def _median_rows(measured: Measurement, by: By, uses: Mapping[str, Sequence[PrimitiveUse]]) -> list[OperatorRow]:
    table = measured.tables[by]
    columns = [table.medians(figure) for figure in FIGURES]
    return [
        _row(by, key, *figures, primitives=list(uses.get(key[0], [])))
        for key, *figures in zip(table.keys, *columns, strict=True)
    ]


def _sum_traces(run: Run, by: By, options: ReadOptions, pending: PendingRead | None) -> OperatorsView:
    """Sum over all traces. They are read one after the other, and only the sums of each are kept in memory."""
    run.require_traces()
    every: list[_TraceSums] = []
    for path in run.traces:
        trace = read_pending(path, DETAIL[by], options, pending)
        every.append(_TraceSums.of(trace, by, options))
    if not any(part.samples.keys for part in every):
        _require_pytorch(every)
    rounds = rounds_of(run, [part.origin for part in every])
    sums: dict[Key, Integers] = {}
    anomalies: Counter[str] = Counter()
    repairs: Counter[str] = Counter()
    parts = [every[position] for position in rounds.counted]
    for part in parts:
        repairs.update(part.repairs)
        anomalies.update(part.samples.anomalies)
        _add(sums, part.samples)
    walls = [int(ns) for part in parts for ns in part.forwards.wall_ns]
    rule = " / ".join(dict.fromkeys(part.forwards.rule for part in parts))
    return OperatorsView(
        source=str(run.path),
        torch=next((part.torch for part in parts if part.torch is not None), None),
        per_forward=False,
        forwards=ForwardsView(count=len(walls), rule=rule, wall_ns=walls),
        resolution_ns=max(part.resolution_ns for part in parts),
        operators=_sorted([_row(by, key, *figures.tolist()) for key, figures in sums.items()]),
        anomalies=dict(anomalies),
        repairs=_repairs(repairs),
        warnings=[*(_without_operators(parts) if sums else []), *rounds.warnings],
        ranks=ranks(side_by_side([times for part in parts for times in part.processes])),
        contents=None if sums else " ".join(dict.fromkeys(f"{p.nature.text}." for p in parts if p.nature is not None)),
        kernels=[] if sums else kernels(kernel for part in parts for kernel in part.kernels),
        hints=list(dict.fromkeys(part.hint for part in parts if part.hint is not None)),
    )


def _require_pytorch(parts: Sequence[_TraceSums]) -> None:
    """Raise InputError if another program wrote every trace, none of which has an operator."""
    natures = [part.nature for part in parts]
    if natures[0] is not None and all(nature is not None and nature.is_foreign for nature in natures):
        hint = "Pass a trace that torch.profiler wrote (export_chrome_trace or tensorboard_trace_handler)."
        raise InputError(natures[0].text.removeprefix("It "), where=parts[0].origin.path, hint=hint)


def _without_operators(parts: Sequence[_TraceSums]) -> list[str]:
    """Return a warning for each trace without operators, beside others that have some."""
    named = ((shorten(part.origin.path.name, LONGEST_NAME), part.nature) for part in parts)
    return [f"{name} has no operator. {nature.text}." for name, nature in named if nature is not None]


class _TraceSums(msgspec.Struct, frozen=True):
    """What is kept of one trace; ``samples`` are the sums over the whole file.

    ``nature`` and ``kernels`` say what it holds if it has no operator.
    """

    origin: Recording
    forwards: Forwards
    samples: OperatorSamples
    processes: Sequence[ProcessTimes]
    nature: Nature | None
    kernels: Sequence[KernelTime]
    hint: str | None
    torch: str | None
    resolution_ns: int
    repairs: Mapping[str, int]

    @classmethod
    def of(cls, trace: Trace, by: By, options: ReadOptions) -> _TraceSums:
        forwards = find_forwards(trace, options.forward)
        nature = nature_of(trace)
        return cls(
            origin=Recording.of(trace),
            forwards=forwards,
            samples=sum_operators(trace, by=by),
            processes=times_of_processes(trace, forwards),
            nature=nature,
            kernels=[] if nature is None else kernel_times(trace),
            hint=hint_at_annotations(trace, forwards),
            torch=trace.torch_version,
            resolution_ns=trace.resolution_ns,
            repairs=trace.repairs,
        )


def _add(sums: dict[Key, Integers], found: OperatorSamples) -> None:
    """Add the operators of a whole trace to ``sums``."""
    for key, *figures in zip(found.keys, *(figure[0] for figure in found.figures), strict=True):
        sums[key] = sums.get(key, np.zeros(len(FIGURES), dtype=np.int64)) + np.array(figures)


def _sorted(rows: Sequence[OperatorRow]) -> list[OperatorRow]:
    return sorted(rows, key=lambda row: (-row.self_host_ns, row.name))


def _repairs(found: Mapping[str, int]) -> list[Repair]:
    return [Repair(defect=defect, count=count) for defect, count in sorted(found.items())]


def _row(by: By, key: Key, calls: float, *times_ns: float, primitives: Sequence[PrimitiveUse] = ()) -> OperatorRow:
    self_host, total_host, self_device, total_device = times_ns
    return OperatorRow(
        name=key[0],
        **place_fields(by, key),
        calls=calls,
        self_host_ns=self_host,
        total_host_ns=total_host,
        self_device_ns=self_device,
        total_device_ns=total_device,
        primitives=list(primitives),
    )
