"""Describes a run: format, versions, forwards, anomalies, repairs (schema ``info/1``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.parts import Record
from profkit.errors import InputError
from profkit.quantities import Count
from profkit.runs.evidence import Recording
from profkit.runs.forwards import hint_at_annotations
from profkit.runs.manifest import Manifest
from profkit.runs.measurement import rounds_of
from profkit.runs.ranks import ProcessTimes, side_by_side, times_of_processes
from profkit.runs.store import Run
from profkit.trace.forward import find_forwards, user_annotations
from profkit.trace.nature import nature_of
from profkit.trace.operators import sum_operators
from profkit.trace.options import DEFAULT, Detail, ReadOptions
from profkit.trace.reading.reader import read
from profkit.views.parts import Rank, ranks


class TraceInformation(Record, frozen=True, kw_only=True):
    """One trace file."""

    file: Annotated[str, Meta(description="file name")]
    torch: Annotated[str | None, Meta(description="PyTorch version that profkit wrote into the file")]
    dialect: Annotated[str, Meta(description="PyTorch versions, or the other program, that write this file's dialect")]
    devices: Annotated[Count, Meta(description="number of accelerators listed in the file")]
    resolution_ns: Annotated[Count, Meta(description="resolution of its clock (ns)")]
    spans: Annotated[Count, Meta(description="events with a duration")]
    operators: Annotated[Count, Meta(description="operator events")]
    tracks: Annotated[Count, Meta(description="timelines (pid, tid)")]
    categories: Annotated[dict[str, Count], Meta(description="spans per category")]
    other_events: Annotated[dict[str, Count], Meta(description="records that are not spans, by phase")]
    rule: Annotated[str, Meta(description="rule that identified the forwards")]
    forward_ns: Annotated[list[Count], Meta(description="wall times of the forwards (ns)")]
    anomalies: Annotated[dict[str, Count], Meta(description="number of anomalies, by kind")]
    repairs: Annotated[dict[str, Count], Meta(description="number of repairs, by kind of damage")]
    contents: Annotated[str | None, Meta(description="what the file is if it has no operator; else null")] = None
    annotations: Annotated[
        dict[str, Count], Meta(description="annotations of the user, and how often each occurs outside itself")
    ] = {}


class RunInformation(Record, frozen=True, kw_only=True):
    """One run or trace."""

    schema: Annotated[Literal["info/1"], Meta(description="schema of this document")] = "info/1"
    path: Annotated[str, Meta(description="path as given")]
    workload: Annotated[str, Meta(description="workload, or the name of the folder or file")]
    manifest: Annotated[Manifest | None, Meta(description="the manifest; null for a folder without one")]
    traces: Annotated[list[TraceInformation], Meta(description="the trace files")]
    warnings: Annotated[list[str], Meta(description="which traces do not count, or not as rounds, and why")] = []
    ranks: Annotated[list[Rank], Meta(description="ranks or processes side by side; empty for a single one")] = []
    hints: Annotated[list[str], Meta(description="what may make the result say more")] = []


def describe_run(run: Run, options: ReadOptions = DEFAULT) -> RunInformation:
    """Read every trace of ``run`` and describe it; raises InputError if one cannot be read."""
    traces, recordings = [], []
    processes: list[ProcessTimes] = []
    hints: list[str | None] = []
    for path in run.traces:
        trace = read(path, detail=Detail.NONE, options=options)
        forwards, nature = find_forwards(trace, options.forward), nature_of(trace)
        recordings.append(Recording.of(trace))
        processes += times_of_processes(trace, forwards)
        hints.append(hint_at_annotations(trace, forwards))
        counts = [int((trace.events.category == i).sum()) for i in range(len(trace.categories))]
        traces.append(
            TraceInformation(
                file=path.name,
                torch=trace.torch_version,
                dialect=trace.dialect,
                devices=trace.devices,
                resolution_ns=trace.resolution_ns,
                spans=len(trace.events),
                operators=len(trace.operator_events),
                tracks=len(trace.tracks),
                categories=dict(zip(trace.categories, counts, strict=True)),
                other_events=dict(trace.other_events),
                rule=forwards.rule,
                forward_ns=[int(ns) for ns in forwards.wall_ns],
                anomalies=dict(sum_operators(trace).anomalies),
                repairs=dict(trace.repairs),
                contents=None if nature is None else f"{nature.text}.",
                annotations=user_annotations(trace),
            )
        )
    return RunInformation(
        path=str(run.path),
        workload=run.workload,
        manifest=run.manifest,
        traces=traces,
        warnings=_warnings(run, recordings),
        ranks=ranks(side_by_side(processes)),
        hints=list(dict.fromkeys(hint for hint in hints if hint is not None)),
    )


def _warnings(run: Run, recordings: Sequence[Recording]) -> list[str]:
    """Return which traces do not count as rounds, and why; several configurations are no error here."""
    try:
        return list(rounds_of(run, recordings).warnings)
    except InputError as error:
        return [*run.warnings, f"{error.what}. {error.hint}"]
