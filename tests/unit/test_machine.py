"""What the machine check finds, on made-up /proc and /sys folders, and on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from profkit.capture.machine import Finding, System, inspect_machine
from tests.unit.test_cli import Capsys, run

QUIET = {
    "proc/stat": "cpu  100 0 100 800 0 0 0 0 0 0\n",
    "proc/loadavg": "0.10 0.20 0.30 1/100 42",
    "proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
    "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0\n",
    "sys/devices/system/node/node0/cpulist": "0-3\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/fs/cgroup/cpu.max": "max 100000\n",
}


def stat(ticks: int, name: str = "python3 (worker)") -> str:
    return f"77 ({name}) R 1 77 77 0 -1 4194304 1 0 0 0 {ticks} 0 0 0 20 0 1 0 1 1 1"


def make(root: Path, **changed: str) -> Callable[[str], Finding | None]:
    """Write the files, and return a function that inspects them and gives the finding whose name begins so."""
    for path, text in {**QUIET, **changed}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    def later(seconds: float) -> None:
        """What happens during the observation."""
        for path in root.rglob("later"):
            path.replace(path.with_name("stat"))

    report = inspect_machine("host", "cpu", System(root, {"OMP_NUM_THREADS": "4", "HOME": "/"}, later))
    return lambda name: next((f for f in report.findings if f.name.startswith(name)), None)


def test_a_quiet_machine(tmp_path: Path) -> None:
    find = make(tmp_path, **{"proc/later": "cpu  110 0 110 880 0 0 0 0 0 0\n"})
    report = inspect_machine("host", "cpu", System(tmp_path, {}, lambda s: None))
    assert report.warnings == []
    for name in ("CPU frequency", "turbo", "hardware threads", "NUMA", "memory pressure", "other processes"):
        finding = find(name)
        assert finding is not None, name
        assert (finding.fitness, finding.advice) == ("good", ""), name
    variable = find("OMP_NUM_THREADS")
    assert variable is not None
    assert (variable.value, variable.fitness) == ("4", "information")
    assert find("HOME") is None


@pytest.mark.parametrize(
    ("files", "name", "value"),
    [
        ({"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave"}, "CPU frequency", "powersave"),
        ({"sys/devices/system/cpu/intel_pstate/no_turbo": "0"}, "turbo", "on"),
        ({"sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,4"}, "hardware threads", "several"),
        ({"sys/devices/system/node/node1/cpulist": "4-7"}, "NUMA", "2"),
        ({"proc/pressure/memory": "some avg10=12.50 avg60=1.00\n"}, "memory pressure", "12.50%"),
        ({"sys/fs/cgroup/cpu.max": "150000 100000"}, "CPU quota", "1.50 CPUs"),
        (
            {
                "sys/fs/cgroup/cpu.max": "",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            "CPU quota",
            "0.50 CPUs",
        ),
        ({"proc/later": "cpu  110 0 110 830 0 0 0 50 0 0\n"}, "CPU time taken", "50.0%"),
        ({"proc/77/stat": stat(0), "proc/77/later": stat(60)}, "other processes", "python3 (worker) (60% of a CPU)"),
    ],
)
def test_what_disturbs(tmp_path: Path, files: dict[str, str], name: str, value: str) -> None:
    finding = make(tmp_path, **files)(name)
    assert finding is not None
    assert finding.fitness == "warning"
    assert value in finding.value
    assert finding.advice


def test_a_system_without_these_files(tmp_path: Path) -> None:
    report = inspect_machine("host", "cpu", System(tmp_path, {}, lambda s: None))
    assert [f.name for f in report.findings] == ["other processes"]


def test_this_machine(capsys: Capsys) -> None:
    assert run("machine", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "machine/1"
    assert {f["fitness"] for f in found["findings"]} <= {"good", "warning", "information"}
    assert run("machine", "--filter", "other") == 0
    assert "other processes" in capsys.readouterr().out
