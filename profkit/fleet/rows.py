"""One trace, or one run's manifest and oneDNN log, as rows of the index's tables."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from profkit.fleet.columns import ORIGIN, TABLES
from profkit.onednn.join import Joined
from profkit.onednn.summary import Totals, summed
from profkit.runs.evidence import Recording, host_and_pid
from profkit.runs.manifest import Manifest, Round
from profkit.stats.quantiles import median
from profkit.trace.events import Trace
from profkit.trace.forward import find_forwards
from profkit.trace.nature import kernel_times
from profkit.trace.operators import OperatorSamples, sum_operators
from profkit.trace.spans import nest

Rows = dict[str, list[list[Any]]]
"""The rows of each table, as columns in the order of :data:`profkit.fleet.columns.TABLES`."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
_EPOCH_NS = 10**18  # in 2001: a smaller time of a trace is no time of day
_FIGURES = ("self_ns", "total_ns", "self_device_ns", "total_device_ns")


class Origin(msgspec.Struct, frozen=True):
    """What the columns of :data:`profkit.fleet.columns.ORIGIN` hold, by their names."""

    batch: str
    trace: str
    run: str
    workload: str
    label: str
    torch: str | None = None
    fpmath: str | None = None
    mode: str | None = None
    host: str | None = None
    rank: int | None = None
    date: str | None = None


class Collected:
    """Rows that are collected column by column, which is how they are written."""

    def __init__(self) -> None:
        self.tables: Rows = {table: [[] for _ in columns] for table, columns in TABLES.items()}

    def add(self, table: str, origin: Origin, **columns: Sequence[Any] | Any) -> None:
        """Add rows of one origin. A list is a column, any other value is that of every row; absent ones are null."""
        count = next((len(value) for value in columns.values() if isinstance(value, list)), 1)
        found = {name: value for name, value in columns.items() if isinstance(value, list)}
        for place, column in enumerate(TABLES[table]):
            values = found.get(column.name)
            if values is None:
                constant = columns.get(column.name) if place >= len(ORIGIN) else getattr(origin, column.name)
                values = [constant] * count
            self.tables[table][place] += values

    def add_source(self, **columns: Any) -> None:
        """Add a row of ``sources``, which has no origin."""
        for target, column in zip(self.tables["sources"], TABLES["sources"], strict=True):
            target.append(columns.get(column.name))

    def __len__(self) -> int:
        return sum(len(columns[0]) for columns in self.tables.values())


def encode_recording(recording: Recording) -> str:
    """Return a recording as JSON, for the column of that name."""
    return msgspec.json.encode(recording, enc_hook=str).decode()


def decode_recording(text: str) -> Recording:
    """Return what :func:`encode_recording` encoded; raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Recording, dec_hook=lambda kind, value: kind(value))


def day_of(time: str) -> str | None:
    """Return the day of a time in ISO 8601 as YYYY-MM-DD; None if it is none."""
    return time[:10] if _DAY.match(time) else None


def now() -> str:
    """Return the time in ISO 8601, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def origin_of_run(batch: str, key: str, run: str, manifest: Manifest | None, names: tuple[str, str]) -> Origin:
    """Return the origin of a run's rows; ``names`` are the label and the workload of one without a manifest."""
    if manifest is None:
        return Origin(batch, key, run, label=names[0], workload=names[1])
    return Origin(
        batch,
        key,
        run,
        manifest.workload.name,
        manifest.label,
        manifest.torch.version if manifest.torch is not None else None,
        manifest.settings.fpmath,
        manifest.settings.mode,
        manifest.host.name or None,
        date=next((day_of(round_.started) for round_ in manifest.rounds), None),
    )


def add_run(collected: Collected, origin: Origin, manifest: Manifest, joined: Joined | None) -> None:
    """Add the rows of a run beside its rounds: the manifest's facts, and the primitives of its oneDNN log."""
    collected.add(
        "runs",
        origin,
        source=manifest.workload.source,
        samples=manifest.workload.batch,
        status=manifest.status,
        reason=manifest.reason,
        rounds=len(manifest.rounds),
        cpu=manifest.host.cpu or None,
        cores=manifest.host.cores,
        instance_type=manifest.host.instance_type,
        usd_per_hour=manifest.host.price_per_hour,
        manifest=msgspec.json.encode(replace(manifest, rounds=[])).decode(),
        written=now(),
    )
    if joined is not None and len(joined.forwards):
        collected.add("primitives", origin, **_primitives(joined))


def _primitives(joined: Joined) -> Mapping[str, list[Any]]:
    """Return the columns of the primitives in the traced forwards, by operator."""
    log, counted, forwards = joined.log, summed(joined.log), len(joined.forwards)
    by_operator: dict[str | None, list[int]] = defaultdict(list)
    names = joined.operator_names()
    for row in np.flatnonzero(joined.is_warm).tolist():
        by_operator[names[row]].append(row)
    found: list[tuple[Any, ...]] = []
    for name, rows in by_operator.items():
        chosen = np.zeros(len(log), dtype=bool)
        chosen[rows] = True
        totals = Totals(log, chosen)
        for number in np.flatnonzero(totals.count).tolist():
            p = log.primitives[number]
            if p.operation == "exec" and counted[number]:
                figures = (forwards, int(totals.count[number]), int(totals.ns[number]))
                found.append((name, p.kind, p.implementation, p.fpmath, p.data_types, p.problem, *figures))
    columns = ("operator", "kind", "implementation", "math", "data_types", "problem", "forwards", "calls", "exec_ns")
    return {column: [row[place] for row in found] for place, column in enumerate(columns)}


def add_trace(
    collected: Collected,
    origin: Origin,
    trace: Trace,
    path: str,
    size: int,
    round_: Round | None,
    forward: str | None = None,
    samples: int | None = None,
) -> None:
    """Add the rows of one trace; ``round_`` is what the manifest says of it, ``forward`` the annotation of a forward.

    ``samples`` is the batch size, if it is known.

    Without a forward the operators are summed over the whole file.
    """
    forwards = find_forwards(trace, forward)
    recording = Recording.of(trace)
    origin = _completed(origin, trace, recording, path, round_)
    inside, nesting = forwards if len(forwards) else None, nest(trace.operator_events)
    shapes = sum_operators(trace, inside, "shape", nesting)
    latency = [] if round_ is None or forward is not None else round_.latency_ns
    collected.add(
        "rounds",
        origin,
        path=path,
        bytes=size,
        started=None if round_ is None else round_.started,
        process=None if recording.pid is None else str(recording.pid),
        world_size=trace.world_size,
        rule=forwards.rule,
        forwards=len(forwards),
        profiled_ns=_median(forwards.wall_ns),
        latency_ns=_median(latency),
        operators=recording.operators,
        resolution_ns=trace.resolution_ns,
        format=trace.dialect,
        repairs=sum(trace.repairs.values()),
        anomalies=sum(shapes.anomalies.values()),
        samples=samples,
        recording=None if round_ is not None else encode_recording(replace(recording, path=Path(path))),
        **_of_round(round_),
    )
    for walls, profiled in ((forwards.wall_ns.tolist(), True), (list(latency), False)):
        collected.add("forwards", origin, forward=list(range(len(walls))), wall_ns=walls, profiled=profiled)
    names = sum_operators(trace, inside, "name", nesting)
    collected.add("operators", origin, forwards=len(forwards), **_operators(names))
    dims = [key[1] or "" for key in shapes.keys]
    collected.add("operator_shapes", origin, forwards=len(forwards), **_operators(shapes, dims))
    if kernels := kernel_times(trace):
        columns = zip(("name", "category", "calls", "device_ns"), zip(*kernels, strict=True), strict=True)
        collected.add("kernels", origin, **{name: list(column) for name, column in columns})


def _of_round(round_: Round | None) -> dict[str, Any]:
    if round_ is None:
        return {}
    return {
        "round": round_.index,
        "session": round_.session,
        "block": round_.block,
        "cpu_ns": _median(round_.counters.cpu_ns),
        "peak_memory_bytes": round_.peak_memory_bytes,
        "disturbed": round_.disturbed,
    }


def _completed(origin: Origin, trace: Trace, recording: Recording, path: str, round_: Round | None) -> Origin:
    """Return the origin with what the trace itself says, where the manifest says nothing."""
    named = host_and_pid(Path(path.rpartition("/")[2]))
    return replace(
        origin,
        torch=origin.torch or trace.torch_version,
        host=origin.host or trace.host or (named[0] if named else None),
        rank=trace.rank,
        date=(day_of(round_.started) if round_ is not None else None) or _day(recording.start_ns) or origin.date,
    )


def _day(at_ns: int) -> str | None:
    """Return the day of an epoch time in ns, None if it is no time of day."""
    if not _EPOCH_NS <= at_ns < 4 * _EPOCH_NS:
        return None
    return datetime.fromtimestamp(at_ns // 10**9, timezone.utc).date().isoformat()


def _median(values: Sequence[int] | np.ndarray) -> float | None:
    return float(median(np.asarray(values, dtype=np.int64))) if len(values) else None


def _operators(samples: OperatorSamples, dims: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """Return the columns of the operators that ran: medians over the rows of ``samples``."""
    used = np.flatnonzero(samples.calls.any(axis=0))
    figures = {name: getattr(samples, name) for name in ("calls", *_FIGURES)}
    found: dict[str, list[Any]] = {
        name: median(figure[:, used].T).tolist() if figure.any() else [0.0] * len(used)
        for name, figure in figures.items()
    }
    found["name"] = [samples.keys[column][0] for column in used.tolist()]
    if dims is not None:
        found["input_dims"] = [dims[column] for column in used.tolist()]
    return found
