"""What the operating system says about the machine: quota, clocks, memory pages, NUMA nodes.

Sources: proc(5), and the kernel's documentation of cgroups, cpufreq, transparent huge pages and NUMA.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class System:
    """Where to look: the root of ``/proc`` and ``/sys``, and the environment variables. Tests give others."""

    root: Path = Path("/")
    environ: Mapping[str, str] | None = None
    wait: Callable[[float], None] = time.sleep

    def text(self, path: str) -> str:
        """Return a file's text, stripped; empty if there is no such file."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def variables(self) -> Mapping[str, str]:
        """Return the environment variables."""
        return os.environ if self.environ is None else self.environ


def cpu_quota(system: System) -> float | None:
    """Return the CPUs' worth of time that the control group may use (cgroup v2, then v1); None without a limit."""
    quota, period = (*system.text("sys/fs/cgroup/cpu.max").split(), "", "")[:2]
    if not quota:
        quota = system.text("sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        period = system.text("sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def governor(system: System) -> str | None:
    """Return the CPU frequency governor; None if the system does not control the clock."""
    return system.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None


def turbo(system: System) -> bool | None:
    """Return whether clocks above the nominal one are allowed; None if the system does not tell."""
    off = system.text("sys/devices/system/cpu/intel_pstate/no_turbo")
    on = system.text("sys/devices/system/cpu/cpufreq/boost")
    return {"0": True, "1": False}.get(off, {"1": True, "0": False}.get(on))


def numa_nodes(system: System) -> int | None:
    """Return the number of NUMA nodes; None if the system does not tell."""
    return len(list((system.root / "sys/devices/system/node").glob("node[0-9]*"))) or None


def huge_pages(system: System) -> str | None:
    """Return the mode of transparent huge pages: always, madvise or never; None if the system has none."""
    chosen = re.search(r"\[(\w+)\]", system.text("sys/kernel/mm/transparent_hugepage/enabled"))
    return chosen[1] if chosen else None
