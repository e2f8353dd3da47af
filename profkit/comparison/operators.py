"""Per-operator comparison: times, confidence intervals, verdicts, and replaced operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from profkit.arrays import Floats
from profkit.comparison.calls.align import Alignment
from profkit.comparison.calls.implementations import Replacement, changed_callers, moved_callees, replacements
from profkit.comparison.calls.renamed import known_since
from profkit.comparison.latency import judged_fields, time_intervals
from profkit.comparison.records.diff import OperatorChange, OperatorTimes
from profkit.comparison.records.parts import place_fields
from profkit.runs.measurement import Measurement, OperatorMatrix
from profkit.runs.pairing import rounds_for_interval
from profkit.stats.inference import compare_samples, typical
from profkit.stats.judged import UNPAIRED, Design, Judged
from profkit.stats.quantiles import median
from profkit.trace.calls import Call
from profkit.trace.operators import Key
from profkit.trace.options import By


class MovedWork(msgspec.Struct, frozen=True):
    """Work that other operators do on the other side.

    ``replaced`` names, per side, the operator that does another one's work on the other side. ``callers`` are the
    operators (with the input shapes of the call) that call others than before to do their work. ``by_name`` and
    ``by_shape`` name the operator that does a part of another one's work on the other side.
    """

    replaced: tuple[Mapping[str, Replacement], Mapping[str, Replacement]] = ({}, {})
    callers: frozenset[Call] = frozenset()
    by_name: Mapping[str, str] = msgspec.field(default_factory=dict)
    by_shape: Mapping[Call, str] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, alignment: Alignment) -> MovedWork:
        """Return the work that moved between the calls of an alignment."""
        return cls(
            replacements(alignment),
            changed_callers(alignment),
            moved_callees(alignment, lambda call: call[0]),
            moved_callees(alignment, lambda call: call),
        )

    def partner(self, key: Key, by: By) -> str | None:
        """Return the operator that does a part of the work of ``key``, which both sides have, on the other side."""
        if self.is_below(key, by):
            return None
        return self.by_shape.get((key[0], key[1] or "")) if by == "shape" else self.by_name.get(key[0])

    def is_below(self, key: Key, by: By) -> bool:
        """Whether other operators below ``key`` do its work; by module or stack, below any operator of its name."""
        return key in self.callers if by == "shape" else any(key[0] == name for name, _ in self.callers)


def compare_operators(
    baseline: Measurement, candidate: Measurement, moved: MovedWork, by: By = "name", design: Design = UNPAIRED
) -> list[OperatorChange]:
    """Compare every operator that a side has, the largest change first.

    An operator is judged on its self host time. If ``moved`` says that others do its work below it, its self times are
    of different work, and it is judged on its total host time instead, in the same table. If others do a part of its
    work elsewhere on the other side, its times are not compared.
    """
    sides = (baseline, candidate)
    tables = (baseline.tables[by], candidate.tables[by])
    shared = [key for key in tables[0].keys if key in tables[1].row]
    times = [_times(side, table) for side, table in zip(sides, tables, strict=True)]
    changes = _shared_changes(shared, sides, tables, times, moved, by, design) if shared else []
    names = [{key[0] for key in table.keys} for table in tables]
    for here, there in ((0, 1), (1, 0)):
        for key in tables[here].keys:
            if key not in tables[there].row:
                partner = _partner(key[0], tables[here], moved.replaced[here]) if key[0] not in names[there] else None
                changes.append(_one_sided(key, times[here][key], is_new=bool(here), partner=partner, by=by))
    return sorted(changes, key=lambda change: (-abs(change.delta_ns), change.name, change.place or ""))


def _shared_changes(
    shared: Sequence[Key],
    sides: Sequence[Measurement],
    tables: Sequence[OperatorMatrix],
    times: Sequence[Mapping[Key, OperatorTimes]],
    moved: MovedWork,
    by: By,
    design: Design,
) -> list[OperatorChange]:
    total = [table.rounds("total_ns", shared) for table in tables]
    on_total = np.array([moved.is_below(key, by) for key in shared])
    judged = [
        [np.where(on_total[:, None], inclusive, own) for own, inclusive in zip(rounds, totals, strict=True)]
        for rounds, totals in zip([table.rounds("self_ns", shared) for table in tables], total, strict=True)
    ]
    forwards = [float(median(np.concatenate(side.forward_ns))) for side in sides]
    share: Floats = np.maximum(*(typical(rounds) / max(ns, 1) for rounds, ns in zip(judged, forwards, strict=True)))
    calls = np.array([max(side[key].calls for side in times) for key in shared])
    # both ends of each call may be off by one tick of the clock
    resolvable_ns = max(side.resolution_ns for side in sides) * calls
    found = compare_samples(judged[0], judged[1], share=share, resolvable_ns=resolvable_ns, design=design)
    of_total = compare_samples(total[0], total[1], share=share, resolvable_ns=resolvable_ns, design=design)
    changes = []
    for row, key in enumerate(shared):
        before, after = (side[key] for side in times)
        is_total = bool(on_total[row])
        partner = moved.partner(key, by)
        # times of different work are not compared
        verdicts = [found[row], of_total[row]] if partner is None else [Judged(verdict="replaced")] * 2
        changes.append(
            OperatorChange(
                name=key[0],
                **place_fields(by, key),
                baseline=before,
                candidate=after,
                # one time has one verdict, although the two tables control the false discoveries apart
                total=verdicts[not is_total],
                judged_on="total" if is_total else "self",
                delta_ns=after.total_host_ns - before.total_host_ns
                if is_total
                else after.self_host_ns - before.self_host_ns,
                paired_with=partner,
                **judged_fields(verdicts[0]),
            )
        )
    return changes


def _partner(name: str, table: OperatorMatrix, replaced: Mapping[str, Replacement]) -> str | None:
    """Return the operator that does the work on the other side, if every call in every forward is explained."""
    found = replaced.get(name)
    rows = [row for row, key in enumerate(table.keys) if key[0] == name]
    return found.by if found is not None and (table.calls[rows].sum(axis=0) == found.calls).all() else None


def _one_sided(key: Key, times: OperatorTimes, *, is_new: bool, partner: str | None, by: By) -> OperatorChange:
    verdict = Judged(verdict="replaced" if partner is not None else "added" if is_new else "removed")
    return OperatorChange(
        name=key[0],
        **place_fields(by, key),
        baseline=None if is_new else times,
        candidate=times if is_new else None,
        delta_ns=times.self_host_ns if is_new else -times.self_host_ns,
        paired_with=partner,
        since=known_since(key[0]) if is_new else None,
        **judged_fields(verdict),
    )


def _times(side: Measurement, table: OperatorMatrix) -> dict[Key, OperatorTimes]:
    """Return every operator's times on one side; the geometric means that the speedups are ratios of."""
    if not table.keys:
        return {}
    calls = table.medians("calls")
    resolvable_ns = side.resolution_ns * np.array(calls)  # as in _shared_changes, for one side
    rounds = [table.rounds(figure) for figure in ("self_ns", "total_ns")]
    own, total = (typical(figure).tolist() for figure in rounds)
    needed = rounds_for_interval(side.data.chosen_rounds)
    of_self, of_total = (time_intervals(figure, resolvable_ns=resolvable_ns, needed=needed) for figure in rounds)
    overhead = side.overhead_per_call_ns
    return {
        key: OperatorTimes(
            calls=calls[row],
            self_host_ns=own[row],
            total_host_ns=total[row],
            self_host_interval=of_self[row],
            total_host_interval=of_total[row],
            profiler_share=None if overhead is None or not own[row] else min(1.0, overhead * calls[row] / own[row]),
        )
        for row, key in enumerate(table.keys)
    }
