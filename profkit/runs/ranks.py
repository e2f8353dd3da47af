"""The ranks of a distributed job, or the processes of one file, side by side: which is slow, and by which operator.

Ranks are not repetitions of a measurement: each does its part of the same forward, and waits for the slowest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from profkit.arrays import Integers
from profkit.stats.quantiles import median
from profkit.trace.events import Trace
from profkit.trace.forward import Forwards, process_ids
from profkit.trace.operators import sum_operators


@dataclass(frozen=True)
class ProcessTimes:
    """What one process did, per forward: wall times and self host times by operator (ns), shape ``(forwards,)``."""

    rank: int | None
    process: str
    file: str
    forward_ns: Integers
    self_ns: Mapping[str, Integers]


@dataclass(frozen=True)
class RankTimes:
    """One rank, or one process, among the others; times in ns.

    ``process`` is None if several processes had this rank. ``operator`` is the one whose self host time per forward
    exceeds the median of all ranks by most, by ``extra_ns``; both are known for the slowest rank only, and None if no
    operator exceeds it.
    """

    rank: int | None
    process: str | None
    files: tuple[str, ...]
    forwards: int
    median_ns: float | None
    is_slowest: bool = False
    operator: str | None = None
    extra_ns: float | None = None


def times_of_processes(trace: Trace, forwards: Forwards) -> list[ProcessTimes]:
    """Return what each process of ``trace`` did; nothing for a trace of one process that has no rank."""
    processes = process_ids(trace)
    if not processes or (trace.rank is None and len(processes) < 2):
        return []
    samples = sum_operators(trace, forwards)
    of_forward = [trace.tracks[track][0] for track in forwards.track.tolist()]
    found = []
    for process in processes:
        rows = [row for row, owner in enumerate(of_forward) if owner == process]
        self_ns = {key[0]: samples.self_ns[rows, column] for column, key in enumerate(samples.keys)}
        file = Path(trace.source).name
        found.append(ProcessTimes(trace.rank, str(process), file, forwards.wall_ns[rows], self_ns))
    return found


def side_by_side(times: Sequence[ProcessTimes]) -> list[RankTimes]:
    """Return the ranks, or the processes, in order; empty if there is only one.

    Several recordings of one rank are put together.
    """
    groups: dict[tuple[object, ...], list[ProcessTimes]] = {}
    several = len({(t.file, t.process) for t in times}) > len({t.file for t in times})
    for one in times:
        groups.setdefault((one.rank, one.process) if one.rank is None or several else (one.rank,), []).append(one)
    if len(groups) < 2:
        return []
    found = sorted((_together(group) for group in groups.values()), key=_order)
    rows = [row for row, _ in found]
    known = [row.median_ns for row in rows if row.median_ns is not None]
    if len(known) < 2 or max(known) <= float(median(np.array(known))):
        return rows
    slowest = max(range(len(rows)), key=lambda place: rows[place].median_ns or 0)
    rows[slowest] = _explained(rows[slowest], found[slowest][1], [own for row, own in found if row.forwards])
    return rows


def _order(item: tuple[RankTimes, Mapping[str, float]]) -> tuple[bool, int, str, tuple[str, ...]]:
    row = item[0]
    return row.rank is None, row.rank or 0, row.process or "", row.files


def _together(group: Sequence[ProcessTimes]) -> tuple[RankTimes, Mapping[str, float]]:
    """Return the row of one rank, and the median self host time per forward (ns) of its operators."""
    forward_ns = np.concatenate([one.forward_ns for one in group])
    processes = {one.process for one in group}
    names = dict.fromkeys(name for one in group for name in one.self_ns)
    own: dict[str, float] = {}
    for name in names if len(forward_ns) else ():
        parts = [one.self_ns.get(name, np.zeros(len(one.forward_ns), dtype=np.int64)) for one in group]
        own[name] = float(median(np.concatenate(parts)))
    row = RankTimes(
        rank=group[0].rank,
        process=processes.pop() if len(processes) == 1 else None,
        files=tuple(dict.fromkeys(one.file for one in group)),
        forwards=len(forward_ns),
        median_ns=float(median(forward_ns)) if len(forward_ns) else None,
    )
    return row, own


def _explained(row: RankTimes, own: Mapping[str, float], every: Sequence[Mapping[str, float]]) -> RankTimes:
    """Return the slowest rank with the operator that makes it slow."""
    extra = {name: ns - float(median(np.array([other.get(name, 0.0) for other in every]))) for name, ns in own.items()}
    operator = max(extra, key=lambda name: (extra[name], name), default=None)
    if operator is None or extra[operator] <= 0:
        return RankTimes(row.rank, row.process, row.files, row.forwards, row.median_ns, is_slowest=True)
    figures = (row.rank, row.process, row.files, row.forwards, row.median_ns)
    return RankTimes(*figures, is_slowest=True, operator=operator, extra_ns=extra[operator])
