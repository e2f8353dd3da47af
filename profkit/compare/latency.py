"""Wall times with the profiler off, and what many workloads say together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from profkit.arrays import Integers
from profkit.compare.records.diff import Estimate, Latency, LatencyChange
from profkit.runs.measurement import Measurement
from profkit.stats.inference import LEVEL, ROUNDS_NEEDED, Rounds, log_ratio, speedup, verdict, weigh

PERCENTILES = (50, 90, 99)

Pair = tuple[Sequence[Integers], Sequence[Integers]]
"""Wall times of a baseline and a candidate, in ns, one array per round."""


def compare_latency(baseline: Sequence[Integers], candidate: Sequence[Integers]) -> LatencyChange | None:
    """Compare the latencies (ns, one array per round) of two sides; None where one did not measure any."""
    if not baseline or not candidate:
        return None
    before, after = summarise(baseline), summarise(candidate)
    sides = (row(baseline), row(candidate))
    evidence = weigh(sides[0], sides[1])
    ratio = speedup(before.p50_ns, after.p50_ns)
    shown = evidence.interval(0, ratio)
    tails = []
    for q, a, b in ((0.9, before.p90_ns, after.p90_ns), (0.99, before.p99_ns, after.p99_ns)):
        interval = weigh(sides[0], sides[1], q=q).interval(0, speedup(a, b))
        tails.append(Estimate(value=speedup(a, b), low=interval.low, high=interval.high))
    return LatencyChange(
        baseline=before,
        candidate=after,
        speedup=ratio,
        low=shown.low,
        high=shown.high,
        p_value=shown.p_value,
        verdict=verdict(after.p50_ns - before.p50_ns, 0.0, float(evidence.q_value[0]), float(evidence.log_ratio[0])),
        p90=tails[0],
        p99=tails[1],
    )


def row(rounds: Sequence[Integers]) -> Rounds:
    """Return rounds of one series as a table of one row."""
    return [forwards[None] for forwards in rounds]


def summarise(rounds: Sequence[Integers]) -> Latency:
    """Return the percentiles and the mean over the forwards of all rounds, in ns."""
    values = np.concatenate(rounds)
    p50, p90, p99 = (float(p) for p in np.percentile(values, PERCENTILES))
    return Latency(p50_ns=p50, p90_ns=p90, p99_ns=p99, mean_ns=float(values.mean()), n=len(values))


def geometric_mean(pairs: Sequence[Sequence[Measurement]]) -> Estimate:
    """Return the geometric mean of the speedups of measured pairs: by latency where both sides have it."""
    return combine([_walls(baseline, candidate) for baseline, candidate in pairs])


def _walls(baseline: Measurement, candidate: Measurement) -> Pair:
    if baseline.latency_ns and candidate.latency_ns:
        return baseline.latency_ns, candidate.latency_ns
    return baseline.forward_ns, candidate.forward_ns


def combine(pairs: Sequence[Pair]) -> Estimate:
    """Return the geometric mean of the speedups of pairs of wall times (ns), with its 95% interval.

    The logarithm's error is that of a mean of independent ones, its degrees of freedom by Satterthwaite's formula;
    there is no interval where a pair has none, and a pair without a speedup is left out.
    """
    medians = [[float(np.median(np.concatenate(rounds))) for rounds in pair] for pair in pairs]
    speedups = [s for s in (speedup(*pair) for pair in medians) if s is not None]
    if not speedups:
        return Estimate(value=None)
    value = math.exp(math.fsum(map(math.log, speedups)) / len(speedups))
    if len(speedups) < len(pairs) or min(len(rounds) for pair in pairs for rounds in pair) < ROUNDS_NEEDED:
        return Estimate(value=value)
    from scipy.special import stdtrit

    ratios = [log_ratio(row(before), row(after)) for before, after in pairs]
    variances = [float(r.error[0]) ** 2 for r in ratios]
    parts = math.fsum(v**2 / r.degrees for v, r in zip(variances, ratios, strict=True))
    total = math.fsum(variances)
    degrees = total**2 / parts if parts else math.fsum(r.degrees for r in ratios)
    half = float(stdtrit(degrees, 1 - LEVEL / 2)) * math.sqrt(total) / len(ratios)
    middle = math.fsum(float(r.value[0]) for r in ratios) / len(ratios)
    if not math.isfinite(half + middle):  # a round that took no time
        return Estimate(value=value)
    return Estimate(value=value, low=min(value, math.exp(middle - half)), high=max(value, math.exp(middle + half)))
