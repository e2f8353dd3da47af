"""The tutorial: a stack of Linear layers, and the environment variables that it recommends as configurations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from examples.study import published
from examples.study.parts import Figure, Row, table
from examples.study.plan import TUTORIAL_PART, Plan
from profkit import units
from profkit.comparison.records.many import Entry
from profkit.report.page import Block
from profkit.report.sentences import verdict_words
from profkit.runs.store import Run, find_runs
from profkit.views.many import compare_many

VARIABLES = ("THP_MEM_ALLOC_ENABLE", "TORCH_MKLDNN_MATMUL_MIN_DIM")
FORWARDS = 100  # whose total the tutorial publishes


class Measured(NamedTuple):
    """A configuration: ``variable`` is the one that is set, empty if none is; ``entry`` is relative to plain FP32."""

    fpmath: str
    variable: str
    label: str
    entry: Entry


def tutorial(plan: Plan, logs: Path) -> Figure:
    """Return each batch's configurations relative to FP32 without the variable."""
    runs = [run for run in find_runs(logs / TUTORIAL_PART) if run.manifest]
    blocks: list[Block] = []
    rows: list[Row] = []
    for batch in plan.batches:
        found = list(_measured([run for run in runs if run.manifest and run.manifest.workload.batch == batch]))
        blocks.append(_table(batch, found))
        rows += _rows(batch, found)
    return Figure("The tutorial: Linear stack", tuple(rows), tuple(blocks))


def _measured(runs: list[Run]) -> Iterator[Measured]:
    by_setting = {}
    for run in runs:
        assert run.manifest is not None
        own = next((n for n in VARIABLES if run.manifest.environment.get(n, "0") != "0"), "")
        by_setting[run.manifest.settings.fpmath, own] = run
    ordered = sorted(by_setting.items(), key=lambda item: (item[0][0] != "fp32", item[0][1]))
    overview = compare_many([run.path for _, run in ordered])
    entries = {shown.label: shown.entries[0] for shown in overview.runs}
    for (fpmath, variable), run in ordered:
        yield Measured(fpmath, variable, run.label, entries[run.label])


def _total(one: Measured) -> str:
    return f"{FORWARDS * one.entry.wall.p50_ns / 1e9:.2f} s"


def _published(batch: int, one: Measured) -> str:
    seconds = published.TUTORIAL_S.get((batch, one.fpmath, one.variable))
    return units.NOTHING if seconds is None else f"{seconds:.2f} s"


def _table(batch: int, found: list[Measured]) -> Block:
    columns = ("fpmath mode", "variable", "relative to FP32, with its 95% interval", "100 forwards", "published")
    rows = [
        (
            one.fpmath,
            one.variable or "none",
            "baseline" if one is found[0] else verdict_words(one.entry),
            _total(one),
            _published(batch, one),
        )
        for one in found
    ]
    note = f"{FORWARDS} forwards: {FORWARDS} times the median latency. Published: measured as a total, one run each."
    return table(f"Batch {batch}", columns, rows, words=3, note=note)


def _rows(batch: int, found: list[Measured]) -> Iterator[Row]:
    plain = published.TUTORIAL_S[batch, "fp32", ""]
    for one in found[1:]:
        seconds = published.TUTORIAL_S.get((batch, one.fpmath, one.variable))
        if seconds is not None:
            name = f"tutorial, batch {batch}: {one.fpmath.upper()} {one.variable}".rstrip()
            arm_only = "; the variable is read on Arm only" * (one.variable == VARIABLES[1])
            why = f"another processor, c7g.xlarge{arm_only}"
            yield Row(name, f"{plain / seconds:.2f}x", verdict_words(one.entry), why)
