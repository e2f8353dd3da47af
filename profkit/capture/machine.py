"""Whether this machine is fit to measure on: what disturbs times, and what to do about each of it.

Everything is read from ``/proc`` and ``/sys`` (proc(5), the kernel's documentation of cgroups and PSI); nothing is
changed. What a system does not have, such as clock control in a virtual machine, is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from profkit.capture.system import System, cpu_quota, governor, huge_pages, numa_nodes, turbo

BUSY_SHARE = 0.05  # of one processor: less than that moves a forward by less than the margin of 2% on two processors
STEAL_SHARE = 0.01  # of CPU time: half of the margin of 2%
PRESSURE = 1.0  # percent of ten seconds in which something waited: less is scheduling of the system itself
SAMPLE_S = 1.0  # over which CPU time is observed: 100 ticks, so a share is known to about 1%
NAMED = 5  # competing processes that are named

Fitness = Literal["good", "warning", "information"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One property of the machine."""

    name: Annotated[str, Meta(description="what was checked")]
    value: Annotated[str, Meta(description="what was found")]
    fitness: Annotated[Fitness, Meta(description="warning: it may disturb measurements")]
    advice: Annotated[str, Meta(description="what to do; empty if nothing")] = ""


class MachineReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about a machine, warnings first."""

    schema: Annotated[Literal["machine/1"], Meta(description="schema of this document")] = "machine/1"
    host: Annotated[str, Meta(description="name of the machine")]
    cpu: Annotated[str, Meta(description="model of its processor")]
    findings: Annotated[list[Finding], Meta(description="the findings, warnings first")]

    @property
    def warnings(self) -> list[Finding]:
        """The findings that may disturb measurements."""
        return [finding for finding in self.findings if finding.fitness == "warning"]


def inspect_machine(host: str, cpu: str, system: System | None = None) -> MachineReport:
    """Look at the machine for about a second; return what was found, warnings first."""
    system = system or System()
    checks = (_activity, _quota, _governor, _turbo, _threads_per_core, _numa, _huge_pages, _memory, _openmp)
    findings = [finding for check in checks for finding in check(system)]
    return MachineReport(host=host, cpu=cpu, findings=sorted(findings, key=lambda f: f.fitness != "warning"))


def _activity(system: System) -> Iterator[Finding]:
    """Observe for ``SAMPLE_S``: load, steal, and the processes that use the processors."""
    before, processes = _ticks(system), _process_ticks(system)
    system.wait(SAMPLE_S)
    after = _ticks(system)
    passed = after[0] - before[0]
    if passed > 0:
        steal = (after[1] - before[1]) / passed
        yield Finding(
            name="CPU time taken by the hypervisor (steal)",
            value=f"{100 * steal:.1f}%",
            fitness="warning" if steal > STEAL_SHARE else "good",
            advice="Use a dedicated machine, or an instance without shared CPUs." if steal > STEAL_SHARE else "",
        )
    tick_s = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01
    used = {
        pid: ((ticks - processes[pid][0]) * tick_s / SAMPLE_S, name)
        for pid, (ticks, name) in _process_ticks(system).items()
        if pid in processes and pid != os.getpid()
    }
    busy = sorted(((share, name) for share, name in used.values() if share >= BUSY_SHARE), reverse=True)
    named = ", ".join(f"{name} ({100 * share:.0f}% of a CPU)" for share, name in busy[:NAMED])
    yield Finding(
        name="other processes",
        value=(named + (f", and {len(busy) - NAMED} more" if len(busy) > NAMED else "")) or "none that uses a CPU",
        fitness="warning" if busy else "good",
        advice="Stop them, or capture when they have ended." if busy else "",
    )
    load = system.text("proc/loadavg").split()
    if load:
        yield Finding(name="load average over one minute", value=load[0], fitness="information")


def _ticks(system: System) -> tuple[int, int]:
    """Return all ticks of all processors, and those that the hypervisor took."""
    first = system.text("proc/stat").partition("\n")[0].split()
    ticks = [int(word) for word in first[1:9] if word.isdigit()]
    return sum(ticks), ticks[7] if len(ticks) > 7 else 0


def _process_ticks(system: System) -> dict[int, tuple[int, str]]:
    """Return the CPU ticks and the name of every process."""
    found = {}
    proc = system.root / "proc"
    for entry in proc.iterdir() if proc.is_dir() else ():
        if entry.name.isdigit():
            # the name is in brackets, and may hold spaces and brackets itself
            head, _, tail = system.text(f"proc/{entry.name}/stat").rpartition(")")
            fields = tail.split()
            if len(fields) > 12:
                found[int(entry.name)] = (int(fields[11]) + int(fields[12]), head.partition("(")[2])
    return found


def _quota(system: System) -> Iterator[Finding]:
    quota = cpu_quota(system)
    if quota is not None:
        yield Finding(
            name="CPU quota of the container",
            value=f"{quota:.2f} CPUs",
            fitness="warning",
            advice="Remove the quota: a throttled forward waits until the next period. Limit CPUs by a cpuset instead.",
        )


def _governor(system: System) -> Iterator[Finding]:
    found = governor(system)
    if found is not None:
        fixed = found == "performance"
        yield Finding(
            name="CPU frequency governor",
            value=found,
            fitness="good" if fixed else "warning",
            advice="" if fixed else "Set it to performance: cpupower frequency-set -g performance.",
        )


def _turbo(system: System) -> Iterator[Finding]:
    boost = turbo(system)
    if boost is not None:
        yield Finding(
            name="turbo frequencies",
            value="on" if boost else "off",
            fitness="warning" if boost else "good",
            advice="The clock depends on heat and neighbours. Turn turbo off for the measurement." * boost,
        )


def _threads_per_core(system: System) -> Iterator[Finding]:
    siblings = system.text("sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    if siblings:
        shared = bool(re.search(r"[,-]", siblings))
        yield Finding(
            name="hardware threads per core",
            value=f"several (CPU 0 shares a core: {siblings})" if shared else "one",
            fitness="warning" if shared else "good",
            advice="Use one thread per core: set --threads to the number of cores." if shared else "",
        )


def _numa(system: System) -> Iterator[Finding]:
    nodes = numa_nodes(system)
    if nodes is not None:
        yield Finding(
            name="NUMA nodes",
            value=str(nodes),
            fitness="warning" if nodes > 1 else "good",
            advice="Keep a capture on one node: numactl --cpunodebind=0 --membind=0 profkit capture …" * (nodes > 1),
        )


def _huge_pages(system: System) -> Iterator[Finding]:
    mode = huge_pages(system)
    if mode is not None:
        yield Finding(name="transparent huge pages", value=mode, fitness="information")


def _memory(system: System) -> Iterator[Finding]:
    pressure = re.search(r"^some avg10=([\d.]+)", system.text("proc/pressure/memory"), re.M)
    if pressure:
        high = float(pressure[1]) > PRESSURE
        yield Finding(
            name="memory pressure (time in which something waited for memory)",
            value=f"{pressure[1]}% of ten seconds",
            fitness="warning" if high else "good",
            advice="Free memory: what waits for memory swaps or reclaims pages." if high else "",
        )


def _openmp(system: System) -> Iterator[Finding]:
    for name, value in sorted(system.variables().items()):
        if name.startswith(("OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_")):
            yield Finding(name=name, value=value, fitness="information")
