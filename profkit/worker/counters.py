"""What the operating system counts while forwards run: CPU time, page faults, context switches; load and steal.

These tell a disturbed measurement from a slow model. Sources: getrusage(2), proc(5).
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import NamedTuple

try:
    import resource
except ImportError:  # no getrusage on this platform
    resource = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Set, Tuple

_TICKS_PER_NS = os.sysconf("SC_CLK_TCK") / 1e9 if hasattr(os, "sysconf") else 0.0
FEWEST_TICKS = 50  # over all processors: then a share of 5% is more than the ticks at the ends
NAMES = ("cpu_ns", "minor_faults", "major_faults", "voluntary_switches", "involuntary_switches")


class ForwardCounters:
    """Counts per forward, over all threads of this process; a context around each forward adds one value per name."""

    def __init__(self) -> None:
        self._values: Dict[str, List[int]] = {name: [] for name in NAMES}
        self._before = _usage()

    def __enter__(self) -> None:
        self._before = _usage()

    def __exit__(self, *exception: object) -> None:
        for name, before, after in zip(NAMES, self._before, _usage()):
            self._values[name].append(max(0, after - before))

    def lists(self) -> Dict[str, List[int]]:
        """Return one list per name, one value per forward; empty lists if the platform counts nothing."""
        return self._values


class Load:
    """The machine's load while this process measures: the sum over the stretches of time in its context."""

    def __init__(self) -> None:
        self._processors = _own_processors()
        self._passed = _Ticks(0, 0, 0)
        self._own_ns = 0
        self._before = self._passed
        self._own_before = 0

    def __enter__(self) -> None:
        self._before, self._own_before = _ticks(self._processors), _own_cpu_ns()

    def __exit__(self, *exception: object) -> None:
        self._passed = self._passed.plus(_ticks(self._processors), self._before)
        self._own_ns += _own_cpu_ns() - self._own_before

    def described(self) -> Dict[str, Any]:
        """Return the load average, the mean clock in MHz, and shares (0 to 1) of the CPU time of the processors.

        ``steal_share`` is what the hypervisor gave to others, ``other_share`` what other processes took, ``idle_share``
        what nobody used; None if the time was too short for the clock ticks that count them.
        """
        stolen, busy, total = self._passed
        others = max(0.0, busy - self._own_ns * _TICKS_PER_NS)
        enough = total >= FEWEST_TICKS
        parts = {"steal_share": stolen, "other_share": others, "idle_share": max(0, total - busy - stolen)}
        return {
            "one_minute": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            **{name: round(min(1.0, part / total), 4) if enough else None for name, part in parts.items()},
            "cpu_mhz": _clock_mhz(),
        }


def peak_memory_bytes() -> int | None:
    """Return the largest resident set of this process so far; None if it is not known."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # getrusage(2): KiB on Linux, bytes on macOS


def _usage() -> Tuple[int, ...]:
    if resource is None:
        return ()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return _cpu_ns(usage), usage.ru_minflt, usage.ru_majflt, usage.ru_nvcsw, usage.ru_nivcsw


def _cpu_ns(usage: resource.struct_rusage) -> int:
    return round((usage.ru_utime + usage.ru_stime) * 1e9)


def _own_cpu_ns() -> int:
    return 0 if resource is None else _cpu_ns(resource.getrusage(resource.RUSAGE_SELF))


def _own_processors() -> Set[str]:
    """Return the processors that this process may use, as /proc/stat names them; empty if that is not known."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    return {"cpu%d" % number for number in os.sched_getaffinity(0)}


class _Ticks(NamedTuple):
    """Clock ticks of some processors: stolen by the hypervisor, busy with processes here, all."""

    stolen: int
    busy: int
    total: int

    def plus(self, after: _Ticks, before: _Ticks) -> _Ticks:
        """Return the sum of these and of those from ``before`` to ``after``."""
        return _Ticks(*(a + b - c for a, b, c in zip(self, after, before)))


def _ticks(processors: Set[str]) -> _Ticks:
    """Return the ticks of ``processors`` since the machine started; zeros without /proc."""
    sums = _Ticks(0, 0, 0)
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/stat") as stream:
            for line in stream:
                name, *words = line.split()
                if name in processors:
                    user, nice, system, idle, iowait, irq, softirq, steal = map(int, words[:8])  # guest is part of user
                    busy = user + nice + system + irq + softirq
                    sums = _Ticks(sums.stolen + steal, sums.busy + busy, sums.total + busy + idle + iowait + steal)
    return sums


def _clock_mhz() -> float | None:
    """Return the mean clock of the processors now; None if /proc/cpuinfo does not have it."""
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/cpuinfo", errors="replace") as stream:
            clocks = [float(mhz) for mhz in re.findall(r"^cpu MHz\s*: ([\d.]+)$", stream.read(), re.M)]
        return round(sum(clocks) / len(clocks), 1) if clocks else None
    return None
