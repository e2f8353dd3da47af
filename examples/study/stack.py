"""Figure 4: the part of the stack that changed; figure 5: the primitive cache. Both from oneDNN's logs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from examples.study.parts import Figure, Row, strong, table, times
from examples.study.plan import MODELS_PART, NEW, OLD, Plan
from examples.study.speedups import comparison, label
from profkit import units
from profkit.comparison.records.diff import WorkloadChange
from profkit.report.document import plural
from profkit.report.kinds.diff.primitives import implementations
from profkit.report.page import Block
from profkit.runs.contents import RunContents
from profkit.runs.store import one_run
from profkit.views.primitives import PrimitivesView, view_primitives

SHOWN = 6  # changes of implementations per model


def figure_4(logs: Path) -> Figure:
    """Return which implementations did the work before and after the upgrade, per model."""
    found = comparison(logs, label(OLD), label(NEW))
    rows = [row for change in found.workloads for row in _changed(change)]
    ran = [change for change in found.workloads if change.primitives and change.primitives.problems]
    versions = {(c.primitives.baseline.onednn, c.primitives.candidate.onednn) for c in ran if c.primitives}
    said = "; ".join(f"oneDNN {before} → {after}" for before, after in sorted(versions, key=str)) or "no oneDNN log"
    without = [change.name for change in found.workloads if change not in ran]
    blocks: list[Block] = [strong(f"{OLD} → {NEW}: {said}.")]
    if without:
        blocks.append(strong(f"oneDNN executed nothing in {', '.join(without)}: other libraries did their work."))
    columns = ("model", "implementation before → after", "primitives", "time per forward")
    if rows:
        blocks.append(table("Implementations that changed", columns, rows, words=2))
    for change in found.workloads:
        blocks.append(_largest(change))
    measured = f"{said}; implementations that changed: {len(rows)}, in {plural(len(ran), 'model')}"
    row = Row("4: what changed", "a diagram: ATen BLAS, ideep, oneDNN and ACL", measured, "ACL is for Arm only")
    return Figure("Figure 4: the part of the stack that changed", (row,), tuple(blocks))


def _changed(change: WorkloadChange) -> Iterator[tuple[str, str, str, str]]:
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for problem in change.primitives.problems if change.primitives else []:
        if problem.changed:
            entry = sums[implementations(problem.baseline), implementations(problem.candidate)]
            entry[0] += 1
            entry[1] += problem.baseline.exec_ns if problem.baseline else 0.0
            entry[2] += problem.candidate.exec_ns if problem.candidate else 0.0
    largest = sorted(sums.items(), key=lambda item: -max(item[1][1:]))[:SHOWN]
    for (before, after), (count, old, new) in largest:
        yield change.name, f"{before} → {after}", units.count(count), times(old, new)


def _largest(change: WorkloadChange) -> Block:
    """Return the operator that changed most, and whether oneDNN ran in it."""
    if not change.operators:
        return strong(f"{change.name}: no operators.")
    most = max(change.operators, key=lambda operator: abs(operator.delta_ns))
    before, after = most.judged_ns
    found = f"{units.duration(before)} → {units.duration(after)} per forward"
    verdict = f", {most.verdict}" if most.verdict else ""
    return strong(f"{change.name}: the operator {most.name!r} changed most under the profiler: {found}{verdict}.")


def figure_5(plan: Plan, logs: Path) -> Figure:
    """Return hits, misses and creation times of the primitive cache, per model and version."""
    views = [
        (torch, name, _view(logs / MODELS_PART / label(torch) / name)) for name in plan.models for torch in plan.torches
    ]
    known = [(torch, name, view) for torch, name, view in views if view is not None]
    columns = ("model", "PyTorch", "misses before", "hits before", "creation", "misses", "hits", "creation")
    rows = [
        (name, torch, *(text for phase in (view.cold_phase, view.warm_phase) for text in _phase(phase)))
        for torch, name, view in known
        if view.primitives
    ]
    warm = [view.warm_phase for _, _, view in known if view.warm_phase is not None]
    created = [phase for phase in warm if phase.cache_hits + phase.cache_misses]
    reused = sum(not phase.cache_misses for phase in created)
    note = "The first three columns of numbers are before the traced forwards, the others in them."
    said = (
        f"{len(created)} of {len(known)} runs ask for primitives in their traced forwards; in {reused} of these the "
        "cache had every one"
    )
    row = Row(
        "5: primitive cache",
        "a diagram: the first call creates and stores, later ones find",
        said,
        "LRU_CACHE_CAPACITY is 1024 on both sides, as in the study",
    )
    table_ = table("Primitive cache, by oneDNN's log", columns, rows, words=2, note=note)
    return Figure("Figure 5: the primitive cache", (row,), (strong(f"{said}."), table_))


def _phase(phase: object) -> tuple[str, str, str]:
    hits, misses, ns = (getattr(phase, name, None) for name in ("cache_hits", "cache_misses", "create_ns"))
    return units.count(misses), units.count(hits), units.duration(ns)


def _view(folder: Path) -> PrimitivesView | None:
    run = one_run(folder)
    return None if run.onednn_log is None else view_primitives(RunContents(run))
