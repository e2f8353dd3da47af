"""One slice: a stretch of time in which the processes of one level serve requests, and nothing else is measured."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from profkit.arrays import Integers
from profkit.capture.block import SETTLE_NS
from profkit.capture.process import Worker
from profkit.capture.reports import MOST_REQUESTS, Report
from profkit.experiments.load.arrivals import EDGE
from profkit.experiments.load.workers import LevelFailedError, failure_of

HANG_S = 60.0  # that a process has beyond the slice to report, and 20 forwards as long as the last warm one
_HANG_FORWARDS = 20
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Slice:
    """What was measured in one slice; the latencies and the times of service (ns) of the requests that count.

    ``picoseconds`` is the mean time between two answers over all processes: the inverse of the throughput, as an
    integer that is exact enough for it. ``dispatch_ns`` is how late each request started, empty in a closed loop.
    """

    round: int
    window_ns: int
    latency_ns: Integers
    service_ns: Integers
    picoseconds: int
    peak_memory_bytes: int | None
    dispatch_ns: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    unserved: int = 0


def closed_loop(workers: Sequence[Worker], round_: int, window_ns: int) -> Slice:
    """Measure a closed loop: every process gets its next request when the last one is answered.

    Throughput is the sum over processes of answers per time from the first start to the last end of what each counts,
    so that it does not depend on how requests fit the window. Raises LevelFailedError if a process fails.
    """
    lead_ns = max(SETTLE_NS, 2 * _forward_ns(workers))
    start_ns = time.monotonic_ns() + lead_ns
    for worker in workers:
        worker.begin("closed_loop", start_ns=start_ns, window_ns=window_ns)
    reports = _answers(workers, lead_ns + 2 * window_ns)
    starts = [np.array(report["started_ns"], np.int64) for report in reports]
    ends = [np.array(report["ended_ns"], np.int64) for report in reports]
    if any(not len(some) for some in starts):
        raise LevelFailedError("a process reported no request")
    per_ns = sum(len(a) / max(1, int(b[-1] - a[0])) for a, b in zip(starts, ends, strict=True))
    latency_ns = np.concatenate(ends) - np.concatenate(starts)
    return Slice(round_, window_ns, latency_ns, latency_ns, max(1, round(1_000 / per_ns)), _memory(reports))


def open_loop(
    workers: Sequence[Worker], round_: int, window_ns: int, arrivals_ns: Sequence[int], folder: Path
) -> Slice:
    """Measure an open loop: requests arrive at ``arrivals_ns``, and the processes serve them in order from one queue.

    An idle process claims the next request before it arrives, and waits for it. Claims are in the order in which
    processes become idle, and arrivals in the order of time; so each request starts when it has arrived and the first
    process is free, as in a queue with one dispatcher, and no dispatcher delays it. What a start is late beyond that is
    in ``dispatch_ns``, and in the latency, which counts from the scheduled arrival.

    Requests that arrive in the window count, after ``EDGE`` of it; the throughput is that of the answers within it.
    One more window after the last arrival no request starts any more. Raises LevelFailedError if a process fails.
    """
    lead_ns = max(SETTLE_NS, _forward_ns(workers))
    first_ns = round(EDGE * window_ns)
    stop_ns = round((2 + 2 * EDGE) * window_ns)
    schedule, counter = folder / "arrivals", folder / "next-request"
    schedule.write_bytes(np.array(arrivals_ns, np.int64).tobytes())
    counter.write_bytes(bytes(8))
    start_ns = time.monotonic_ns() + lead_ns
    for worker in workers:
        files = {"schedule": os.fspath(schedule), "counter": os.fspath(counter)}
        worker.begin("open_loop", start_ns=start_ns, stop_ns=stop_ns, **files)
    reports = _answers(workers, lead_ns + stop_ns)
    index, claimed, started, ended = (
        np.concatenate([np.array(report[name], np.int64) for report in reports])
        for name in ("index", "claimed_ns", "started_ns", "ended_ns")
    )
    arrived = _arrivals_of(index, started, np.array(arrivals_ns, np.int64))
    counted = (arrived >= first_ns) & (arrived < first_ns + window_ns)
    answers = int(((ended >= first_ns) & (ended < first_ns + window_ns)).sum())
    return Slice(
        round_,
        window_ns,
        latency_ns=(ended - arrived)[counted],
        service_ns=ended - started,
        picoseconds=round(1_000 * window_ns / max(1, answers)),
        peak_memory_bytes=_memory(reports),
        dispatch_ns=(started - np.maximum(arrived, claimed))[counted],
        unserved=len(arrivals_ns) - len(index),
    )


def _arrivals_of(index: Integers, started_ns: Integers, arrivals_ns: Integers) -> Integers:
    """Return when each reported request arrived (ns); raises LevelFailedError if the reports cannot be true."""
    if len(np.unique(index)) != len(index) or (len(index) and index.max() >= len(arrivals_ns)):
        raise LevelFailedError("a process reported a request that was not its own")
    arrived: Integers = arrivals_ns[index]
    if (started_ns < arrived).any():
        raise LevelFailedError("a process reported the start of a request before its arrival")
    return arrived


def _answers(workers: Sequence[Worker], slice_ns: int) -> list[Report]:
    """Wait for what the workers served; raises LevelFailedError if one fails or hangs."""
    timeout_s = (slice_ns + _HANG_FORWARDS * _forward_ns(workers)) / _NS + HANG_S
    for worker in workers:
        if not worker.wait("slice", timeout_s):
            raise failure_of(worker)
    return [worker.last("slice") for worker in workers]


def _forward_ns(workers: Sequence[Worker]) -> int:
    """Return the longest warm forward of the workers (ns), each measured on its own, times their number."""
    return max(int(worker.last("turn")["forward_ns"]) for worker in workers) * len(workers)


def _memory(reports: Sequence[Report]) -> int | None:
    """Return the sum of the processes' largest resident sets (bytes); None if one does not know its own."""
    known = [report["peak_memory_bytes"] for report in reports]
    return None if None in known else sum(known)


def most_rate(window_ns: int) -> float:
    """Return the largest rate of arrivals (per second) of which a slice can be reported."""
    return MOST_REQUESTS / 2 / ((1 + 2 * EDGE) * window_ns / _NS)  # half: a Poisson count never doubles by chance
