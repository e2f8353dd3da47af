"""From the slices of one level to a point of the result: throughput and latency with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from profkit import units
from profkit.arrays import Floats, Integers
from profkit.comparison.records.load import (
    QUANTILES,
    Estimate,
    LatencyLimit,
    LimitOutcome,
    LoadPoint,
    LoadQuantile,
    LoadSlice,
    Status,
)
from profkit.comparison.records.parts import TimeInterval
from profkit.experiments.load.levels import Level
from profkit.experiments.load.slices import Slice
from profkit.stats.inference import one_row, typical, typical_interval
from profkit.stats.quantiles import median, quantile
from profkit.stats.tails import fewest_forwards, fewest_samples

_PER_S = 1e12  # picoseconds


@dataclass(slots=True)
class Measured:
    """One level of load while it is measured: its slices so far, and why there are no more of them."""

    level: Level
    rate_per_s: float | None = None
    slices: list[Slice] = field(default_factory=list)
    failure: str = ""
    left_out: str = ""

    @property
    def name(self) -> str:
        """Processes × threads, after the rate of an open loop."""
        if self.rate_per_s is None:
            return self.level.name
        return f"{self.rate_per_s:g}/s on {self.level.name}"

    @property
    def is_open(self) -> bool:
        """Whether more slices of it can be measured."""
        return not self.failure and not self.left_out

    def picoseconds(self) -> list[Integers]:
        """Return the inverse of the throughput per slice, each of the shape (1,)."""
        return [np.array([s.picoseconds], np.int64) for s in self.slices]


def point_of(measured: Measured, limit: LatencyLimit | None) -> LoadPoint:
    """Return the point of a level; its latency is withheld if the queue grows without bound."""
    level, slices = measured.level, [s for s in measured.slices if len(s.latency_ns)]
    utilisation = _utilisation(measured, slices)
    unserved = sum(s.unserved for s in measured.slices)
    status, reason = _status(measured, utilisation, unserved)
    series = [s.latency_ns for s in slices]
    quantiles = {name: _quantile(series, q, withheld=status == "overloaded") for q, name in QUANTILES.items()}
    memory = [s.peak_memory_bytes for s in measured.slices if s.peak_memory_bytes is not None]
    late = np.concatenate([s.dispatch_ns for s in slices]) if slices else np.empty(0)
    return LoadPoint(
        name=measured.name,
        arrivals="closed" if measured.rate_per_s is None else "poisson",
        processes=level.processes,
        threads=level.threads,
        rate_per_s=measured.rate_per_s,
        status=status,
        reason=reason,
        requests=sum(map(len, series)),
        slices=[_slice(s) for s in slices],
        throughput=throughput_of([np.array([s.picoseconds], np.int64) for s in slices]) if slices else None,
        mean=_estimate(mean_series(slices)) if slices and status != "overloaded" else None,
        utilisation=utilisation,
        unserved=unserved,
        dispatch_ns=float(median(late)) if len(late) else None,
        peak_memory_bytes=max(memory, default=None),
        limit=None if limit is None or not slices else _within(quantiles[limit.quantile], status, limit.limit_ns),
        p50=quantiles["p50"],
        p90=quantiles["p90"],
        p99=quantiles["p99"],
    )


def mean_series(slices: Sequence[Slice]) -> list[Integers]:
    """Return the mean latency of each slice (ns, rounded), each of the shape (1,)."""
    return [np.array([round(float(s.latency_ns.mean()))], np.int64) for s in slices]


def throughput_of(picoseconds: Sequence[Integers]) -> Estimate:
    """Return the throughput per second of slices whose inverse is given, each of the shape (1,)."""
    times = _estimate(picoseconds)
    low, high = times.high, times.low  # the inverse turns the interval around
    return Estimate(
        value=_PER_S / times.value,
        low=None if low is None else _PER_S / low,
        high=None if high is None else _PER_S / max(high, 1e-3),
    )


def _estimate(series: Sequence[Integers], q: float = 0.5) -> Estimate:
    """Return the ``q`` quantile over slices with its interval, in the unit of ``series`` (one array per slice)."""
    rounds = one_row(series)
    low, high = (_known(bound) for bound in typical_interval(rounds, q))
    return Estimate(value=float(typical(rounds, q)[0]), low=low, high=high)


def _known(bound: Floats) -> float | None:
    return None if math.isnan(bound[0]) else float(bound[0])


def _quantile(series: Sequence[Integers], q: float, *, withheld: bool) -> LoadQuantile:
    """Return a quantile of the latency, without a value if there are too few requests for it or it is ``withheld``."""
    needed, per_slice = fewest_samples(q), fewest_forwards(q)[0]
    lengths = [len(latencies) for latencies in series]
    if withheld or sum(lengths) < needed or min(lengths, default=0) < per_slice:
        return LoadQuantile(needed=needed, needed_per_slice=per_slice)
    found = _estimate(series, q)
    known = found.low is not None and found.high is not None
    interval = TimeInterval(low_ns=found.low or 0.0, high_ns=found.high or 0.0) if known else None
    return LoadQuantile(value_ns=found.value, interval=interval, needed=needed, needed_per_slice=per_slice)


def _slice(measured: Slice) -> LoadSlice:
    quantiles = {f"{name}_ns": float(quantile(measured.latency_ns, q)) for q, name in QUANTILES.items()}
    return LoadSlice(
        round=measured.round,
        window_ns=measured.window_ns,
        requests=len(measured.latency_ns),
        throughput_per_s=_PER_S / measured.picoseconds,
        mean_ns=float(measured.latency_ns.mean()),
        **quantiles,
    )


def _utilisation(measured: Measured, slices: Sequence[Slice]) -> Estimate | None:
    """Return the share of the time in which the processes are busy: rate × mean time of service / processes."""
    if measured.rate_per_s is None or not slices:
        return None
    service = _estimate([np.array([round(float(s.service_ns.mean()))], np.int64) for s in slices])
    factor = measured.rate_per_s / 1e9 / measured.level.processes
    bounds = [None if bound is None else factor * bound for bound in (service.low, service.high)]
    return Estimate(value=factor * service.value, low=bounds[0], high=bounds[1])


def _status(measured: Measured, utilisation: Estimate | None, unserved: int) -> tuple[Status, str]:
    """Return what became of a level, and why.

    A queue grows without bound if the utilisation is 1 or more (Kleinrock, *Queueing Systems*, volume 1, 1975, section
    2.1); it is decided by the interval.
    """
    if measured.failure:
        return "failed", measured.failure
    if measured.left_out:
        return "left out", measured.left_out
    if unserved:
        left = f"{unserved} requests had not been served when one more window was over"
        return "overloaded", f"the machine cannot serve {measured.rate_per_s:g} requests/s, and the queue grows: {left}"
    if utilisation is None or (utilisation.value if utilisation.high is None else utilisation.high) < 1:
        return "measured", ""
    text = f"utilisation {units.share(utilisation.value)}"
    if utilisation.low is not None and utilisation.high is not None:
        text += f" [{100 * utilisation.low:.1f}, {100 * utilisation.high:.1f}]"
    if utilisation.low is not None and utilisation.low >= 1:
        return (
            "overloaded",
            f"the machine cannot serve {measured.rate_per_s:g} requests/s, and the queue grows: {text}",
        )
    return "uncertain", f"the queue may grow without bound: {text}"


def _within(found: LoadQuantile, status: Status, limit_ns: float) -> LimitOutcome:
    """Return whether a quantile is within a limit, by its whole interval."""
    if status == "overloaded":
        return "exceeds"
    if found.interval is None or status == "uncertain":
        return "cannot tell"
    if found.interval.high_ns <= limit_ns:
        return "within"
    return "exceeds" if found.interval.low_ns > limit_ns else "cannot tell"
