"""Results of load tests from invented slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from profkit.comparison.records.load import LatencyLimit, Load
from profkit.experiments.load.answers import answer, parse_limit, points_of
from profkit.experiments.load.levels import Level
from profkit.experiments.load.points import Measured
from profkit.experiments.load.slices import Slice
from profkit.runs.manifest import Host, Torch

MS = 1_000_000
NOISE = (0.99, 1.01, 1.0, 0.985, 1.015)  # of the slices, alike at each level: the drift of the machine


def level(
    processes: int,
    threads: int,
    per_s: float,
    latency_ms: float,
    *,
    rate: float | None = None,
    service_ms: float | None = None,
    requests: int = 150,
    unserved: int = 0,
    rounds: Sequence[int] = range(5),
    own_noise: float = 0.002,
) -> Measured:
    """Return a level with a slice per round: latencies from 0.8 to 1.2 times ``latency_ms``."""
    found = Measured(Level(processes, threads), rate)
    for round_ in rounds:
        drift = NOISE[round_ % 5] * (1 + own_noise * ((round_ + processes) % 3 - 1))
        latencies = np.linspace(0.8, 1.2, requests) * latency_ms * MS * drift
        service = latencies if service_ms is None else np.full(requests, service_ms * MS * drift)
        found.slices.append(
            Slice(
                round_,
                2_000 * MS,
                latencies.astype(np.int64),
                service.astype(np.int64),
                round(1e12 / per_s * drift),
                300 * processes << 20,
                np.full(requests if rate else 0, 60_000, np.int64),
                unserved,
            )
        )
    return found


def result(measured: Sequence[Measured], limit: LatencyLimit | None = None, *, complete: bool = True) -> Load:
    points = points_of(measured, limit)
    found = [answer(measured, points, "closed", limit), answer(measured, points, "poisson", limit)]
    return Load(
        workload="resnet50",
        label="2.15",
        batch=1,
        settings={"mode": "eager"},
        environment={},
        torch=Torch(version="2.15.0"),
        host=Host(name="host", cpu="cpu", os="os"),
        tool="0.1.0",
        cores=2,
        duration_s=10.0,
        rounds=5,
        seed=0,
        latency_limit=limit,
        memory_allows=40,
        points=points,
        answers=[one for one in found if one is not None],
        complete=complete,
    )


def example() -> Load:
    """Return a curve with everything in it: a knee, a fall, a level left out, an open loop, an overload."""
    left_out = Measured(Level(64, 1), left_out="memory allows 40 processes")
    return result(
        [
            level(1, 2, 40, 25),
            level(2, 1, 60, 33),
            level(4, 1, 50, 80),
            left_out,
            level(2, 1, 30, 45, rate=30, service_ms=33),
            level(2, 1, 58, 900, rate=80, service_ms=33, unserved=40),
        ],
        parse_limit("p90=50ms"),
    )
