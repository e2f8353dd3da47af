"""The operators of a comparison as rows: selection, order, CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from profkit.report.kinds.kind import Selection, choose, require_match

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison, OperatorChange

CSV_HEADER = (
    "workload",
    "operator",
    "input_dims",
    "module",
    "stack",
    "baseline_calls",
    "candidate_calls",
    "baseline_self_host_ns",
    "candidate_self_host_ns",
    "baseline_total_host_ns",
    "candidate_total_host_ns",
    "speedup",
    "low",
    "high",
    "p_value",
    "q_value",
    "delta_ns",
    "verdict",
    "paired_with",
    "judged_on",
)


def _larger(field: str) -> Callable[[OperatorChange], float]:
    """Return a key that orders by the larger of both sides, the largest first."""
    return lambda o: -max(getattr(side, field) for side in (o.baseline, o.candidate) if side)


ORDERS: dict[str, Callable[[OperatorChange], object]] = {
    "change": lambda o: -abs(o.delta_ns),
    "speedup": lambda o: -(o.speedup or 0),
    "self": _larger("self_host_ns"),
    "total": _larger("total_host_ns"),
    "calls": _larger("calls"),
    "name": lambda o: o.name,
}


def select_operators(changes: Sequence[OperatorChange], selection: Selection) -> list[OperatorChange]:
    """Return the selected operators of one workload, in order."""
    return choose(changes, selection, lambda o: o.name, ORDERS)


def select(comparison: Comparison, selection: Selection) -> Comparison:
    """Return ``comparison`` with the selected operators, the first ``top`` of each workload.

    Raises UsageError if no workload has an operator that matches.
    """
    require_match((o.name for w in comparison.workloads for o in w.operators), selection, "operators")
    workloads = [
        msgspec.structs.replace(w, operators=select_operators(w.operators, selection)) for w in comparison.workloads
    ]
    return msgspec.structs.replace(comparison, workloads=workloads)


def csv_rows(comparison: Comparison) -> Iterator[Sequence[object]]:
    """Yield one row per workload and operator; times in ns per forward, None if a side has none."""
    for workload in comparison.workloads:
        for o in workload.operators:
            sides = (o.baseline, o.candidate)
            figures = [
                getattr(side, field) if side else None
                for field in ("calls", "self_host_ns", "total_host_ns")
                for side in sides
            ]
            tail = [o.speedup, o.low, o.high, o.p_value, o.q_value, o.delta_ns, o.verdict, o.paired_with, o.judged_on]
            yield [workload.name, o.name, o.input_dims, o.module, o.stack, *figures, *tail]
