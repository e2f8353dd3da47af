"""Times the forwards of one round: warm-up, latency with the profiler off, then the profiled forwards."""

from __future__ import annotations

import os
import statistics

from .counters import ForwardCounters, Load, peak_memory_bytes
from .forward import Forward
from .outputs import count_not_finite, save_outputs
from .profile import Profiling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inputs import Inputs
    from .reports import Reporter

    Order = dict[str, Any]


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


class Round:
    """One round under way: :meth:`warm_up`, then :meth:`time`, :meth:`profile` and :meth:`finish`.

    ``time`` and ``profile`` may be called several times, so that the workers of several configurations can take turns.
    """

    def __init__(
        self, call: Any, inputs: Inputs, settings: Order, folder: str, metadata: Order, report: Reporter, chdir: bool
    ) -> None:
        """Prepare a round of forwards of ``call``, whose trace goes into ``folder``.

        ``chdir`` allows a temporary change of the working directory; not allowed in a user's process.
        """
        self._forward = Forward(call, inputs, autocast=settings.get("autocast", False))
        self._settings = settings
        self._folder = folder
        self._report = report
        self._profiling = Profiling(self._forward, settings, folder, metadata, report, chdir)
        self._warmup_ns: list[int] = []
        self._latency_ns: list[int] = []
        self._counters = ForwardCounters()
        self._load = Load()
        self._peak_bytes: int | None = None
        self._result: Any = None

    @property
    def on_device(self) -> bool:
        """Whether the model runs on a device, such as a GPU."""
        return self._forward.on_cuda

    @property
    def forward_ns(self) -> int:
        """The median of the last warm-up forwards (ns)."""
        return round(statistics.median(self._warmup_ns[-STABLE_WINDOW:]))

    def warm_up(self) -> None:
        """Run at least ``settings['warmup']`` forwards, and up to three times as many until their times are stable."""
        count, durations = self._settings["warmup"], self._warmup_ns
        while len(durations) < count or (not is_stable(durations) and len(durations) < WARMUP_LIMIT * count):
            durations.append(self._run()[0])
            self._report("forward", stage="warm-up", index=len(durations), count=max(count, len(durations)))

    def time(self, count: int, skip: int, total: int) -> None:
        """Time ``count`` forwards with the profiler off, after ``skip`` that warm the caches up and do not count.

        ``total`` is the number that this round will time in all; only progress reports use it.
        """
        for _ in range(skip):
            self._run()
        with self._load:
            for _ in range(count):
                with self._counters:
                    duration, self._result = self._run()
                self._latency_ns.append(duration)
                self._report("forward", stage="latency", index=len(self._latency_ns), count=total)
        self._peak_bytes = peak_memory_bytes()  # before the profiler's own memory

    def profile(self, count: int, skip: int = 0) -> None:
        """Profile ``count`` forwards, but in all no more than ``settings['steps']``.

        ``skip`` forwards before them warm the caches up and do not count.
        """
        import torch

        with torch.no_grad():
            self._profiling.run(count, skip)

    def finish(self) -> dict[str, Any]:
        """Save the trace and the outputs; return the round as stored in the manifest (times in ns)."""
        trace = self._profiling.save_trace()
        return {
            "trace": trace,
            "warmup_ns": self._warmup_ns,
            "stable": is_stable(self._warmup_ns),
            "latency_ns": self._latency_ns,
            "profiled_ns": self._profiling.durations_ns,
            "outputs_sha256": save_outputs(self._result, os.path.join(self._folder, "outputs.npz")),
            "not_finite": count_not_finite(self._result),
            "counters": self._counters.lists(),
            "load": self._load.described(),
            "peak_memory_bytes": self._peak_bytes,
        }

    def _run(self) -> tuple[int, Any]:
        import torch

        with torch.no_grad():
            return self._forward()
