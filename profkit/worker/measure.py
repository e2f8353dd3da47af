"""Times forwards: warm-up, latency with the profiler off, then the profiled forwards."""

from __future__ import annotations

import os
import statistics

from .counters import ForwardCounters, Load, peak_memory_bytes
from .forward import Forward
from .outputs import save_outputs
from .profile import profiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reports import Reporter

    Order = dict[str, Any]
    Inputs = tuple[Any, ...]


STABLE_WINDOW = 5  # forwards in each of the two compared windows: the fewest that give a steady median
STABLE_TOLERANCE = 0.03  # relative difference of the medians; about the scatter of the forwards of one process
WARMUP_LIMIT = 3  # multiple of the requested warm-up; then measuring starts, and the round records ``stable``


def is_stable(durations: list[int]) -> bool:
    """Return whether the medians of the last two windows of ``durations`` agree within the tolerance."""
    if len(durations) < 2 * STABLE_WINDOW:
        return False
    earlier = statistics.median(durations[-2 * STABLE_WINDOW : -STABLE_WINDOW])
    later = statistics.median(durations[-STABLE_WINDOW:])
    return abs(earlier - later) <= STABLE_TOLERANCE * earlier


def warm_up(forward: Forward, count: int, report: Reporter) -> tuple[list[int], bool]:
    """Run at least ``count`` forwards, and more until their times are stable; return ``(durations_ns, stable)``."""
    durations: list[int] = []
    while len(durations) < count or (not is_stable(durations) and len(durations) < WARMUP_LIMIT * count):
        durations.append(forward()[0])
        report("forward", stage="warm-up", index=len(durations), count=max(count, len(durations)))
    return durations, is_stable(durations)


def timed(forward: Forward, count: int, report: Reporter) -> tuple[list[int], ForwardCounters, Any]:
    """Time ``count`` forwards with the profiler off; return durations (ns), counts per forward, the last result."""
    durations, counters, result = [], ForwardCounters(), None
    for index in range(count):
        counters.start()
        duration, result = forward()
        counters.stop()
        durations.append(duration)
        report("forward", stage="latency", index=index + 1, count=count)
    return durations, counters, result


def measure(
    call: Any, inputs: Inputs, settings: Order, folder: str, metadata: Order, report: Reporter, chdir: bool
) -> dict[str, Any]:
    """Warm up, time, profile; return the round as stored in the manifest (times in ns).

    ``chdir`` allows this function to change the working directory temporarily; not allowed in a user's process.
    """
    import torch

    with torch.no_grad():
        forward = Forward(call, inputs)
        warmup_ns, stable = warm_up(forward, settings["warmup"], report)
        load = Load()
        latency_ns, counters, result = timed(forward, settings["steps"], report)
        load_then = load.end()
        outputs_sha256 = save_outputs(result, os.path.join(folder, "outputs.npz"))
        profiled_ns, trace = profiled(forward, settings, folder, metadata, report, chdir)
    return {
        "trace": trace,
        "warmup_ns": warmup_ns,
        "stable": stable,
        "latency_ns": latency_ns,
        "profiled_ns": profiled_ns,
        "outputs_sha256": outputs_sha256,
        "counters": counters.lists(),
        "load": load_then,
        "peak_memory_bytes": peak_memory_bytes(),
    }
