"""Figures 2 and 3: relative cost and relative p90 latency per machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from examples.study import published
from examples.study.parts import Figure, Row, strong
from examples.study.plan import NEW, THREADS_PART, Plan
from profkit.comparison.records.cost import CostReport
from profkit.errors import UsageError
from profkit.report.document import Table
from profkit.report.kinds import cost
from profkit.report.kinds.kind import Selection
from profkit.report.page import Block
from profkit.runs.store import find_runs
from profkit.views.cost import view_cost


def figures_2_and_3(plan: Plan, logs: Path, machines: Sequence[Path]) -> Figure:
    """Return cost and p90 of the machines whose ``logs`` are given, or of this one by its number of threads."""
    if machines:
        report = view_cost([run for folder in machines for run in _most_threads(folder)])
        stands = "Each machine ran the same captures; prices are those of their instance types."
    else:
        report = _by_threads(plan, logs)
        stands = (
            "This is one machine. Its thread counts stand in for machines: N of its M threads are priced at N/M of a "
            "dollar per hour. Name the logs of other machines with --machine."
        )
    blocks: list[Block] = [strong(stands)]
    blocks += [cost.KIND.pictures["cost"](report)]
    try:
        blocks += [cost.KIND.pictures["p90"](report)]
    except UsageError:  # too few forwards
        blocks.append(strong(f"No p90: {report.p90_missing}"))
    blocks += [block for block in cost.document(report, Selection(), None).blocks if isinstance(block, Table)]
    why = "other machines" if machines else "one machine: thread counts stand in for instance types"
    rows = (
        Row("2: relative cost", f"up to {published.COST_SAVED:.0%} lower on c7g.4xlarge", _range(report, "cost"), why),
        Row("3: relative p90", f"up to {published.P90_SAVED:.0%} better on c7g.4xlarge", _range(report, "p90"), why),
    )
    return Figure("Figures 2 and 3: relative cost and p90 latency", rows, tuple(blocks), tuple(report.warnings))


def _most_threads(folder: Path) -> list[Path]:
    """Return the runs of a machine that used all of its processors."""
    runs = [run for run in find_runs(folder / THREADS_PART) if run.manifest is not None]
    most = max((run.manifest.settings.threads or 0 for run in runs if run.manifest), default=0)
    return [run.path for run in runs if run.manifest and run.manifest.settings.threads == most]


def _by_threads(plan: Plan, logs: Path) -> CostReport:
    most = max(plan.threads)
    labels = {threads: f"{NEW}-frozen-threads{threads}" for threads in plan.threads}
    prices = [f"{labels[threads]}={threads / most:g}" for threads in plan.threads]
    return view_cost([logs / THREADS_PART / labels[threads] for threads in reversed(plan.threads)], prices)


def _range(report: CostReport, field: str) -> str:
    """Say between which values the runs lie relative to the baseline."""
    values = [
        found.relative
        for run in report.runs
        if run.label != report.baseline
        for entry in run.entries
        if (found := getattr(entry, field)) is not None and found.relative is not None
    ]
    if not values:
        return "not measured"
    others = ", ".join(run.label for run in report.runs if run.label != report.baseline)
    return f"{others} relative to {report.baseline}: {min(values):.2f} to {max(values):.2f}"
