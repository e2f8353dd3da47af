"""What a run is: format, versions, forwards, anomalies, repairs (schema ``info/1``)."""

from __future__ import annotations

from typing import Literal

import msgspec

from profkit.runs.manifest import Manifest
from profkit.runs.store import Run
from profkit.trace.forward import find_forwards
from profkit.trace.options import DEFAULT, Detail, ReadOptions
from profkit.trace.reading.reader import read
from profkit.trace.spans import nest


class TraceInformation(msgspec.Struct, frozen=True, kw_only=True):
    """One trace file; times in nanoseconds."""

    file: str
    torch: str | None
    dialect: str
    devices: int
    resolution_ns: int
    spans: int
    operators: int
    tracks: int
    categories: dict[str, int]
    other_events: dict[str, int]
    rule: str
    forward_ns: list[int]
    anomalies: dict[str, int]
    repairs: dict[str, int]


class RunInformation(msgspec.Struct, frozen=True, kw_only=True):
    schema: Literal["info/1"] = "info/1"
    path: str
    workload: str
    manifest: Manifest | None
    traces: list[TraceInformation]


def describe_run(run: Run, options: ReadOptions = DEFAULT) -> RunInformation:
    """Read every trace of ``run`` and say what is in it."""
    traces = []
    for path in run.traces:
        trace = read(path, detail=Detail.NONE, options=options)
        forwards = find_forwards(trace)
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
                anomalies=nest(trace.operator_events).anomalies,
                repairs=dict(trace.repairs),
            )
        )
    return RunInformation(path=str(run.path), workload=run.workload, manifest=run.manifest, traces=traces)
