"""Rounds of an index, chosen by a condition and put into groups, as what comparisons and views take.

A group is a side of a comparison: a label, a machine, a rank or a day. Within it the unit of evidence is what varies:
the machine, else the day, else the round, as :mod:`profkit.runs.evidence` has it: ranks of one job, and traces of one
process, are one round. What an index knows of a round are medians over its forwards: a unit of several rounds has their
geometric mean.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from profkit.arrays import Integers
from profkit.errors import UsageError
from profkit.fleet.rows import decode_recording
from profkit.fleet.sql import Tables
from profkit.locations import redacted
from profkit.runs.contents import RunData
from profkit.runs.evidence import sort_into_rounds
from profkit.runs.manifest import Counters, Manifest, Round
from profkit.runs.measurement import FIGURES, Measurement, OperatorMatrix
from profkit.runs.store import Run
from profkit.shortening import listed
from profkit.stats.inference import one_row, typical
from profkit.trace.operators import Key

GroupBy = Literal["label", "host", "rank", "date"]
Unit = Literal["machine", "day", "round"]

_ROUNDS = """
SELECT batch, trace, {group}::VARCHAR AS grp, run, workload, label, torch, fpmath, mode, host, rank, date, round,
  session, block, started, path, rule, profiled_ns, latency_ns, cpu_ns, peak_memory_bytes, disturbed, resolution_ns,
  forwards, samples, recording
FROM rounds WHERE ({where}) AND {group} IS NOT NULL AND forwards > 0 AND profiled_ns IS NOT NULL
ORDER BY started, path
"""
_CHOSEN = "SEMI JOIN (SELECT batch, trace FROM rounds WHERE ({where}) AND {group} IS NOT NULL) USING (batch, trace)"
_MIXED = {"samples": "batch size", "torch": "PyTorch", "fpmath": "fpmath mode", "mode": "mode", "label": "label"}


class Asked(msgspec.Struct, frozen=True):
    """Which rounds of which index: a condition in SQL on the table ``rounds``, and what makes the groups."""

    index: str
    where: str = "true"
    group_by: GroupBy = "label"


class RoundRow(msgspec.Struct, frozen=True):
    """A row of ``rounds``; ``group`` is its value of the column that makes the groups."""

    batch: str
    trace: str
    group: str
    run: str
    workload: str
    label: str
    torch: str | None
    fpmath: str | None
    mode: str | None
    host: str | None
    rank: int | None
    date: str | None
    round: int | None
    session: str | None
    block: int | None
    started: str | None
    path: str
    rule: str
    profiled_ns: float
    latency_ns: float | None
    cpu_ns: float | None
    peak_memory_bytes: int | None
    disturbed: str | None
    resolution_ns: int
    forwards: int
    samples: int | None
    recording: str | None


class Evidence(msgspec.Struct, frozen=True):
    """The rows of one unit of a group: ``name`` is the machine, the day, or that of its first trace."""

    name: str
    rounds: tuple[RoundRow, ...]


class Chosen:
    """The chosen rounds: by group, in natural order, and workload."""

    def __init__(self, tables: Tables, asked: Asked, groups: Sequence[str] = ()) -> None:
        """Raises UsageError if the condition is wrong or no round meets it."""
        self._tables = tables
        self._asked = asked
        answer = tables.ask(_ROUNDS.format(group=asked.group_by, where=asked.where))
        rows = [RoundRow(*row) for row in answer.rows]
        if not rows:
            hint = "profkit query 'SELECT DISTINCT workload, label, host, date FROM rounds' shows what there is."
            raise UsageError("no round of the index meets the condition", where=asked.where, hint=hint)
        _require_one_size(rows, asked)
        self.groups = sorted({row.group for row in rows}, key=natural)
        self.workloads = sorted({row.workload for row in rows})
        self._rows = rows
        self.units = {workload: _unit(rows, workload, asked.group_by) for workload in self.workloads}

    def require_pair(self) -> tuple[str, str]:
        """Return the two groups; raises UsageError, naming them, if there are more or fewer."""
        if len(self.groups) != 2:
            by = self._asked.group_by
            hint = f"Choose two with --where \"{by} IN ('…', '…')\", or use profkit compare for more."
            found = listed(self.groups)
            what = f"a diff needs two groups by {by}, and there {'is' if len(self.groups) == 1 else 'are'} {found}"
            raise UsageError(what, where=redacted(self._asked.index), hint=hint)
        return self.groups[0], self.groups[1]

    def require_one(self) -> tuple[str, str]:
        """Return the group and the workload if there is one of each; raises UsageError otherwise."""
        if len(self.groups) > 1 or len(self.workloads) > 1:
            what = (
                f"there are several: workloads {listed(self.workloads)}; {self._asked.group_by} {listed(self.groups)}"
            )
            hint = "Choose one with --where \"workload = '…' AND label = '…'\"."
            raise UsageError(what, where=redacted(self._asked.index), hint=hint)
        return self.groups[0], self.workloads[0]

    def evidence(self, group: str, workload: str) -> list[Evidence]:
        """Return the units of a group, in order of time; empty if it lacks the workload."""
        unit = self.units[workload]
        own = [row for row in self._rows if row.group == group and row.workload == workload]
        found: dict[str, list[RoundRow]] = {}
        if unit == "round":
            try:
                return _rounds_of_processes(own)
            except (msgspec.DecodeError, TypeError) as error:
                raise self._tables.damaged("rounds", f"a recording in it is not valid: {error}") from None
        for row in own:
            found.setdefault((row.host if unit == "machine" else row.date) or "", []).append(row)
        return [Evidence(name, tuple(rows)) for name, rows in found.items()]

    def runs(self) -> dict[str, dict[str, Run]]:
        """Return a run per group and workload, whose manifest has a round per unit; None without manifests."""
        return {
            group: {w: self.run(group, w, found) for w in self.workloads if (found := self.evidence(group, w))}
            for group in self.groups
        }

    def run(self, group: str, workload: str, evidence: Sequence[Evidence]) -> Run:
        """Return what stands for the runs of a group."""
        manifest = self._manifest(evidence)
        if manifest is not None:
            unit = self.units[workload]
            rounds = [self._round(number, one, unit) for number, one in enumerate(evidence)]
            manifest = replace(manifest, label=group, rounds=rounds, warnings=[], fallbacks=[], primitives=None)
        return Run(Path(group, workload), (), manifest, tuple(self._warnings(evidence, workload)))

    def _manifest(self, evidence: Sequence[Evidence]) -> Manifest | None:
        runs = dict.fromkeys(row.run for one in evidence for row in one.rounds)
        marks = ", ".join("?" * len(runs))
        sql = f"SELECT manifest FROM runs WHERE run IN ({marks}) ORDER BY run LIMIT 1"
        found = list(self._tables.ask(sql, list(runs)).rows)
        if not found or found[0][0] is None:
            return None
        try:
            return msgspec.json.decode(found[0][0], type=Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._tables.damaged("runs", f"a manifest in it is not valid: {error}") from None

    def _round(self, number: int, one: Evidence, unit: Unit) -> Round:
        """Return a round that stands for a unit: of one round itself, of several their typical figures.

        Units of one name are compared pairwise, as rounds of one block are.
        """
        single = one.rounds[0] if unit == "round" and len(one.rounds) == 1 else None
        latency = self._latency_ns(one)
        cpu = [row.cpu_ns for row in one.rounds if row.cpu_ns is not None]
        peaks = [row.peak_memory_bytes for row in one.rounds if row.peak_memory_bytes is not None]
        return Round(
            index=number,
            session=single.session if single is not None else "units",
            block=single.block if single is not None else _block(one.name),
            order=0,
            started=one.rounds[0].started or "",
            trace="",
            warmup_ns=[],
            latency_ns=latency,
            profiled_ns=[],
            counters=Counters(cpu_ns=[round(_typical(cpu))] * len(latency)) if cpu else Counters(),
            peak_memory_bytes=max(peaks, default=None),
            disturbed=single.disturbed if single is not None else None,
        )

    def _latency_ns(self, one: Evidence) -> list[int]:
        if len(one.rounds) > 1:
            known = [row.latency_ns for row in one.rounds if row.latency_ns is not None]
            return [round(_typical(known))] if known else []
        row = one.rounds[0]
        sql = "SELECT wall_ns FROM forwards WHERE batch = ? AND trace = ? AND NOT profiled ORDER BY forward"
        return [ns for (ns,) in self._tables.ask(sql, [row.batch, row.trace]).rows]

    def _warnings(self, evidence: Sequence[Evidence], workload: str) -> Iterable[str]:
        rows = [row for one in evidence for row in one.rounds]
        for column, title in _MIXED.items():
            values = sorted({str(value) for row in rows if (value := getattr(row, column)) is not None})
            if len(values) > 1 and column != self._asked.group_by:
                yield f"it mixes {len(values)} values of {title}: {listed(values)}"
        if self.units[workload] in ("machine", "day") and any(len(one.rounds) > 1 for one in evidence):
            yield f"each {self.units[workload]} counts as one unit of evidence, whatever its number of rounds"

    def measure(self, group: str, workload: str, by: Literal["name", "shape"] = "name") -> Measurement:
        """Return what was measured in a group, one value per unit; by operator name or input shapes."""
        evidence = self.evidence(group, workload)
        run = self.run(group, workload, evidence)
        rows = [row for one in evidence for row in one.rounds]
        walls = [np.array([round(_typical([row.profiled_ns for row in one.rounds]))]) for one in evidence]
        return Measurement(
            data=RunData(run),
            rule=" / ".join(dict.fromkeys(row.rule for row in rows)),
            resolution_ns=max(row.resolution_ns for row in rows),
            forward_ns=tuple(walls),
            tables={by: self._matrix(workload, evidence, by)},
            anomalies={},
            repairs={},
            torch=next(iter({row.torch for row in rows})) if len({row.torch for row in rows}) == 1 else None,
            warnings=run.warnings,
        )

    def primitives(self, by: str) -> tuple[int, list[tuple[Any, ...]]]:
        """Return the number of traced forwards of all chosen runs with a log, and the sums over them by primitive.

        A row has kind, implementation, math, data types, problem, calls and execution time (ns); what ``by`` does not
        distinguish is None.
        """
        runs = list(dict.fromkeys(row.run for row in self._rows))
        chosen = f"run IN ({', '.join('?' * len(runs))})"
        of_runs = f"SELECT DISTINCT run, forwards FROM primitives WHERE {chosen}"
        sql = f"SELECT coalesce(sum(forwards), 0)::BIGINT FROM ({of_runs})"
        ((forwards,),) = self._tables.ask(sql, runs).rows
        detail = {
            "kind": "NULL, NULL, NULL, NULL",
            "implementation": "implementation, math, data_types, NULL",
            "problem": "implementation, math, data_types, problem",
        }[by]
        sql = (
            f"SELECT kind, {detail}, sum(calls)::BIGINT, sum(exec_ns)::BIGINT FROM primitives WHERE {chosen} "
            "GROUP BY ALL ORDER BY 7 DESC, kind"
        )
        return forwards, list(self._tables.ask(sql, runs).rows)

    def _matrix(self, workload: str, evidence: Sequence[Evidence], by: Literal["name", "shape"]) -> OperatorMatrix:
        place = {(row.batch, row.trace): n for n, one in enumerate(evidence) for row in one.rounds}
        dims = "input_dims" if by == "shape" else "NULL"
        table = "operator_shapes" if by == "shape" else "operators"
        chosen = _CHOSEN.format(where=self._asked.where, group=self._asked.group_by)
        sql = (
            f"SELECT o.batch, o.trace, o.name, {dims}, o.calls, o.self_ns, o.total_ns, o.self_device_ns, "
            f"o.total_device_ns FROM {table} o {chosen} WHERE o.workload = ? AND o.forwards > 0 AND o.name IS NOT NULL "
            "AND isfinite(o.calls + o.self_ns + o.total_ns + o.self_device_ns + o.total_device_ns) AND least(o.calls, "
            "o.self_ns, o.total_ns, o.self_device_ns, o.total_device_ns) >= 0"
        )
        cells: dict[Key, list[list[list[float]]]] = {}
        for batch, trace, name, shape, *figures in self._tables.ask(sql, [workload]).rows:
            unit = place.get((batch, trace))
            if unit is not None:
                cells.setdefault((name, shape), [[] for _ in evidence])[unit].append(figures)
        counts = [len(one.rounds) for one in evidence]
        return _matrix(cells, counts)


def _matrix(cells: Mapping[Key, Sequence[Sequence[Sequence[float]]]], counts: Sequence[int]) -> OperatorMatrix:
    """Return the matrix with one column per unit; ``cells`` has for each key and unit the figures of its rounds.

    In a round that lacks an operator it counts zero.
    """
    figures: dict[str, Integers] = {f: np.zeros((len(cells), len(counts)), dtype=np.int64) for f in FIGURES}
    for row, units in enumerate(cells.values()):
        for unit, (found, count) in enumerate(zip(units, counts, strict=True)):
            padded = [*found, *[[0.0] * len(FIGURES)] * (count - len(found))]
            for figure, values in zip(FIGURES, zip(*padded, strict=True), strict=True):
                figures[figure][row, unit] = round(_typical(values))
    return OperatorMatrix(keys=tuple(cells), round_edges=np.arange(1, len(counts)), **figures)


def _typical(values: Sequence[float]) -> float:
    """Return what stands for the values of several rounds: their geometric mean, the median if one is zero."""
    if len(values) == 1:
        return values[0]
    return float(typical(one_row([np.array([round(value)], dtype=np.int64) for value in values]))[0])


def _unit(rows: Sequence[RoundRow], workload: str, group_by: GroupBy) -> Unit:
    """Return what varies within the groups of a workload, the same for all of them, so that they can be compared."""
    own = [row for row in rows if row.workload == workload]
    for column, unit in (("host", "machine"), ("date", "day")):
        values: dict[str, set[str]] = {}
        for row in own:
            values.setdefault(row.group, set()).add(getattr(row, column) or "")
        if column != group_by and any(len(found) > 1 for found in values.values()):
            return "machine" if unit == "machine" else "day"
    return "round"


def _rounds_of_processes(rows: Sequence[RoundRow]) -> list[Evidence]:
    """Return the rounds: those of manifests, and the traces without one sorted as those of a folder are.

    Traces of one process, and ranks of one job, are one round; a part of another trace is none. Raises InputError if
    the traces of a folder are of different configurations.
    """
    found = [Evidence(f"{row.batch} {row.trace}", (row,)) for row in rows if row.recording is None]
    folders: dict[str, list[RoundRow]] = {}
    for row in rows:
        if row.recording is not None:
            folders.setdefault(row.run, []).append(row)
    for folder, own in folders.items():
        recordings = [decode_recording(row.recording or "") for row in own]
        for round_ in sort_into_rounds(recordings, Path(folder)).traces:
            members = tuple(own[place] for place in round_)
            found.append(Evidence(f"{members[0].batch} {members[0].trace}", members))
    return found


def _require_one_size(rows: Sequence[RoundRow], asked: Asked) -> None:
    """Raise UsageError if rounds of one group and workload have different batch sizes, whose times say nothing."""
    sizes: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        if row.samples is not None:
            sizes.setdefault((row.group, row.workload), set()).add(row.samples)
    for (group, workload), found in sizes.items():
        if len(found) > 1:
            what = f"{group} {workload} has rounds of several batch sizes: {listed(list(map(str, sorted(found))))}"
            raise UsageError(what, where=redacted(asked.index), hint='Choose one with --where "samples = 1".')


def _block(name: str) -> int:
    """Return a number for the name of a unit, the same on both sides."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


def natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts 2.2 before 2.10."""
    parts = re.split(r"(\d{1,18})", text)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
