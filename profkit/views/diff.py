"""Compares two folders, runs or traces: finds the workloads that both have, measures them and compares them.

Both sides are measured by processes of their own where that is possible. Meanwhile this one imports what the comparison
needs, which takes as long as reading several traces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from profkit.errors import UsageError
from profkit.forked import Beside
from profkit.runs.contents import RunContents
from profkit.runs.measurement import Measurement, measure
from profkit.runs.store import Run, find_runs
from profkit.stats.judged import MARGIN
from profkit.trace.options import DEFAULT, By, ReadOptions

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison

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
    with PendingComparison.of(baseline, candidate, by, options) as pending:
        return pending.result(margin)[by]


class PendingComparison:
    """A comparison of pairs of runs, under way: use it in ``with``, which ends the processes.

    ``sides`` are what the result calls the paths of both. Each trace is decoded once. ``for_page`` adds the other
    groupings that a page offers: by name and by shape, and by module if every run recorded Python stacks. Raises
    InputError if no pair has traces on both sides.
    """

    def __init__(
        self,
        pairs: Sequence[RunPair],
        sides: tuple[str, str],
        by: By = "name",
        options: ReadOptions = DEFAULT,
        *,
        for_page: bool = False,
    ) -> None:
        self._sides = sides
        self._options = options
        self._pairs, self._left_out = _with_traces(pairs)
        self._groupings = _page_groupings(by, self._pairs) if for_page else [by]
        self._stack = ExitStack()
        self._first = self._begin(self._pairs[0])

    @classmethod
    def of(
        cls,
        baseline: str | Path,
        candidate: str | Path,
        by: By = "name",
        options: ReadOptions = DEFAULT,
        *,
        for_page: bool = False,
    ) -> PendingComparison:
        """Begin to compare every workload that both paths have; raises as :func:`compare_runs` does."""
        sides = (str(baseline), str(candidate))
        return cls(pair_runs(find_runs(baseline), find_runs(candidate), *sides), sides, by, options, for_page=for_page)

    def result(self, margin: float = MARGIN) -> dict[By, Comparison]:
        """Return the comparison by each grouping, once everything is measured."""
        from profkit.comparison.diff import compare

        measured = [tuple(side.result() for side in self._first)]
        measured += [tuple(side.result() for side in self._begin(pair)) for pair in self._pairs[1:]]
        found = compare([(before, after) for before, after in measured], *self._sides, self._groupings, margin)
        return {by: replace(c, warnings=[*self._left_out, *c.warnings]) for by, c in found.items()}

    def _begin(self, pair: RunPair) -> list[Beside[Measurement]]:
        """Begin to measure both sides of a pair, each in a process of its own."""
        sides = [_measuring(pair[n], pair[1 - n], self._groupings, self._options) for n in (0, 1)]
        return [self._stack.enter_context(Beside(side)) for side in sides]

    def __enter__(self) -> PendingComparison:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _page_groupings(by: By, pairs: Sequence[RunPair]) -> list[By]:
    manifests = [run.manifest for pair in pairs for run in pair]
    stacks = all(manifest is not None and manifest.settings.with_stack for manifest in manifests)
    offered: list[By] = ["name", "shape", "module"] if stacks else ["name", "shape"]
    return [by, *(other for other in offered if other != by)]


def _measuring(run: Run, other: Run, groupings: Sequence[By], options: ReadOptions) -> Callable[[], Measurement]:
    """Return the function that reads everything of ``run`` that its comparison with ``other`` needs."""

    def side() -> Measurement:
        measured = measure(run, groupings, options, with_calls=True)
        return replace(measured, data=RunContents(run, options).read(RunContents(other, options)))

    return side


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


def _with_traces(pairs: Sequence[RunPair]) -> tuple[list[RunPair], list[str]]:
    """Return the pairs with a trace on both sides, and a warning per run without one.

    Raises InputError if no pair is left.
    """
    kept = [pair for pair in pairs if all(run.traces for run in pair)]
    lacking = [run for pair in pairs for run in pair if not run.traces]
    if not kept:
        lacking[0].require_traces()
    reasons = [(run, run.manifest.reason if run.manifest else None) for run in lacking]
    return kept, [f"{run.label} {run.workload} is left out: {reason or 'it has no trace'}." for run, reason in reasons]
