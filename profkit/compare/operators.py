"""Per-operator comparison: times, confidence intervals, verdicts, and replaced operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from profkit.arrays import Floats
from profkit.compare.calls.implementations import Replacement
from profkit.compare.calls.renamed import known_since
from profkit.compare.latency import judged_fields, time_intervals
from profkit.compare.records.diff import OperatorChange, OperatorTimes
from profkit.runs.measurement import Measurement, OperatorMatrix
from profkit.stats.inference import compare_samples, typical
from profkit.stats.judged import UNPAIRED, Design, Judged
from profkit.stats.quantiles import median
from profkit.trace.operators import Key
from profkit.trace.options import By

Replacements = tuple[Mapping[str, Replacement], Mapping[str, Replacement]]


def compare_operators(
    baseline: Measurement, candidate: Measurement, replaced: Replacements, by: By = "name", design: Design = UNPAIRED
) -> list[OperatorChange]:
    """Compare every operator that a side has, the largest change first.

    ``replaced`` names, per side, the operator that does another one's work on the other side; it is used for operators
    that occur on one side only.
    """
    sides = (baseline, candidate)
    tables = (baseline.tables[by], candidate.tables[by])
    shared = [key for key in tables[0].keys if key in tables[1].row]
    times = [_times(side, table) for side, table in zip(sides, tables, strict=True)]
    changes = _shared_changes(shared, sides, tables, times, by, design) if shared else []
    names = [{key[0] for key in table.keys} for table in tables]
    for here, there in ((0, 1), (1, 0)):
        for key in tables[here].keys:
            if key not in tables[there].row:
                partner = _partner(key[0], tables[here], replaced[here]) if key[0] not in names[there] else None
                changes.append(_one_sided(key, times[here][key], is_new=bool(here), partner=partner, by=by))
    return sorted(changes, key=lambda change: (-abs(change.delta_ns), change.name, change.place or ""))


def _shared_changes(
    shared: Sequence[Key],
    sides: Sequence[Measurement],
    tables: Sequence[OperatorMatrix],
    times: Sequence[Mapping[Key, OperatorTimes]],
    by: By,
    design: Design,
) -> list[OperatorChange]:
    own = [table.rounds("self_ns", shared) for table in tables]
    total = [table.rounds("total_ns", shared) for table in tables]
    forwards = [float(median(np.concatenate(side.forward_ns))) for side in sides]
    share: Floats = np.maximum(*(typical(rounds) / max(ns, 1) for rounds, ns in zip(own, forwards, strict=True)))
    calls = np.array([max(side[key].calls for side in times) for key in shared])
    # both ends of each call may be off by one tick of the clock
    resolvable_ns = max(side.resolution_ns for side in sides) * calls
    of_self = compare_samples(own[0], own[1], share=share, resolvable_ns=resolvable_ns, design=design)
    of_total = compare_samples(total[0], total[1], share=share, resolvable_ns=resolvable_ns, design=design)
    return [
        OperatorChange(
            name=key[0],
            **place_fields(by, key),
            baseline=times[0][key],
            candidate=times[1][key],
            total=of_total[row],
            delta_ns=times[1][key].self_host_ns - times[0][key].self_host_ns,
            **judged_fields(of_self[row]),
        )
        for row, key in enumerate(shared)
    ]


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
    of_self, of_total = (time_intervals(figure, resolvable_ns=resolvable_ns) for figure in rounds)
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


def place_fields(by: By, key: Key) -> dict[str, Any]:
    """Return the fields of a record that tell its row apart from others of its operator's name."""
    return {} if by == "name" else {"input_dims" if by == "shape" else by: key[1]}
