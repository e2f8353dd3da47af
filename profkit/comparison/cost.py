"""What a million inferences cost in each run, relative to one of them. Opens no file itself.

A cost is the price of the machine / its throughput. The ratio of two costs is the ratio of the prices, which have no
uncertainty, times the ratio of the times per inference, whose logarithm the one estimator gives: so the interval of the
cost is that of the time, moved by the prices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from profkit.comparison.latency import TAILS, Series, series_ratio, summarise_run
from profkit.comparison.many import RunsByLabel, Walls, captured_apart, judge_as_one_table, pair_of, without_interval
from profkit.comparison.records.cost import (
    CostEntry,
    CostPerMillion,
    CostReport,
    CostVerdict,
    Price,
    PublishedCost,
    Relative,
    RelativeCost,
    RelativeTime,
    RunCost,
    Throughput,
)
from profkit.comparison.records.many import WallKind
from profkit.comparison.records.parts import Judged, Latency, TimeInterval, Verdict
from profkit.runs.store import Run
from profkit.stats.inference import LogRatios, geometric_mean
from profkit.stats.judged import MARGIN
from profkit.stats.tails import has_enough, too_few

HOUR_S = 3600.0
MILLION = 1e6
P90 = TAILS[0]
VERDICTS: dict[Verdict, CostVerdict] = {
    "faster": "cheaper",
    "slower": "more expensive",
    "same": "the same",
    "inconclusive": "cannot tell",
}


class Costed(msgspec.Struct, frozen=True):
    """Runs with their wall times (by workload and label, ns) and their prices (by label)."""

    runs: RunsByLabel
    walls: Walls
    prices: Mapping[str, Price]

    @property
    def baseline(self) -> str:
        """The label of the baseline: the first."""
        return next(iter(self.runs))

    @property
    def shared(self) -> list[str]:
        """The workloads that all runs have."""
        return [name for name, by_label in self.walls.items() if all(label in by_label for label in self.runs)]

    def cost_ratio(self, name: str, before: str, after: str) -> LogRatios:
        """Return the log ratio of what a workload costs per inference in two runs: before / after."""
        times = series_ratio(pair_of(self.runs, self.walls, name, before, after))
        logs = [
            math.log(self.prices[side].usd_per_hour) - math.log(batch_of(self.runs[side][name]))
            for side in (before, after)
        ]
        return moved_by_prices(times, logs[0] - logs[1])

    def mean_ratio(self, before: str, after: str) -> LogRatios | None:
        """Return the mean log ratio over the shared workloads; None if there are none."""
        shared = self.shared
        return geometric_mean([self.cost_ratio(name, before, after) for name in shared]) if shared else None


def cost_per_million(usd_per_hour: float, throughput: Throughput) -> CostPerMillion:
    """Return what a million inferences cost (US dollars) on a machine of that price and throughput.

    The throughput may be that of one stream of requests or of many; its interval becomes that of the cost.
    """

    def cost(per_second: float | None) -> float | None:
        return usd_per_hour / HOUR_S / per_second * MILLION if per_second else None

    return CostPerMillion(usd=cost(throughput.per_second), low=cost(throughput.high), high=cost(throughput.low))


def one_stream(wall: Latency, batch: int) -> Throughput:
    """Return the throughput of one request at a time: ``batch`` / the median wall time of a forward."""

    def rate(ns: float | None) -> float | None:
        return batch * 1e9 / ns if ns else None

    interval: TimeInterval | None = wall.p50_interval
    if interval is None:
        return Throughput(per_second=rate(wall.p50_ns))
    return Throughput(per_second=rate(wall.p50_ns), low=rate(interval.high_ns), high=rate(interval.low_ns))


def moved_by_prices(times: LogRatios, log_ratio: float) -> LogRatios:
    """Return log ratios of costs from those of times, by the log ratio of what a second costs; the error is the same.

    Of a throughput under load the log ratios after / before take the place of those of the times.
    """
    return replace(times, value=times.value + log_ratio)


def compare_costs(
    costed: Costed,
    kinds: Mapping[str, WallKind],
    published: Sequence[PublishedCost] = (),
    warnings: Sequence[str] = (),
    margin: float = MARGIN,
) -> CostReport:
    """Compare what every run costs with the first; ``published`` costs are set beside those of a single workload."""
    costs = judge_as_one_table(
        {cell: costed.cost_ratio(cell[0], costed.baseline, cell[1]) for cell in _cells(costed)}, margin
    )
    p90s = _judge_p90(costed, margin)
    others = [label for label in costed.runs if label != costed.baseline]
    means = judge_as_one_table({label: costed.mean_ratio(costed.baseline, label) for label in others}, margin)
    runs = [_run_cost(costed, label, costs, p90s, means) for label in costed.runs]
    return CostReport(
        baseline=costed.baseline,
        margin=margin,
        workloads=list(costed.walls),
        shared=costed.shared,
        walls=dict(kinds),
        runs=runs,
        p90_missing=None if _all_have_p90(costed) else too_few(P90),
        published=[_relative_to(runs[0], entry) for entry in published],
        cheapest=_cheapest(costed, means, margin),
        warnings=[*warnings, *without_interval(costs), *_cautions(costed, kinds)],
    )


def batch_of(run: Run) -> int:
    """Return the inferences of one forward; 1 without a manifest, which alone says it."""
    return 1 if run.manifest is None else run.manifest.workload.batch


def _cells(costed: Costed) -> list[tuple[str, str]]:
    """Return workload and label of every run that can be compared with the baseline."""
    return [
        (name, label)
        for name, by_label in costed.walls.items()
        for label in by_label
        if label != costed.baseline and costed.baseline in by_label
    ]


def _judge_p90(costed: Costed, margin: float) -> dict[tuple[str, str], Judged]:
    """Return the verdict on the 90th percentile of every cell with enough forwards on both sides, as one table."""
    ratios = {
        (name, label): series_ratio(pair_of(costed.runs, costed.walls, name, costed.baseline, label), P90)
        for name, label in _cells(costed)
        if all(_has_p90(costed.walls[name][side]) for side in (costed.baseline, label))
    }
    return judge_as_one_table(ratios, margin)


def _all_have_p90(costed: Costed) -> bool:
    return all(_has_p90(series) for by_label in costed.walls.values() for series in by_label.values())


def _has_p90(series: Series) -> bool:
    return has_enough([len(forwards) for forwards in series], P90)


def _run_cost(
    costed: Costed,
    label: str,
    costs: Mapping[tuple[str, str], Judged],
    p90s: Mapping[tuple[str, str], Judged],
    means: Mapping[str, Judged],
) -> RunCost:
    runs, price = costed.runs[label], costed.prices[label]
    is_baseline = label == costed.baseline
    entries = []
    for name, run in runs.items():
        wall, batch = summarise_run(run, costed.walls[name][label]), batch_of(run)
        throughput = one_stream(wall, batch)
        own_p90 = RelativeTime(relative=1.0) if wall.p90_ns is not None else None
        judged_p90 = p90s.get((name, label))
        entries.append(
            CostEntry(
                workload=name,
                wall=wall,
                rounds=len(costed.walls[name][label]),
                batch=batch,
                throughput=throughput,
                amount=cost_per_million(price.usd_per_hour, throughput),
                cost=RelativeCost(relative=1.0) if is_baseline else relative_cost(costs.get((name, label))),
                p90=own_p90 if is_baseline else None if judged_p90 is None else relative_time(judged_p90),
            )
        )
    own = RelativeCost(relative=1.0 if costed.shared else None)
    return RunCost(
        label=label,
        paths=[str(run.path) for run in runs.values()],
        instance_type=instance_type_of(next(iter(runs.values()))),
        price=price,
        entries=entries,
        mean=own if is_baseline else relative_cost(means.get(label)),
    )


def instance_type_of(run: Run) -> str | None:
    """Return the instance type of the machine of a run, None if it is not recorded."""
    return None if run.manifest is None else run.manifest.host.instance_type


def relative_cost(judged: Judged | None) -> RelativeCost:
    """Return a judged ratio baseline / run as this run's cost relative to the baseline's; empty for None."""
    if judged is None or judged.verdict is None:
        return RelativeCost()
    return RelativeCost(**_inverse(judged), verdict=VERDICTS[judged.verdict])


def relative_time(judged: Judged) -> RelativeTime:
    """Return a judged speedup as this run's time relative to the baseline's."""
    return RelativeTime(**_inverse(judged), verdict=judged.verdict)


def _inverse(judged: Judged) -> dict[str, Any]:
    """Return the fields of ``Relative``: the estimate is turned round, so low and high change places."""
    bounds = {"relative": judged.speedup, "low": judged.high, "high": judged.low}
    inverted: dict[str, Any] = {field: _quotient(1.0, ratio) for field, ratio in bounds.items()}
    same = (field for field in Relative.__struct_fields__ if field not in bounds)
    return inverted | {field: getattr(judged, field) for field in same}


def _cheapest(costed: Costed, means: Mapping[str, Judged], margin: float) -> list[str]:
    """Return the run with the lowest mean cost, then those that are not shown to be more expensive than it."""
    if not costed.shared:
        return []
    ratios = {costed.baseline: 1.0} | {label: j.speedup for label, j in means.items() if j.speedup is not None}
    best, *others = sorted(ratios, key=lambda label: -ratios[label])
    gained = judge_as_one_table({label: costed.mean_ratio(label, best) for label in others}, margin)
    if best != costed.baseline:  # the verdict that the tables show, so that no sentence contradicts them
        gained[costed.baseline] = means[best]
    return [best, *(label for label in others if gained.get(label, Judged()).verdict != "faster")]


def _relative_to(baseline: RunCost, entry: PublishedCost) -> PublishedCost:
    return replace(entry, relative=_quotient(entry.usd_per_million, baseline.entries[0].amount.usd))


def _quotient(over: float | None, under: float | None) -> float | None:
    """Return the quotient of two numbers, None if one is unknown or there is no finite quotient."""
    if over is None or not under:
        return None
    found = over / under
    return found if math.isfinite(found) else None


def _cautions(costed: Costed, kinds: Mapping[str, WallKind]) -> Iterator[str]:
    """Yield what to know before relying on the figures."""
    yield from _unverified(costed)
    for name, kind in kinds.items():
        if kind == "profiled":
            yield f"{name}: a run has no latency, so its cost is of profiled forwards and includes the profiler's time"
    for name, by_label in costed.walls.items():
        batches = {label: batch_of(costed.runs[label][name]) for label in by_label}
        if len(set(batches.values())) > 1:
            sizes = ", ".join(f"{label} {batch}" for label, batch in batches.items())
            yield f"{name}: the batch sizes differ ({sizes}): costs are per inference, latencies per batch"
        unknown = [label for label in by_label if costed.runs[label][name].manifest is None]
        if unknown:
            yield f"{name}: a batch of 1 is assumed, because there is no manifest: {', '.join(unknown)}"
    yield from captured_apart(costed.baseline, costed.runs, _of_one_machine(costed))


def _unverified(costed: Costed) -> Iterator[str]:
    """Yield a sentence per source of unverified prices."""
    found: dict[str, dict[str, str]] = {}
    for label, price in costed.prices.items():
        if not price.verified:
            name = instance_type_of(next(iter(costed.runs[label].values()))) or label
            source = ", ".join(filter(None, (price.source, price.date))) or "of no known source"
            found.setdefault(source, {})[name] = f"{name} ${price.usd_per_hour:g}"
    for source, named in found.items():
        yield f"unverified prices per hour ({source}): {', '.join(named.values())}; --price NAME=USD replaces them"


def _of_one_machine(costed: Costed) -> Walls:
    """Return the wall times of the runs on the baseline's machine: those of others are captured apart by nature."""

    def host(label: str, name: str) -> str | None:
        manifest = costed.runs[label][name].manifest
        return None if manifest is None else manifest.host.name

    return {
        name: {label: series for label, series in by_label.items() if host(label, name) == host(costed.baseline, name)}
        for name, by_label in costed.walls.items()
        if costed.baseline in by_label
    }
