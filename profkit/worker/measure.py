"""Times forwards: warm-up, latency with the profiler off, then the profiled forwards."""

from __future__ import annotations

import os
import statistics
import time

from .outputs import flatten, save_outputs
from .profile import profiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reports import Reporter

    Order = dict[str, Any]
    Inputs = tuple[Any, ...]


STABLE_WINDOW = 5  # forwards in each of the two windows whose medians are compared: the fewest with a steady median
STABLE_TOLERANCE = 0.03  # relative difference of the medians; forwards of one process scatter by about as much
WARMUP_LIMIT = 3  # times the requested warm-up; then measuring starts, stable or not, and the round says so


class Forward:
    """One call of the model, timed on the wall in integer nanoseconds; waits for the device if there is one."""

    def __init__(self, call: Any, inputs: Inputs) -> None:
        import torch

        self._call = call
        self._inputs = inputs
        self.on_cuda = any(t.is_cuda for _, t in flatten(inputs))
        self._wait = torch.cuda.synchronize if self.on_cuda else None

    def __call__(self) -> tuple[int, Any]:
        """Run once; return ``(duration in ns, the model's result)``."""
        start = time.perf_counter_ns()
        result = self._call(*self._inputs)
        if self._wait is not None:
            self._wait()
        return time.perf_counter_ns() - start, result


def is_stable(durations: list[int]) -> bool:
    """Tell whether the last two windows of ``durations`` have the same median within the tolerance."""
    if len(durations) < 2 * STABLE_WINDOW:
        return False
    earlier = statistics.median(durations[-2 * STABLE_WINDOW : -STABLE_WINDOW])
    later = statistics.median(durations[-STABLE_WINDOW:])
    return abs(earlier - later) <= STABLE_TOLERANCE * earlier


def warm_up(forward: Forward, count: int, report: Reporter) -> tuple[list[int], bool]:
    """Run at least ``count`` forwards and on until their times are stable; return ``(durations_ns, stable)``."""
    durations: list[int] = []
    while len(durations) < count or (not is_stable(durations) and len(durations) < WARMUP_LIMIT * count):
        durations.append(forward()[0])
        report("forward", stage="warm-up", index=len(durations), count=max(count, len(durations)))
    return durations, is_stable(durations)


def timed(forward: Forward, count: int, report: Reporter) -> tuple[list[int], Any]:
    """Return the durations in ns of ``count`` forwards with the profiler off, and the last result."""
    durations, result = [], None
    for index in range(count):
        duration, result = forward()
        durations.append(duration)
        report("forward", stage="latency", index=index + 1, count=count)
    return durations, result


def measure(
    call: Any, inputs: Inputs, settings: Order, folder: str, metadata: Order, report: Reporter, chdir: bool
) -> dict[str, Any]:
    """Warm up, time, profile; return the round as the manifest holds it (times in ns).

    ``chdir`` allows changing the working directory for a moment, which must not happen in a user's own process.
    """
    import torch

    with torch.no_grad():
        forward = Forward(call, inputs)
        warmup_ns, stable = warm_up(forward, settings["warmup"], report)
        latency_ns, result = timed(forward, settings["steps"], report)
        outputs_sha256 = save_outputs(result, os.path.join(folder, "outputs.npz"))
        profiled_ns, trace = profiled(forward, settings, folder, metadata, report, chdir)
    return {
        "trace": trace,
        "warmup_ns": warmup_ns,
        "stable": stable,
        "latency_ns": latency_ns,
        "profiled_ns": profiled_ns,
        "outputs_sha256": outputs_sha256,
    }
