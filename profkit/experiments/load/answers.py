"""What the points of a load test say: the best throughput, where it falls, and the knee of the curve."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from msgspec.structs import replace

from profkit.arrays import Integers
from profkit.comparison.records.load import Arrivals, LatencyLimit, LoadAnswer, LoadPoint
from profkit.comparison.records.parts import Judged
from profkit.errors import UsageError
from profkit.experiments.load.points import Measured, point_of
from profkit.stats.inference import judge, log_ratios, one_row
from profkit.stats.judged import ROUNDS_NEEDED, Design

_LIMIT = re.compile(
    r"\s*(?P<quantile>p50|p90|p99)\s*(=|<=?)\s*(?P<limit>\d{1,12}(\.\d*)?|\.\d+)\s*(?P<unit>ns|us|[\u00b5\u03bc]s|ms|s)\s*",
    re.ASCII | re.IGNORECASE,
)
_Of = Callable[[Measured], list[Integers]]
_NANOSECONDS = {"ns": 1.0, "us": 1e3, "\u00b5s": 1e3, "\u03bcs": 1e3, "ms": 1e6, "s": 1e9}


def parse_limit(text: str) -> LatencyLimit:
    """Parse ``p90=50ms``; raises UsageError, with the right form, for anything else."""
    match = _LIMIT.fullmatch(text)
    if match is None or float(match["limit"]) == 0:
        raise UsageError(
            f"{text!r:.100} is not a limit of the latency",
            where="--latency-limit",
            hint="Write QUANTILE=TIME, such as p90=50ms: p50, p90 or p99, and a time in ns, us, ms or s.",
        )
    name, unit = match["quantile"].lower(), match["unit"].lower()
    limit_ns = float(match["limit"]) * _NANOSECONDS[unit]
    return LatencyLimit(text=text.strip(), quantile=name, limit_ns=limit_ns)  # type: ignore[arg-type]  # by the pattern


def points_of(measured: Sequence[Measured], limit: LatencyLimit | None) -> list[LoadPoint]:
    """Return the points, each closed-loop one with its gain over the one before it that was measured."""
    points = {m.name: point_of(m, limit) for m in measured}
    closed = [m for m in measured if m.rate_per_s is None and m.slices]
    for before, after in pairwise(closed):
        points[after.name] = replace(points[after.name], gain=compare(before, after, _picoseconds))
    return list(points.values())


def answer(
    measured: Sequence[Measured], points: Sequence[LoadPoint], arrivals: Arrivals, limit: LatencyLimit | None
) -> LoadAnswer | None:
    """Return what the points of one kind of arrivals say; None without any that was measured.

    The knee is the point at which Kleinrock's power, throughput / mean latency, is largest. Up to it the throughput
    grows by a larger factor than the latency, beyond it by a smaller one. In a closed loop of N clients the mean
    latency is N / throughput (Little's law), and the power throughput² / N. Sources: L. Kleinrock, *Power and
    deterministic rules of thumb for probabilistic problems in computer communications*, ICC 1979; R. Jain, *The Art of
    Computer Systems Performance Analysis*, 1991, section 3.3, who calls this throughput the knee capacity. A knee that
    is seen in a picture moves with the scales of its axes; this one does not.
    """
    by_name = {m.name: m for m in measured}
    known = [p for p in points if p.arrivals == arrivals and p.throughput is not None]
    if not known:
        return None
    sound = [p for p in known if p.status in ("measured", "uncertain")]
    within = [p for p in sound if limit is None or p.limit == "within"]
    undecided = [p.name for p in sound if p.limit == "cannot tell"]
    best = max(within, key=_throughput, default=None)
    knee = max(sound, key=_power, default=None) if len(sound) > 1 else None
    return LoadAnswer(
        arrivals=arrivals,
        outcome="shown" if best else "cannot tell" if undecided else "none",
        best=best.name if best else None,
        not_lower=_not_lower(best, within, by_name, _picoseconds),
        undecided=undecided,
        knee=knee.name if knee else None,
        knee_not_lower=_not_lower(knee, sound, by_name, _inverse_root_of_power),
    )


def _throughput(point: LoadPoint) -> float:
    return point.throughput.value if point.throughput is not None else 0.0


def _power(point: LoadPoint) -> float:
    return _throughput(point) / point.mean.value if point.mean is not None and point.mean.value else 0.0


def _not_lower(best: LoadPoint | None, others: Sequence[LoadPoint], by_name: dict[str, Measured], of: _Of) -> list[str]:
    """Return the points whose value, of which ``of`` gives the inverse, is not shown to be lower than the best's."""
    if best is None:
        return []
    judged = {p.name: compare(by_name[best.name], by_name[p.name], of) for p in others if p is not best}
    return [name for name, one in judged.items() if one.verdict != "slower"]


def compare(before: Measured, after: Measured, of: _Of) -> Judged:
    """Judge how much larger a value is at ``after``; ``of`` returns its inverse per slice, each of the shape (1,).

    If both have slices of the same rounds these are compared pairwise, so that the drift of the machine cancels.
    """
    common = {s.round for s in before.slices} & {s.round for s in after.slices}
    paired = len(common) >= ROUNDS_NEEDED
    sides = [
        [value for s, value in zip(m.slices, of(m), strict=True) if not paired or s.round in common]
        for m in (before, after)
    ]
    return judge(log_ratios(one_row(sides[0]), one_row(sides[1]), design=Design(paired=paired)))[0]


def _picoseconds(measured: Measured) -> list[Integers]:
    return measured.picoseconds()


def _inverse_root_of_power(measured: Measured) -> list[Integers]:
    """Return the root of mean latency × time per answer, a time in picoseconds: its order is that of the power."""
    return [
        np.array([round(math.sqrt(max(1.0, s.latency_ns.mean() * 1_000 * s.picoseconds)))], np.int64)
        for s in measured.slices
    ]
