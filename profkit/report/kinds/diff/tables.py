"""The tables of a comparison as data, beside that of the operators: wall times and primitives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from profkit.report.kinds.diff.primitives import primitive_speedup
from profkit.report.kinds.kind import DataTable

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison, WorkloadChange
    from profkit.comparison.records.parts import Judged

_JUDGED = ("speedup", "low", "high", "p_value", "q_value", "verdict")
WALL_TIMES = ("workload", "wall", "quantile", "baseline_ns", "candidate_ns", *_JUDGED)
PRIMITIVES = (
    *("workload", "kind", "problem", "baseline_implementations", "candidate_implementations"),
    *("baseline_calls", "candidate_calls", "baseline_exec_ns", "candidate_exec_ns", "speedup"),
)


def _wall_times(comparison: Comparison) -> Iterator[Sequence[object]]:
    """Yield the median of the profiled forward, and each known quantile of the latency; times in ns."""
    for change in comparison.workloads:
        forward = change.forward
        yield [change.name, "profiled", "p50", forward.baseline_ns, forward.candidate_ns, *_judged(forward)]
        yield from _latencies(change)


def _latencies(change: WorkloadChange) -> Iterator[Sequence[object]]:
    latency = change.latency
    if latency is None:
        return
    for quantile, judged in (("p50", latency), ("p90", latency.p90), ("p99", latency.p99)):
        if judged is not None:
            times = [getattr(side, f"{quantile}_ns") for side in (latency.baseline, latency.candidate)]
            yield [change.name, "latency", quantile, *times, *_judged(judged)]


def _judged(found: Judged) -> list[object]:
    return [getattr(found, field) for field in _JUDGED]


def _primitives(comparison: Comparison) -> Iterator[Sequence[object]]:
    """Yield one row per oneDNN problem, per warm forward; times in ns, None if a side has no primitive for it."""
    for change in comparison.workloads:
        for problem in change.primitives.problems if change.primitives else []:
            sides = (problem.baseline, problem.candidate)
            names = [", ".join(side.implementations) if side else None for side in sides]
            figures = [getattr(side, field) if side else None for field in ("calls", "exec_ns") for side in sides]
            yield [change.name, problem.kind, problem.problem, *names, *figures, primitive_speedup(problem)]


TABLES = {"wall_times": DataTable(WALL_TIMES, _wall_times), "primitives": DataTable(PRIMITIVES, _primitives)}
