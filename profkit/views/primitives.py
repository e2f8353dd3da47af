"""What oneDNN did in a run, or in a log by itself (schema ``primitives/1``); times in integer nanoseconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from profkit.arrays import Mask
from profkit.errors import InputError
from profkit.onednn.grammar import Primitive, weights_of
from profkit.onednn.join import Joined, join
from profkit.onednn.log import Log, read_log
from profkit.runs.store import Run
from profkit.trace.options import DEFAULT, ReadOptions
from profkit.trace.reading.reader import read
from profkit.trace.spans import sums

By = Literal["kind", "implementation", "problem"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the view's records."""


class PrimitiveRow(Record, frozen=True, kw_only=True):
    """Executions and creations of one primitive; what the rows are not told apart by is null.

    ``kind`` begins with ``graph`` for a partition of the graph API: its primitives are rows of their own.
    """

    kind: str
    implementation: str | None
    fpmath: str | None
    data_types: str | None
    problem: str | None
    post_ops: str | None = None
    calls: int
    exec_ns: int
    cache_hits: int
    cache_misses: int
    create_ns: int


class Phase(Record, frozen=True, kw_only=True):
    """Sums over one part of the log: ``cold`` before the traced forwards, ``warm`` in them."""

    calls: int
    exec_ns: int
    reorders: int
    reorder_ns: int
    weights_reorders: int
    weights_reorder_ns: int
    cache_hits: int
    cache_misses: int
    create_ns: int


class RepeatedReorder(Record, frozen=True, kw_only=True):
    """Weights that are brought into another layout in every warm forward: ``calls`` and ``exec_ns`` per forward."""

    problem: str
    implementation: str
    calls: float
    exec_ns: float


class PrimitivesView(Record, frozen=True, kw_only=True):
    """``warm`` says whether the rows cover the traced forwards alone; ``matched`` of their ``warm_records`` ran in an
    operator of the trace."""

    schema: Literal["primitives/1"] = "primitives/1"
    source: str
    onednn: str | None
    isa: str | None
    threads: int | None
    skipped_lines: int
    warm: bool = False
    mode: str | None = None
    forwards: int | None = None
    forward_ns: list[int] = []
    matched: int | None = None
    warm_records: int | None = None
    cold_phase: Phase | None = None
    warm_phase: Phase | None = None
    repeated_reorders: list[RepeatedReorder] = []
    primitives: list[PrimitiveRow]


class PrimitiveUse(Record, frozen=True, kw_only=True):
    """A primitive that ran in an operator: calls and time in ns per forward."""

    kind: str
    implementation: str
    fpmath: str
    calls: float
    exec_ns: float


def read_primitives(run: Run, options: ReadOptions = DEFAULT) -> Joined | None:
    """Return the run's primitives joined to the operators of the same pass; None where it has no log.

    Raises InputError where a file of the pass cannot be read.
    """
    if run.onednn_log is None or run.onednn_trace is None:
        return None
    return join(read_log(run.onednn_log, options.memory_limit), read(run.onednn_trace, options=options))


def require_primitives(run: Run, options: ReadOptions = DEFAULT) -> Joined:
    """Return the same; raises InputError where the run has no log either."""
    joined = read_primitives(run, options)
    if joined is None:
        hint = "Capture it with this profkit, without --no-onednn."
        raise InputError("this run holds no log of oneDNN", where=run.path, hint=hint)
    return joined


def view_log(log: Log, by: By = "problem") -> PrimitivesView:
    """Return the primitives of a whole log, by time."""
    everything = np.ones(len(log), dtype=bool)
    return PrimitivesView(
        source=log.source,
        onednn=log.version,
        isa=log.isa,
        threads=log.threads,
        skipped_lines=log.skipped,
        primitives=_rows(log, everything, by),
    )


def view_primitives(joined: Joined, run: Run, by: By = "problem", *, warm: bool = False) -> PrimitivesView:
    """Return the primitives of a run, by time: of the whole log, or with ``warm`` of the traced forwards alone."""
    log, is_warm = joined.log, joined.is_warm
    chosen = is_warm if warm else np.ones(len(log), dtype=bool)
    return msgspec.structs.replace(
        view_log(log, by),
        source=str(run.path),
        mode=run.manifest.settings.mode if run.manifest is not None else None,
        warm=warm,
        forwards=len(joined.forwards),
        forward_ns=[int(ns) for ns in joined.forwards.wall_ns],
        matched=int((joined.operator >= 0).sum()),
        warm_records=int(is_warm.sum()),
        cold_phase=phase(log, ~is_warm),
        warm_phase=phase(log, is_warm),
        repeated_reorders=repeated_reorders(joined),
        primitives=_rows(log, chosen, by),
    )


def _rows(log: Log, chosen: Mask, by: By) -> list[PrimitiveRow]:
    groups: dict[_RowKey, list[int]] = defaultdict(list)
    for number, primitive in enumerate(log.primitives):
        groups[_key(primitive, by)].append(number)
    totals = _Totals(log, chosen)
    rows = []
    for key, numbers in groups.items():
        sums = totals.over(numbers)
        if sums["calls"] or sums["cache_hits"] or sums["cache_misses"]:
            kind, implementation, fpmath, data_types, problem, post_ops = key
            rows.append(
                PrimitiveRow(
                    kind=kind,
                    implementation=implementation,
                    fpmath=fpmath,
                    data_types=data_types,
                    problem=problem,
                    post_ops=post_ops,
                    **sums,
                )
            )
    return sorted(rows, key=lambda row: (-row.exec_ns, -row.create_ns, row.kind, row.problem or ""))


_RowKey = tuple[str, str | None, str | None, str | None, str | None, str | None]


def _key(p: Primitive, by: By) -> _RowKey:
    if by == "kind":
        return (p.kind, None, None, None, None, None)
    if by == "implementation":
        return (p.kind, p.implementation, p.fpmath, p.data_types, None, None)
    return (p.kind, p.implementation, p.fpmath, p.data_types, p.problem, p.post_ops)


class _Totals:
    """The chosen records of a log, summed by primitive."""

    def __init__(self, log: Log, chosen: Mask) -> None:
        self.log = log
        which, size = log.primitive[chosen], len(log.primitives)
        self.count = np.bincount(which, minlength=size)
        self.ns = sums(which, log.duration_ns[chosen], size)

    def over(self, numbers: Iterable[int]) -> dict[str, int]:
        """Sum calls and times over some primitives."""
        found = dict.fromkeys(("calls", "exec_ns", "cache_hits", "cache_misses", "create_ns"), 0)
        for number in numbers:
            primitive = self.log.primitives[number]
            count, ns = int(self.count[number]), int(self.ns[number])
            if primitive.operation == "exec":
                found["calls"] += count
                found["exec_ns"] += ns
            else:
                found["cache_hits" if primitive.cached else "cache_misses"] += count
                found["create_ns"] += ns
        return found


def phase(log: Log, chosen: Mask) -> Phase:
    """Sum up one part of the log; partitions of the graph API are left out, their primitives are in it."""
    single = [number for number, p in enumerate(log.primitives) if not p.is_graph]
    reorders = [number for number in single if log.primitives[number].is_reorder]
    weights = _weights_reorders(log)
    totals = _Totals(log, chosen)
    whole, moved, of_weights = (totals.over(numbers) for numbers in (single, reorders, weights))
    return Phase(
        calls=whole["calls"],
        exec_ns=whole["exec_ns"],
        reorders=moved["calls"],
        reorder_ns=moved["exec_ns"],
        weights_reorders=of_weights["calls"],
        weights_reorder_ns=of_weights["exec_ns"],
        cache_hits=whole["cache_hits"],
        cache_misses=whole["cache_misses"],
        create_ns=whole["create_ns"],
    )


def _weights_reorders(log: Log) -> list[int]:
    """Return the reorders into the layout, and over the dimensions, of some primitive's weights."""
    weights = {weights_of(primitive) for primitive in log.primitives}
    targets = [(p.problem, p.layouts.rpartition("dst:")[2]) if p.is_reorder else None for p in log.primitives]
    return [n for n, target in enumerate(targets) if target is not None and target in weights]


def repeated_reorders(joined: Joined) -> list[RepeatedReorder]:
    """Return the weights that every warm forward reorders anew, the dearest first; they could be reordered once."""
    log, count = joined.log, len(joined.forwards)
    found = []
    for number in _weights_reorders(log):
        mask = joined.is_warm & (log.primitive == number)
        primitive = log.primitives[number]
        if primitive.operation == "exec" and count and len(np.unique(joined.forward[mask])) == count:
            found.append(
                RepeatedReorder(
                    problem=primitive.problem,
                    implementation=primitive.implementation,
                    calls=float(mask.sum()) / count,
                    exec_ns=float(log.duration_ns[mask].sum()) / count,
                )
            )
    return sorted(found, key=lambda reorder: -reorder.exec_ns)


def primitives_by_operator(joined: Joined) -> Mapping[str, Sequence[PrimitiveUse]]:
    """Return what ran in each operator, by name, per traced forward, most time first."""
    log, count = joined.log, len(joined.forwards)
    calls: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    names = joined.operator_names()
    for row in np.flatnonzero(joined.operator >= 0).tolist():
        p = log.primitives[log.primitive[row]]
        if p.operation == "exec" and not p.is_graph:
            sums = calls[names[row] or "", p.kind, p.implementation, p.fpmath]
            sums[0] += 1
            sums[1] += int(log.duration_ns[row])
    found: dict[str, list[PrimitiveUse]] = defaultdict(list)
    for (name, kind, implementation, fpmath), (times, ns) in sorted(calls.items(), key=lambda item: -item[1][1]):
        use = PrimitiveUse(
            kind=kind, implementation=implementation, fpmath=fpmath, calls=times / count, exec_ns=ns / count
        )
        found[name].append(use)
    return found
