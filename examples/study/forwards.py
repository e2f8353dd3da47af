"""Figures 6 and 7: the forward of both versions side by side, and its operators."""

from __future__ import annotations

from pathlib import Path

from examples.study.parts import Figure, Row, strong, table
from examples.study.plan import MODELS_PART, NEW, OLD, Plan
from examples.study.speedups import label
from profkit import units
from profkit.comparison.records.diff import Comparison, OperatorChange
from profkit.report.kinds.diff.pictures import PICTURES
from profkit.report.page import Block
from profkit.report.sentences import verdict_words
from profkit.report.verdicts import speedup_text
from profkit.views.diff import compare_runs

SHOWN = 10  # operators
_WHY = "another processor; the study's figure is of one profiled forward on each side"


def image_model(plan: Plan, logs: Path) -> Comparison:
    """Compare the first model in FP32 before with BF16 after, as the study's figures 6 and 7 do."""
    folder, name = logs / MODELS_PART, plan.models[0]
    return compare_runs(folder / label(OLD) / name, folder / label(NEW, "bf16") / name)


def figure_6(found: Comparison) -> Figure:
    """Return the forward's wall times side by side."""
    (change,) = found.workloads
    lanes = f"profkit lanes {found.baseline.label}/{change.name} {found.candidate.label}/{change.name} -o lanes.json.gz"
    blocks: list[Block] = [
        strong(f"{change.name}, under the profiler: {verdict_words(change.forward)}."),
        strong(f"The same as a trace for Perfetto, in the folder of the captures: {lanes}"),
        PICTURES["icicle"](found),
    ]
    row = Row("6: forward wall time", "around 3x shorter", f"{change.name}: {verdict_words(change.forward)}", _WHY)
    return Figure("Figure 6: forward wall time", (row,), tuple(blocks), tuple(found.warnings))


def figure_7(found: Comparison) -> Figure:
    """Return the operators' host times side by side."""
    (change,) = found.workloads
    chosen = [operator for operator in change.operators if any(operator.judged_ns)][:SHOWN]
    columns = ("operator", "verdict", found.baseline.label, found.candidate.label, "speedup")
    rows = [_operator(operator) for operator in chosen]
    before, after = (sum(_self(o, side) for o in change.operators) for side in ("baseline", "candidate"))
    whole = f"{units.duration(before)} → {units.duration(after)}"
    note = "Host times per forward, under the profiler; the largest changes first."
    blocks: list[Block] = [
        strong(f"{change.name}: self host time of all operators {whole}."),
        PICTURES["waterfall"](found),
        table("Operators", columns, rows, words=2, note=note),
    ]
    ratio = units.ratio(before / after) if after else units.NOTHING
    row = Row("7: operator host time", "around 3x shorter", f"{change.name}: {whole}, {ratio} (no interval)", _WHY)
    return Figure("Figure 7: operator host time", (row,), tuple(blocks))


def _self(operator: OperatorChange, side: str) -> float:
    found = getattr(operator, side)
    return 0.0 if found is None else float(found.self_host_ns)


def _operator(operator: OperatorChange) -> tuple[str, ...]:
    before, after = operator.judged_ns
    times = (units.duration(before), units.duration(after))
    return operator.name, operator.verdict or "", *times, speedup_text(operator)
