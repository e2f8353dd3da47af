"""What the operating system counts while forwards run: CPU time, page faults, context switches; load and steal.

These tell a disturbed measurement from a slow model. Sources: getrusage(2), proc(5).
"""

from __future__ import annotations

import contextlib
import os
import re
import sys

try:
    import resource
except ImportError:  # no getrusage on this platform
    resource = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

NAMES = ("cpu_ns", "minor_faults", "major_faults", "voluntary_switches", "involuntary_switches")


class ForwardCounters:
    """Counts per forward, over all threads of this process; one list per name, one value per forward."""

    def __init__(self) -> None:
        self._values: Dict[str, List[int]] = {name: [] for name in NAMES}
        self._before = _usage()

    def start(self) -> None:
        """Take the counts before a forward."""
        self._before = _usage()

    def stop(self) -> None:
        """Add what was counted since :meth:`start`."""
        for name, before, after in zip(NAMES, self._before, _usage()):
            self._values[name].append(max(0, after - before))

    def lists(self) -> Dict[str, List[int]]:
        """Return the lists; empty ones if the platform counts nothing."""
        return self._values


class Load:
    """The machine's load over a stretch of time: from the start of this object to :meth:`end`."""

    def __init__(self) -> None:
        self._before = _processor_ticks()

    def end(self) -> Dict[str, Any]:
        """Return the load average, the share of CPU time that the hypervisor took (0 to 1), and the clock in MHz."""
        (steal, total), (steal_after, total_after) = self._before, _processor_ticks()
        passed = total_after - total
        return {
            "one_minute": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            "steal_share": round((steal_after - steal) / passed, 4) if passed > 0 else None,
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
    cpu_ns = round((usage.ru_utime + usage.ru_stime) * 1e9)
    return cpu_ns, usage.ru_minflt, usage.ru_majflt, usage.ru_nvcsw, usage.ru_nivcsw


def _processor_ticks() -> Tuple[int, int]:
    """Return the ticks stolen by the hypervisor, and all ticks, of all processors; zeros without /proc."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/stat") as stream:
            ticks = [int(word) for word in stream.readline().split()[1:9]]  # user … steal; guest is part of user
        return ticks[7], sum(ticks)
    return 0, 0


def _clock_mhz() -> float | None:
    """Return the mean clock of the processors now; None if /proc/cpuinfo does not have it."""
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/cpuinfo", errors="replace") as stream:
            clocks = [float(mhz) for mhz in re.findall(r"^cpu MHz\s*: ([\d.]+)$", stream.read(), re.M)]
        return round(sum(clocks) / len(clocks), 1) if clocks else None
    return None
