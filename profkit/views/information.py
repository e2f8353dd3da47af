"""Describes a run: format, versions, forwards, anomalies, repairs (schema ``info/1``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from profkit.compare.records.parts import Record
from profkit.errors import InputError
from profkit.runs.evidence import Recording
from profkit.runs.manifest import Manifest
from profkit.runs.measurement import rounds_of
from profkit.runs.store import Run
from profkit.trace.forward import find_forwards
from profkit.trace.operators import sum_operators
from profkit.trace.options import DEFAULT, Detail, ReadOptions
from profkit.trace.reading.reader import read


class TraceInformation(Record, frozen=True, kw_only=True):
    """One trace file."""

    file: Annotated[str, Meta(description="file name")]
    torch: Annotated[str | None, Meta(description="PyTorch version that profkit wrote into the file")]
    dialect: Annotated[str, Meta(description="PyTorch versions that write this file's dialect")]
    devices: Annotated[int, Meta(description="number of accelerators listed in the file")]
    resolution_ns: Annotated[int, Meta(description="resolution of its clock (ns)")]
    spans: Annotated[int, Meta(description="events with a duration")]
    operators: Annotated[int, Meta(description="operator events")]
    tracks: Annotated[int, Meta(description="timelines (pid, tid)")]
    categories: Annotated[dict[str, int], Meta(description="spans per category")]
    other_events: Annotated[dict[str, int], Meta(description="records that are not spans, by phase")]
    rule: Annotated[str, Meta(description="rule that identified the forwards")]
    forward_ns: Annotated[list[int], Meta(description="wall times of the forwards (ns)")]
    anomalies: Annotated[dict[str, int], Meta(description="number of anomalies, by kind")]
    repairs: Annotated[dict[str, int], Meta(description="number of repairs, by kind of damage")]


class RunInformation(Record, frozen=True, kw_only=True):
    """One run or trace."""

    schema: Annotated[Literal["info/1"], Meta(description="schema of this document")] = "info/1"
    path: Annotated[str, Meta(description="path as given")]
    workload: Annotated[str, Meta(description="workload, or the name of the folder or file")]
    manifest: Annotated[Manifest | None, Meta(description="the manifest; null for a folder without one")]
    traces: Annotated[list[TraceInformation], Meta(description="the trace files")]
    warnings: Annotated[list[str], Meta(description="which traces do not count, or not as rounds, and why")] = []


def describe_run(run: Run, options: ReadOptions = DEFAULT) -> RunInformation:
    """Read every trace of ``run`` and describe it; raises InputError if one cannot be read."""
    traces, recordings = [], []
    for path in run.traces:
        trace = read(path, detail=Detail.NONE, options=options)
        forwards = find_forwards(trace)
        recordings.append(Recording.of(trace))
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
            )
        )
    return RunInformation(
        path=str(run.path),
        workload=run.workload,
        manifest=run.manifest,
        traces=traces,
        warnings=_warnings(run, recordings),
    )


def _warnings(run: Run, recordings: Sequence[Recording]) -> list[str]:
    """Return which traces do not count as rounds, and why; several configurations are no error here."""
    try:
        return list(rounds_of(run, recordings).warnings)
    except InputError as error:
        return [*run.warnings, f"{error.what}. {error.hint}"]
