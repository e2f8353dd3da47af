"""Compares many runs with one of them, with false-discovery control over the whole table. Opens no file itself."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from profkit.comparison.latency import Pair, Series, judged_fields, series_ratio, summarise_run
from profkit.comparison.outputs import about_not_finite
from profkit.comparison.records.diff import ResourceName
from profkit.comparison.records.many import Entry, Overview, RunOverview, WallKind
from profkit.comparison.records.outputs import OutputsChange
from profkit.comparison.records.parts import Judged
from profkit.comparison.resources import typical_resource
from profkit.runs.pairing import how_apart, pair_rounds
from profkit.runs.store import Run
from profkit.stats.inference import LogRatios, geometric_mean, join, judge
from profkit.stats.judged import MARGIN, ROUNDS_NEEDED_DISTURBED

_K = TypeVar("_K", bound=Hashable)

RunsByLabel = Mapping[str, Mapping[str, Run]]
"""Runs by label and workload, the baseline's label first."""
Walls = Mapping[str, Mapping[str, Series]]
"""Wall times by workload and label."""
Outputs = Mapping[tuple[str, str], OutputsChange]
"""Outputs compared with the baseline's, by workload and label."""


def compare_walls(
    runs: RunsByLabel,
    walls: Walls,
    kinds: Mapping[str, WallKind],
    warnings: Sequence[str] = (),
    margin: float = MARGIN,
    outputs: Outputs = MappingProxyType({}),
) -> Overview:
    """Compare the wall times of every run with those of the first; ``outputs`` are compared already."""
    baseline = next(iter(runs))
    entries = _judge_entries(baseline, runs, walls, margin)
    means = _judge_means(baseline, runs, walls, margin)
    overviews = [_overview(label, group, baseline, walls, entries, means, outputs) for label, group in runs.items()]
    return Overview(
        baseline=baseline,
        margin=margin,
        workloads=list(walls),
        walls=dict(kinds),
        runs=overviews,
        fastest=_fastest(overviews, runs, walls, margin),
        warnings=[
            *warnings,
            *without_interval(entries),
            *captured_apart(baseline, runs, walls),
            *_not_finite(baseline, outputs),
        ],
    )


def _not_finite(baseline: str, outputs: Outputs) -> Iterator[str]:
    """Yield a warning for each run of which outputs are not finite, the baseline's once."""
    found = (about_not_finite(name, (baseline, label), change) for (name, label), change in outputs.items())
    yield from dict.fromkeys(text for texts in found for text in texts)


def without_interval(entries: Mapping[tuple[str, str], Judged]) -> Iterator[str]:
    """Yield a warning for the runs that have no interval, per workload and reason; keys are workloads and labels."""
    found: dict[tuple[str, str], list[str]] = {}
    for (name, label), judged in entries.items():
        if judged.no_interval is not None:
            found.setdefault((name, judged.why_no_interval), []).append(label)
    for (name, why), labels in found.items():
        yield (
            f"{name}: no verdict on {', '.join(labels)}: {why}. Capture more rounds with profkit capture --rounds "
            f"{ROUNDS_NEEDED_DISTURBED}."
        )


def captured_apart(baseline: str, runs: RunsByLabel, walls: Walls) -> Iterator[str]:
    """Yield a warning for each workload of which runs were captured apart from the baseline's."""
    for name, by_label in walls.items():
        found: dict[str, list[str]] = {}
        for label in by_label:
            if label != baseline and baseline in by_label:
                before, after = (runs[side][name].manifest for side in (baseline, label))
                if before is not None and after is not None:
                    apart = how_apart(before, after, pair_rounds(before, after))
                    found.setdefault(apart or "", []).append(label)
        for apart, labels in found.items():
            if apart:
                yield (
                    f"{name}: {apart} with {baseline}: {', '.join(labels)}; what changed on the machine in between is "
                    "part of these differences"
                )


def _judge_entries(baseline: str, runs: RunsByLabel, walls: Walls, margin: float) -> dict[tuple[str, str], Judged]:
    """Return the verdict of every workload of every other run, judged as one table."""
    cells = [
        (name, label)
        for name, by_label in walls.items()
        for label in by_label
        if label != baseline and baseline in by_label
    ]
    return judge_as_one_table(
        {(n, label): series_ratio(pair_of(runs, walls, n, baseline, label)) for n, label in cells}, margin
    )


def _judge_means(baseline: str, runs: RunsByLabel, walls: Walls, margin: float) -> dict[str, Judged]:
    """Return the verdict of every other run's geometric mean, judged as one table."""
    return judge_as_one_table(
        {label: _mean(runs, walls, baseline, label) for label in runs if label != baseline}, margin
    )


def judge_as_one_table(ratios: Mapping[_K, LogRatios | None], margin: float) -> dict[_K, Judged]:
    """Return the verdict on each ratio that is known, with false-discovery control over all of them."""
    known = {key: ratio for key, ratio in ratios.items() if ratio is not None}
    if not known:
        return {}
    return dict(zip(known, judge(join(list(known.values())), margin=margin), strict=True))


def _mean(runs: RunsByLabel, walls: Walls, before: str, after: str) -> LogRatios | None:
    """Return the mean log ratio of two runs over the workloads that both have; None if they have none in common."""
    shared = _shared(walls, before, after)
    if not shared:
        return None
    return geometric_mean([series_ratio(pair_of(runs, walls, name, before, after)) for name in shared])


def pair_of(runs: RunsByLabel, walls: Walls, name: str, before: str, after: str) -> Pair:
    """Return the wall times of a workload on two sides: of the rounds that are compared with each other."""
    left, right = walls[name][before], walls[name][after]
    a, b = (runs[label][name].manifest for label in (before, after))
    if a is None or b is None or len(a.rounds) != len(left) or len(b.rounds) != len(right):
        return Pair(left, right)
    pairing = pair_rounds(a, b)
    return Pair([left[i] for i in pairing.baseline], [right[i] for i in pairing.candidate], pairing.design())


def _shared(walls: Walls, one: str, other: str) -> list[str]:
    return [name for name, by_label in walls.items() if one in by_label and other in by_label]


def _overview(
    label: str,
    runs: Mapping[str, Run],
    baseline: str,
    walls: Walls,
    entries: Mapping[tuple[str, str], Judged],
    means: Mapping[str, Judged],
    outputs: Outputs,
) -> RunOverview:
    manifests = [run.manifest for run in runs.values() if run.manifest is not None]
    shared = _shared(walls, baseline, label)
    itself = Judged(speedup=1.0 if shared else None)
    return RunOverview(
        label=label,
        paths=[str(run.path) for run in runs.values()],
        torch=_one(m.torch.version if m.torch else None for m in manifests),
        fpmath=_one(m.settings.fpmath for m in manifests),
        mode=_one(m.settings.mode for m in manifests),
        entries=[
            Entry(
                workload=name,
                wall=summarise_run(run, walls[name][label]),
                rounds=len(walls[name][label]),
                cpu_ns=_resource(run, "cpu_time"),
                peak_memory_bytes=_resource(run, "peak_memory"),
                outputs=outputs.get((name, label)),
                **judged_fields(entries.get((name, label), Judged())),
            )
            for name, run in runs.items()
        ],
        geomean_speedup=itself if label == baseline else means.get(label, Judged()),
        left_out=[name for name in walls if name not in shared],
    )


def _resource(run: Run, name: ResourceName) -> float | None:
    return None if run.manifest is None else typical_resource(run.manifest.rounds, name)


def _fastest(runs: Sequence[RunOverview], by_label: RunsByLabel, walls: Walls, margin: float) -> list[str]:
    """Return the run with the largest mean speedup, then those that are not shown to be slower than it."""
    known = [run for run in runs if run.geomean_speedup.speedup is not None]
    ranked = sorted(known, key=lambda run: -(run.geomean_speedup.speedup or 0.0))
    if not ranked:
        return []
    best, *others = ranked
    gained = judge_as_one_table({run.label: _mean(by_label, walls, run.label, best.label) for run in others}, margin)
    gained[next(iter(by_label))] = (
        best.geomean_speedup
    )  # the verdict that the tables show, so that no sentence contradicts them
    slower = [run for run in others if gained.get(run.label, Judged()).verdict == "faster"]
    return [run.label for run in ranked if run not in slower]


def _one(values: Iterable[str | None]) -> str | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
