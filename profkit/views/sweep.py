"""The course of wall times along versions or a setting: each configuration against the first and the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from profkit.comparison.latency import series_ratio, summarise_run
from profkit.comparison.many import judge_as_one_table, pair_of
from profkit.comparison.outputs import compare_outputs
from profkit.comparison.records.outputs import OutputsChange
from profkit.comparison.records.parts import Judged
from profkit.comparison.records.sweep import SweepPoint, SweepResult, SweepWorkload
from profkit.comparison.resources import typical_resource
from profkit.errors import InputError
from profkit.runs.contents import RunContents, RunData
from profkit.runs.measurement import measure
from profkit.runs.pairing import how_apart, pair_rounds
from profkit.runs.store import MANIFEST_NAME, Run, find_runs
from profkit.stats.inference import typical
from profkit.stats.judged import MARGIN
from profkit.trace.options import DEFAULT, ReadOptions
from profkit.views.steps import explained_step

STACKED = 8  # operators with a colour of their own in the picture
_Key = tuple[str, str]


def view_sweep(
    logdir: Path,
    labels: Sequence[str],
    workloads: Sequence[str],
    failures: Mapping[_Key, str] = {},
    options: ReadOptions = DEFAULT,
    margin: float = MARGIN,
) -> SweepResult:
    """Return the course of the runs ``LOGDIR/LABEL/WORKLOAD`` in the order of ``labels``.

    ``failures`` says by label and workload why a run could not be captured. Raises InputError if no workload has two
    runs, or a run cannot be read.
    """
    found = {name: dict(_runs(logdir, labels, name)) for name in workloads}
    if not any(len(runs) > 1 for runs in found.values()):
        first = next((text for text in failures.values()), None)
        reason = f": {first}" if first else ""
        raise InputError(f"fewer than two configurations were captured{reason}", where=logdir)
    warnings = [text for name, runs in found.items() for text in _warnings(name, runs)]
    return SweepResult(
        labels=list(labels),
        margin=margin,
        workloads=[_workload(name, labels, runs, failures, options, margin) for name, runs in found.items()],
        warnings=warnings,
    )


def _runs(logdir: Path, labels: Sequence[str], workload: str) -> Iterator[tuple[str, Run]]:
    for label in labels:
        folder = logdir / label / workload
        if (folder / MANIFEST_NAME).is_file():
            (run,) = find_runs(folder / MANIFEST_NAME)
            if run.traces and RunData(run).latency_ns:
                yield label, run


def _warnings(name: str, runs: Mapping[str, Run]) -> Iterator[str]:
    for run in runs.values():
        yield from (f"{run.title}: {text}" for text in run.warnings)
    for before, after in _neighbours(runs):
        one, other = runs[before].manifest, runs[after].manifest
        if one is not None and other is not None:
            apart = how_apart(one, other, pair_rounds(one, other))
            if apart:
                yield f"{name}: {after} was {apart} with {before}: what changed on the machine is part of that step"


def _neighbours(runs: Mapping[str, Run]) -> list[tuple[str, str]]:
    return list(zip(runs, list(runs)[1:], strict=False))


def _workload(
    name: str,
    labels: Sequence[str],
    runs: Mapping[str, Run],
    failures: Mapping[_Key, str],
    options: ReadOptions,
    margin: float,
) -> SweepWorkload:
    first = next(iter(runs), "")
    by_label = {label: {name: run} for label, run in runs.items()}
    walls = {name: {label: RunData(run).latency_ns for label, run in runs.items()}}

    def judged(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Judged]:
        return judge_as_one_table({pair: series_ratio(pair_of(by_label, walls, name, *pair)) for pair in pairs}, margin)

    over_first = judged((first, label) for label in runs if label != first)
    steps = judged(_neighbours(runs))
    times = {label: _operators(run, options) for label, run in runs.items()}
    operators = _largest(times)
    points = [
        _point(label, runs, over_first.get((first, label), Judged()), operators, times, first)
        if label in runs
        else SweepPoint(label=label, reason=failures.get((label, name), "not captured"))
        for label in labels
    ]
    return SweepWorkload(
        name=name,
        points=points,
        steps=[explained_step(runs[a], runs[b], steps[a, b], options) for a, b in _neighbours(runs)],
        operators=operators,
    )


def _operators(run: Run, options: ReadOptions) -> tuple[float, dict[str, float]]:
    """Return the median forward under the profiler and each operator's self host time in it (ns)."""
    measured = measure(run, ("name",), options)
    matrix = measured.tables["name"]
    forward = float(typical([forwards[None] for forwards in measured.forward_ns])[0])
    return forward, {key[0]: ns for key, ns in zip(matrix.keys, matrix.medians("self_ns"), strict=True)}


def _largest(times: Mapping[str, tuple[float, Mapping[str, float]]]) -> list[str]:
    most: dict[str, float] = {}
    for _, by_name in times.values():
        for name, ns in by_name.items():
            most[name] = max(ns, most.get(name, 0.0))
    return sorted(most, key=lambda name: -most[name])[:STACKED]


def _point(
    label: str,
    runs: Mapping[str, Run],
    judged: Judged,
    operators: Sequence[str],
    times: Mapping[str, tuple[float, Mapping[str, float]]],
    first: str,
) -> SweepPoint:
    run, (forward, by_name) = runs[label], times[label]
    wall = summarise_run(run, RunData(run).latency_ns)
    named = [by_name.get(name, 0.0) for name in operators]
    rest = sum(by_name.values()) - sum(named)
    itself = Judged(speedup=1.0)
    return SweepPoint(
        label=label,
        path=str(run.path),
        wall=wall,
        forward_ns=forward,
        rounds=len(run.manifest.rounds) if run.manifest is not None else 0,
        peak_memory_bytes=typical_resource(run.manifest.rounds, "peak_memory") if run.manifest is not None else None,
        over_first=itself if label == first else judged,
        outputs=None if label == first else _outputs(runs[first], run),
        operators_ns=[*named, max(0.0, rest)],
    )


def _outputs(first: Run, run: Run) -> OutputsChange | None:
    sides = [RunData(one, RunContents(one).outputs) for one in (first, run)]
    return None if sides[0].outputs is None else compare_outputs(*sides)
