"""Serves requests for a load test: one forward per request, in a closed loop or at scheduled arrivals.

All times of a slice are nanoseconds after its start, by the system's monotonic clock, which every process of a machine
reads alike (CLOCK_MONOTONIC, clock_gettime(2); mach_absolute_time on macOS).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from array import array

from .counters import peak_memory_bytes
from .measure import STABLE_WINDOW, WARMUP_LIMIT, is_stable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .forward import Forward
    from .reports import Reporter

    Order = dict[str, Any]

MOST_REQUESTS = 100_000  # that one slice reports: their times take some 4 MB; the load goes on without a record


class Requests:
    """What one process served in a slice; times in ns after the start of the slice, one entry per request.

    ``index`` and ``claimed_ns`` are empty in a closed loop.
    """

    def __init__(self) -> None:
        self.index: list[int] = []
        self.claimed_ns: list[int] = []
        self.started_ns: list[int] = []
        self.ended_ns: list[int] = []


class Service:
    """Serves the requests of one process; each order is a method, :meth:`warm_up` first."""

    def __init__(self, forward: Forward, settings: Order, report: Reporter) -> None:
        """Prepare to serve by calls of ``forward``."""
        self._forward = forward
        self._warmup = settings["warmup"]
        self._report = report
        self._durations: list[int] = []

    def warm_up(self) -> None:
        """Run forwards until their times are stable, as a capture does; report the median of the last ones."""
        durations, count = self._durations, self._warmup
        while len(durations) < count or (not is_stable(durations) and len(durations) < WARMUP_LIMIT * count):
            durations.append(self._forward()[0])
            self._report("forward", stage="warm-up", index=len(durations), count=max(count, len(durations)))
        last = sorted(durations[-STABLE_WINDOW:])
        forward_ns = last[len(last) // 2]
        self._report("turn", stage="warm_up", forward_ns=forward_ns, peak_memory_bytes=peak_memory_bytes())

    def closed_loop(self, start_ns: int, window_ns: int) -> None:
        """Send the next request when the answer to the last one has come; report those begun within the window.

        The window starts at ``start_ns`` of the monotonic clock. The load is on before it, and after it for as long as
        the longest request took, so that each counted request runs beside those of the other processes. One request
        counts at least.
        """
        found = Requests()
        longest_ns, now_ns = 0, time.monotonic_ns() - start_ns
        while now_ns < window_ns + longest_ns or not found.ended_ns:
            began_ns = now_ns
            self._forward()
            now_ns = time.monotonic_ns() - start_ns
            longest_ns = max(longest_ns, now_ns - began_ns)
            counts = 0 <= began_ns and (began_ns < window_ns or not found.ended_ns)
            if counts and len(found.ended_ns) < MOST_REQUESTS:
                found.started_ns.append(began_ns)
                found.ended_ns.append(now_ns)
        self._report_slice(found)

    def open_loop(self, start_ns: int, schedule: str, stop_ns: int, counter: str) -> None:
        """Serve the requests of a schedule together with other processes: first come, first served.

        The file ``schedule`` has the arrivals as 64-bit integers of this machine (ns after ``start_ns``, ascending).
        Whichever process is idle takes the next request, by the number in the file ``counter``, and waits for its
        arrival if that is still to come. No request starts after ``stop_ns``.
        """
        found = Requests()
        arrivals_ns = array("q")
        with open(schedule, "rb") as stream:
            arrivals_ns.frombytes(stream.read())
        descriptor = os.open(counter, os.O_RDWR)
        try:
            while True:
                index = _next_number(descriptor)
                if index >= len(arrivals_ns):
                    break
                claimed_ns = time.monotonic_ns() - start_ns
                if arrivals_ns[index] > claimed_ns:
                    time.sleep((arrivals_ns[index] - claimed_ns) / 1e9)
                began_ns = time.monotonic_ns() - start_ns
                if began_ns >= stop_ns:
                    break
                self._forward()
                found.index.append(index)
                found.claimed_ns.append(max(0, claimed_ns))
                found.started_ns.append(began_ns)
                found.ended_ns.append(time.monotonic_ns() - start_ns)
        finally:
            os.close(descriptor)
        self._report_slice(found)

    def _report_slice(self, found: Requests) -> None:
        self._report("slice", peak_memory_bytes=peak_memory_bytes(), **vars(found))


def _next_number(descriptor: int) -> int:
    """Return the number in a file and add one to it; processes that do so at once get different numbers."""
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    try:
        number = int.from_bytes(os.pread(descriptor, 8, 0), "little")
        os.pwrite(descriptor, (number + 1).to_bytes(8, "little"), 0)
        return number
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN)


def serve(forward: Forward, settings: Order, turns: Iterator[str], report: Reporter) -> None:
    """Carry out the orders in ``turns`` (JSON objects) until the last one; end the process if none comes any more."""
    import torch

    service = Service(forward, settings, report)
    stages: dict[str, Callable[..., None]] = {
        "warm_up": service.warm_up,
        "closed_loop": service.closed_loop,
        "open_loop": service.open_loop,
    }
    before = None
    with torch.no_grad():
        for line in turns:
            order = json.loads(line)
            stage = order.pop("stage")
            if stage == "finish":
                report("served")
                return
            words = "in the warm-up pass" if stage == "warm_up" else "serving requests"
            if words != before:
                before = words
                report("stage", stage=before)
            stages[stage](**order)
    os._exit(1)
