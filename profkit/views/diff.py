"""Compares two folders, runs or traces: finds the workloads that both have, measures them and compares them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from profkit.compare.diff import MeasuredPair, compare
from profkit.compare.records.diff import Comparison
from profkit.errors import UsageError
from profkit.forked import Beside
from profkit.runs.contents import RunContents
from profkit.runs.measurement import Measurement, measure
from profkit.runs.store import Run, find_runs
from profkit.stats.judged import MARGIN
from profkit.trace.options import DEFAULT, By, ReadOptions

RunPair = tuple[Run, Run]


def compare_runs(
    baseline: str | Path,
    candidate: str | Path,
    by: By = "name",
    options: ReadOptions = DEFAULT,
    margin: float = MARGIN,
) -> Comparison:
    """Compare every workload that both folders (or files) have; operators by name, input shape, module or stack.

    Raises InputError if a side cannot be read, UsageError if they have no workload in common.
    """
    return compare_groupings(baseline, candidate, by, options, margin)[by]


def compare_groupings(
    baseline: str | Path,
    candidate: str | Path,
    by: By = "name",
    options: ReadOptions = DEFAULT,
    margin: float = MARGIN,
    *,
    for_page: bool = False,
) -> dict[By, Comparison]:
    """Compare as :func:`compare_runs` does; each trace is decoded once.

    ``for_page`` adds the other groupings that a page offers: by name and by shape, and by module if every run recorded
    Python stacks.
    """
    pairs = pair_runs(find_runs(baseline), find_runs(candidate), str(baseline), str(candidate))
    pairs, left_out = _with_traces(pairs)
    groupings = _page_groupings(by, pairs) if for_page else [by]
    measured = [_measure_pair(pair, groupings, options) for pair in pairs]
    found = compare(measured, str(baseline), str(candidate), groupings, margin)
    return {by: replace(c, warnings=[*left_out, *c.warnings]) for by, c in found.items()}


def _page_groupings(by: By, pairs: Sequence[RunPair]) -> list[By]:
    manifests = [run.manifest for pair in pairs for run in pair]
    stacks = all(manifest is not None and manifest.settings.with_stack for manifest in manifests)
    offered: list[By] = ["name", "shape", "module"] if stacks else ["name", "shape"]
    return [by, *(other for other in offered if other != by)]


def _measure_pair(pair: RunPair, groupings: Sequence[By], options: ReadOptions) -> MeasuredPair:
    """Read everything that the comparison of a pair needs, the candidate in a second process."""

    def side(number: int) -> Measurement:
        run, other = pair[number], RunContents(pair[1 - number], options)
        measured = measure(run, groupings, options, with_calls=True)
        return dataclasses.replace(measured, data=RunContents(run, options).read(other))

    with Beside(lambda: side(1)) as candidate:
        return side(0), candidate.result()


def pair_runs(baseline: list[Run], candidate: list[Run], left: str, right: str) -> list[RunPair]:
    """Pair runs by workload. Two single runs are a pair if one of them has no manifest that names its workload.

    ``left`` and ``right`` are the paths as given. Raises UsageError if a side has two runs of a workload, or if the
    sides have no workload in common.
    """
    for runs, path in ((baseline, left), (candidate, right)):
        names = [run.workload for run in runs]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            found = ", ".join(str(run.path) for run in runs if run.workload == duplicates[0])
            raise UsageError(f"{path} has several runs of {duplicates[0]}: {found}", hint="Name one of them.")
    if len(baseline) == len(candidate) == 1 and None in (baseline[0].manifest, candidate[0].manifest):
        return [(baseline[0], candidate[0])]
    others = {run.workload: run for run in candidate}
    pairs = [(run, others[run.workload]) for run in baseline if run.workload in others]
    if not pairs:
        workloads = [f"{p} has {', '.join(r.workload for r in s)}" for p, s in ((left, baseline), (right, candidate))]
        raise UsageError(
            f"no workload in common: {'; '.join(workloads)}",
            hint="Capture the same workload on both sides, or name two runs of the same one.",
        )
    return pairs


def _with_traces(pairs: list[RunPair]) -> tuple[list[RunPair], list[str]]:
    """Return the pairs with a trace on both sides, and a warning per run without one.

    Raises InputError if no pair is left.
    """
    kept = [pair for pair in pairs if all(run.traces for run in pair)]
    lacking = [run for pair in pairs for run in pair if not run.traces]
    if not kept:
        lacking[0].require_traces()
    reasons = [(run, run.manifest.reason if run.manifest else None) for run in lacking]
    return kept, [f"{run.label} {run.workload} is left out: {reason or 'it has no trace'}." for run, reason in reasons]
