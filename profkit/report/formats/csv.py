"""The operator tables as CSV: raw nanoseconds, one row per operator, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from profkit.compare.records.diff import Comparison
from profkit.compare.records.many import Overview
from profkit.report.escape import cell
from profkit.views.operators import OperatorsView
from profkit.views.primitives import PrimitivesView

_DIFF_HEADER = (
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
)
_OPERATORS_HEADER = (
    "operator",
    "input_dims",
    "module",
    "stack",
    "calls",
    "self_host_ns",
    "total_host_ns",
    "self_device_ns",
    "total_device_ns",
)


_OVERVIEW_HEADER = (
    "run",
    "workload",
    "torch",
    "fpmath",
    "mode",
    "wall",
    "p50_ns",
    "p90_ns",
    "p99_ns",
    "mean_ns",
    "n",
    "rounds",
    "speedup",
    "low",
    "high",
    "p_value",
    "verdict",
)


_PRIMITIVES_HEADER = (
    "kind",
    "implementation",
    "fpmath",
    "data_types",
    "problem",
    "post_ops",
    "calls",
    "exec_ns",
    "cache_hits",
    "cache_misses",
    "create_ns",
)


def render_diff_csv(comparison: Comparison) -> str:
    """One row per workload and operator; times in ns per forward, empty where a side has none."""
    rows: list[Sequence[object]] = []
    for workload in comparison.workloads:
        for o in workload.operators:
            sides = (o.baseline, o.candidate)
            figures = [
                getattr(side, field) if side else None
                for field in ("calls", "self_host_ns", "total_host_ns")
                for side in sides
            ]
            tail = [o.speedup, o.low, o.high, o.p_value, o.q_value, o.delta_ns, o.verdict, o.paired_with]
            rows.append([workload.name, o.name, o.input_dims, o.module, o.stack, *figures, *tail])
    return _write(_DIFF_HEADER, rows)


def render_overview_csv(overview: Overview) -> str:
    """One row per run and workload; wall times in ns."""
    rows: list[Sequence[object]] = []
    for run in overview.runs:
        for entry in run.entries:
            wall, figures = entry.wall, [entry.speedup, entry.low, entry.high, entry.p_value, entry.verdict]
            kind = overview.walls[entry.workload]
            times = [wall.p50_ns, wall.p90_ns, wall.p99_ns, wall.mean_ns, wall.n, entry.rounds]
            rows.append([run.label, entry.workload, run.torch, run.fpmath, run.mode, kind, *times, *figures])
    return _write(_OVERVIEW_HEADER, rows)


def render_operators_csv(view: OperatorsView) -> str:
    """One row per operator; times in ns."""
    return _write(
        _OPERATORS_HEADER,
        ([getattr(o, name) for name in ("name", *_OPERATORS_HEADER[1:])] for o in view.operators),
    )


def render_primitives_csv(view: PrimitivesView) -> str:
    """One row per primitive; times in ns."""
    return _write(_PRIMITIVES_HEADER, ([getattr(row, name) for name in _PRIMITIVES_HEADER] for row in view.primitives))


def _write(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([cell(value) if isinstance(value, str) else value for value in row])
    return stream.getvalue()
