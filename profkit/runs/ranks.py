"""The ranks of a distributed job, or the processes of one file, side by side: which is slow, and by which operator.

Ranks are not repetitions of a measurement: each does its part of the same forward, and waits for the slowest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from profkit.arrays import Integers
from profkit.stats.quantiles import median
from profkit.trace.events import Trace
from profkit.trace.forward import Forwards, process_ids
from profkit.trace.spans import nest, sums


class ProcessTimes(msgspec.Struct, frozen=True):
    """What one process did: wall times (ns), shape ``(forwards,)``, and the self host time (ns) of each operator.

    Operators count if they start in a forward; ``self_ns`` is their sum over all forwards.
    """

    rank: int | None
    process: str
    file: str
    forward_ns: Integers
    self_ns: Mapping[str, int]


class RankTimes(msgspec.Struct, frozen=True):
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
    number = {process: k for k, process in enumerate(processes)}
    owner = np.array([number.get(trace.tracks[track][0], -1) for track in forwards.track.tolist()], dtype=np.int64)
    self_ns = _self_by_process(trace, forwards, owner)
    file = Path(trace.source).name
    order = np.argsort(owner, kind="stable")
    edges = np.searchsorted(owner[order], np.arange(len(processes)))
    walls = np.split(forwards.wall_ns[order], edges)[1:]  # before the first edge: forwards of no process
    return [ProcessTimes(trace.rank, str(process), file, walls[k], self_ns.get(k, {})) for process, k in number.items()]


def _self_by_process(trace: Trace, forwards: Forwards, owner: Integers) -> dict[int, dict[str, int]]:
    """Return the self host time (ns) in forwards, by process and operator; ``owner`` is the process of each forward."""
    events = trace.operator_events
    row = forwards.of(events)
    inside = row >= 0
    code, place = np.unique(owner[row[inside]] * len(trace.names) + events.name[inside], return_inverse=True)
    times = sums(place, nest(events).self_ns[inside], len(code))
    found: dict[int, dict[str, int]] = {}
    for key, ns in zip(code.tolist(), times.tolist(), strict=True):
        found.setdefault(key // len(trace.names), {})[trace.names[key % len(trace.names)]] = ns
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
    """Return the row of one rank, and the self host time per forward (ns) of its operators."""
    forward_ns = np.concatenate([one.forward_ns for one in group])
    processes = {one.process for one in group}
    whole: Counter[str] = Counter()
    for one in group:
        whole.update(one.self_ns)
    row = RankTimes(
        rank=group[0].rank,
        process=processes.pop() if len(processes) == 1 else None,
        files=tuple(dict.fromkeys(one.file for one in group)),
        forwards=len(forward_ns),
        median_ns=float(median(forward_ns)) if len(forward_ns) else None,
    )
    return row, {name: ns / len(forward_ns) for name, ns in whole.items()} if len(forward_ns) else {}


def _explained(row: RankTimes, own: Mapping[str, float], every: Sequence[Mapping[str, float]]) -> RankTimes:
    """Return the slowest rank with the operator that makes it slow."""
    extra = {name: ns - float(median(np.array([other.get(name, 0.0) for other in every]))) for name, ns in own.items()}
    operator = max(extra, key=lambda name: (extra[name], name), default=None)
    if operator is None or extra[operator] <= 0:
        return RankTimes(row.rank, row.process, row.files, row.forwards, row.median_ns, is_slowest=True)
    figures = (row.rank, row.process, row.files, row.forwards, row.median_ns)
    return RankTimes(*figures, is_slowest=True, operator=operator, extra_ns=extra[operator])
