"""Many runs side by side: every workload of every run relative to one of them (schema ``compare/1``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from profkit.arrays import Integers
from profkit.compare.latency import Pair, combine, row, summarise
from profkit.compare.records.diff import Estimate, Latency, Record, Verdict
from profkit.errors import UsageError
from profkit.runs import Run, find_runs
from profkit.runs.measurement import wall_times
from profkit.stats.inference import speedup, verdict, weigh
from profkit.trace.options import DEFAULT, ReadOptions


class Entry(Record, frozen=True, kw_only=True):
    """One workload of one run: wall times of its forward, and the speedup over the baseline's."""

    workload: str
    wall: Latency
    rounds: int
    speedup: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    verdict: Verdict | None = None


class RunOverview(Record, frozen=True, kw_only=True):
    """One run; ``left_out`` names the workloads that are not in its geometric mean, for a side lacks them."""

    label: str
    paths: list[str]
    torch: str | None
    fpmath: str | None
    mode: str | None
    entries: list[Entry]
    geomean_speedup: Estimate
    left_out: list[str]


class Overview(Record, frozen=True, kw_only=True):
    """Every run relative to the baseline; wall times in ns, by latency or, where it is lacking, under the profiler.

    ``fastest`` begins with the run of the largest mean speedup; the others in it are not shown to be slower than it.
    """

    schema: Literal["compare/1"] = "compare/1"
    baseline: str
    workloads: list[str]
    walls: dict[str, Literal["latency", "profiled"]]
    runs: list[RunOverview]
    fastest: list[str]
    warnings: list[str]


def compare_many(paths: Sequence[Path], baseline: Path | None = None, options: ReadOptions = DEFAULT) -> Overview:
    """Compare the runs at ``paths`` with the first, or with ``baseline``: by label, all workloads of a label together.

    Raises InputError where a run cannot be read, UsageError where there are not two, or where two have one name.
    """
    found = _by_label([*([baseline] if baseline else []), *paths])
    warnings = [
        f"{run.label} {run.workload} is left out: {run.manifest.reason or 'it holds no trace'}"
        for group in found.values()
        for run in group.values()
        if not run.traces and run.manifest
    ]
    for run in next(iter(found.values())).values():  # what all is relative to must be there
        run.require_traces()
    runs = {label: {n: r for n, r in group.items() if r.traces} for label, group in found.items()}
    runs = {label: group for label, group in runs.items() if group}
    if len(runs) < 2:
        raise UsageError("there is one run only", hint="Name at least two, or a folder that holds several.")
    workloads = list(dict.fromkeys(run.workload for group in runs.values() for run in group.values()))
    everything = {
        name: {label: wall_times(group[name], options) for label, group in runs.items() if name in group}
        for name in workloads
    }
    walls: dict[str, dict[str, Sequence[Integers]]] = {}
    kinds: dict[str, Literal["latency", "profiled"]] = {}
    for name, measured in everything.items():
        kinds[name] = "latency" if all(m.latency_ns for m in measured.values()) else "profiled"
        walls[name] = {k: m.latency_ns if kinds[name] == "latency" else m.forward_ns for k, m in measured.items()}
    first = next(iter(runs))
    overviews = [_overview(label, group, first, walls) for label, group in runs.items()]
    return Overview(
        baseline=first,
        workloads=workloads,
        walls=kinds,
        runs=overviews,
        fastest=_fastest(overviews, walls),
        warnings=warnings,
    )


def _by_label(paths: Sequence[Path]) -> dict[str, dict[str, Run]]:
    """Return the runs by label and workload, in the order given; within a folder versions rise."""
    found: dict[str, dict[str, Run]] = {}
    seen: set[Path] = set()
    for path in paths:
        for run in sorted(find_runs(path), key=lambda run: _natural(run.label)):
            if run.path.resolve() in seen:
                continue
            seen.add(run.path.resolve())
            group = found.setdefault(run.label, {})
            if run.workload in group:
                both = f"{group[run.workload].path} and {run.path}"
                hint = "Capture one of them with another --label, or leave it out."
                raise UsageError(f"two runs of {run.workload} are labelled {run.label}: {both}", hint=hint)
            group[run.workload] = run
    return found


def _fastest(runs: Sequence[RunOverview], walls: Mapping[str, Mapping[str, Sequence[Integers]]]) -> list[str]:
    """Return the run with the largest mean speedup, and those that the intervals do not set apart from it."""
    ranked = sorted(
        (run for run in runs if run.geomean_speedup.value is not None),
        key=lambda run: -(run.geomean_speedup.value or 0.0),
    )
    if not ranked:
        return []
    best = ranked[0].label
    found = [best]
    for run in ranked[1:]:
        shared = [sides for sides in walls.values() if best in sides and run.label in sides]
        gained = combine([(sides[run.label], sides[best]) for sides in shared])
        if gained.low is None or gained.low <= 1:
            found.append(run.label)
    return found


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts 2.2 before 2.10."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]


def _overview(
    label: str, runs: Mapping[str, Run], baseline: str, walls: Mapping[str, Mapping[str, Sequence[Integers]]]
) -> RunOverview:
    manifests = [run.manifest for run in runs.values() if run.manifest is not None]
    shared = [name for name in walls if label in walls[name] and baseline in walls[name]]
    pairs: list[Pair] = [(walls[name][baseline], walls[name][label]) for name in shared]
    return RunOverview(
        label=label,
        paths=[str(run.path) for run in runs.values()],
        torch=_one(m.torch.version if m.torch else None for m in manifests),
        fpmath=_one(m.settings.fpmath for m in manifests),
        mode=_one(m.settings.mode for m in manifests),
        entries=[_entry(name, walls[name].get(baseline), walls[name][label], label == baseline) for name in runs],
        geomean_speedup=combine(pairs) if label != baseline else Estimate(value=1.0 if pairs else None),
        left_out=[name for name in walls if name not in shared],
    )


def _one(values: Iterable[str | None]) -> str | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _entry(name: str, before: Sequence[Integers] | None, after: Sequence[Integers], is_baseline: bool) -> Entry:
    wall = summarise(after)
    if before is None or is_baseline:
        return Entry(workload=name, wall=wall, rounds=len(after))
    evidence = weigh(row(before), row(after))
    median_ns = float(np.median(np.concatenate(before)))
    ratio = speedup(median_ns, wall.p50_ns)
    shown = evidence.interval(0, ratio)
    return Entry(
        workload=name,
        wall=wall,
        rounds=len(after),
        speedup=ratio,
        low=shown.low,
        high=shown.high,
        p_value=shown.p_value,
        verdict=verdict(wall.p50_ns - median_ns, 0.0, float(evidence.q_value[0]), float(evidence.log_ratio[0])),
    )
