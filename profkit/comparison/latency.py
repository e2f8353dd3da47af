"""Wall times of the forward: with the profiler off (latency), and under it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from profkit.arrays import Floats, Integers
from profkit.comparison.records.diff import ForwardChange, LatencyChange
from profkit.comparison.records.parts import Judged, Latency, TimeInterval
from profkit.runs.measurement import Measurement
from profkit.runs.pairing import rounds_for_interval
from profkit.runs.store import Run
from profkit.stats.inference import (
    LogRatios,
    Rounds,
    compare_samples,
    geometric_mean,
    judge,
    log_ratios,
    one_row,
    typical,
    typical_interval,
)
from profkit.stats.judged import MARGIN, ROUNDS_NEEDED, UNPAIRED, Design
from profkit.stats.tails import has_enough

TAILS = (0.9, 0.99)
"""The quantiles of the latency that are reported beside the median, if there are enough forwards for them."""

Series = Sequence[Integers]
"""Wall times of a forward in ns, one array of the shape (forwards,) per round."""


class Pair(msgspec.Struct, frozen=True):
    """The baseline's and the candidate's wall times of one workload, and how they are compared."""

    baseline: Series
    candidate: Series
    design: Design = UNPAIRED


def compare_latency(baseline: Series, candidate: Series, design: Design = UNPAIRED) -> LatencyChange | None:
    """Compare latencies; None if a side did not measure any."""
    if not baseline or not candidate:
        return None
    before, after = one_row(baseline), one_row(candidate)
    enough = {q: all(has_enough([len(r) for r in side], q) for side in (baseline, candidate)) for q in TAILS}
    p90, p99 = (compare_samples(before, after, q=q, design=design)[0] if enough[q] else None for q in TAILS)
    return LatencyChange(
        baseline=summarise(baseline, design.needed[0]),
        candidate=summarise(candidate, design.needed[1]),
        p90=p90,
        p99=p99,
        **judged_fields(compare_samples(before, after, design=design)[0]),
    )


def compare_forward(baseline: Measurement, candidate: Measurement, design: Design = UNPAIRED) -> ForwardChange:
    """Compare the forwards under the profiler."""
    before, after = one_row(baseline.forward_ns), one_row(candidate.forward_ns)
    resolution_ns = np.array([float(max(baseline.resolution_ns, candidate.resolution_ns))])
    (judged,) = compare_samples(before, after, resolvable_ns=resolution_ns, design=design)
    return ForwardChange(
        rule=" / ".join(dict.fromkeys((baseline.rule, candidate.rule))),
        baseline_ns=float(typical(before)[0]),
        candidate_ns=float(typical(after)[0]),
        baseline_interval=_forward_interval(baseline, design.needed[0]),
        candidate_interval=_forward_interval(candidate, design.needed[1]),
        **judged_fields(judged),
    )


def _forward_interval(side: Measurement, needed: int) -> TimeInterval | None:
    resolvable_ns = np.array([float(side.resolution_ns)])
    return time_intervals(one_row(side.forward_ns), resolvable_ns=resolvable_ns, needed=needed)[0]


def summarise(series: Series, needed: int = ROUNDS_NEEDED) -> Latency:
    """Return percentiles (ns; geometric means over rounds, as the speedups use them) and the mean over all forwards.

    A percentile of the tail is None if there are too few forwards for it. An interval takes ``needed`` rounds.
    """
    rounds: Rounds = one_row(series)
    lengths = [len(forwards) for forwards in series]
    known = [0.5, *(q for q in TAILS if has_enough(lengths, q))]
    times = {q: float(typical(rounds, q)[0]) for q in known}
    intervals = {q: time_intervals(rounds, q, needed=needed)[0] for q in known}
    values = np.concatenate(series)
    return Latency(
        p50_ns=times[0.5],
        p90_ns=times.get(0.9),
        p99_ns=times.get(0.99),
        mean_ns=float(values.mean()),
        n=len(values),
        p50_interval=intervals[0.5],
        p90_interval=intervals.get(0.9),
        p99_interval=intervals.get(0.99),
    )


def summarise_run(run: Run, series: Series) -> Latency:
    """Summarise the wall times of all rounds of a run."""
    return summarise(series, rounds_for_interval([] if run.manifest is None else run.manifest.rounds))


def time_intervals(
    rounds: Rounds, q: float = 0.5, resolvable_ns: Floats | None = None, needed: int = ROUNDS_NEEDED
) -> list[TimeInterval | None]:
    """Return the 95% interval of each row's ``q`` quantile on one side; None where there is none.

    ``resolvable_ns`` is what the clock can hide (ns, shape (rows,)). An interval takes ``needed`` rounds.
    """
    bounds = typical_interval(rounds, q, resolvable_ns=resolvable_ns, needed=needed)
    low, high = (bound.tolist() for bound in bounds)
    return [None if math.isnan(a) else TimeInterval(low_ns=a, high_ns=b) for a, b in zip(low, high, strict=True)]


def geometric_mean_speedup(pairs: Sequence[Pair], margin: float = MARGIN) -> Judged:
    """Return the geometric mean of the speedups of several workloads, judged; nothing if no pair has a speedup."""
    if not pairs:
        return Judged()
    return judge(geometric_mean([series_ratio(pair) for pair in pairs]), margin=margin)[0]


def series_ratio(pair: Pair, q: float = 0.5) -> LogRatios:
    """Return the log ratio of the ``q`` quantiles of one pair, as a table of one row."""
    return log_ratios(one_row(pair.baseline), one_row(pair.candidate), q, pair.design)


def wall_times(baseline: Measurement, candidate: Measurement, design: Design) -> Pair:
    """Return the wall times that count for inference: the latency if both sides have it, since profiling adds time."""
    if baseline.latency_ns and candidate.latency_ns:
        return Pair(baseline.latency_ns, candidate.latency_ns, design)
    return Pair(baseline.forward_ns, candidate.forward_ns, design)


def judged_fields(judged: Judged) -> dict[str, Any]:
    """Return the fields of a verdict, for a record that inherits them."""
    return {name: getattr(judged, name) for name in Judged.__struct_fields__}
