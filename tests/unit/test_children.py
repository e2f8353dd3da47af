"""Groups of processes end with the process that started them, however that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from profkit import children
from tests.unit.stub import Heard, capture, processes_of, write_model

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.usefixtures("nothing_stays"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc"),
]
# a program that ignores what can be ignored, and has a child that does, too
STUBBORN = (
    "import os, signal, sys, time\n"
    "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
    "child = os.fork()\n"
    "if child: print(child, flush=True)\n"
    "{then}\n"
    "time.sleep(600)\n"
)


def stubborn(folder: Path, then: str = "") -> list[str]:
    return [sys.executable, "-c", STUBBORN.format(then=then), str(folder)]


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes_of(folder) == []


def test_what_a_program_forked_ends_with_it(tmp_path: Path) -> None:
    process = children.start(stubborn(tmp_path), stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
    assert len(processes_of(tmp_path)) == 2
    assert children.end(process, 0.0, 0.2) == -signal.SIGKILL
    wait_until_gone(tmp_path)


def test_the_status_of_a_program_that_ends_by_itself(tmp_path: Path) -> None:
    process = children.start([sys.executable, "-c", "raise SystemExit(3)"])
    assert children.end(process, 30.0, 1.0) == 3


def test_there_is_a_guard_as_long_as_there_is_a_group(tmp_path: Path) -> None:
    def guards() -> list[str]:
        """Of this process: pytest-xdist's other worker may have its own at the same time."""
        pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in pids]
        return [line for line in lines if "guard.py" in line]

    assert guards() == []
    first, second = (children.start([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2))
    assert len(guards()) == 1
    for process in (first, second):
        assert process.stdin is not None
        process.stdin.close()
        assert children.end(process, 30.0, 1.0) == 1
    assert guards() == []


def test_a_program_that_is_not_there_leaves_no_guard(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        children.start([str(tmp_path / "none")])
    assert children._guard is None


@pytest.mark.parametrize("then", ["", "if child: os.kill(0, signal.SIGSTOP)"], ids=["running", "stopped"])
def test_a_killed_parent_takes_its_groups_along(tmp_path: Path, then: str) -> None:
    """Also a group that was stopped: only SIGKILL reaches it."""
    script = (
        "import os, signal, subprocess, sys, time\n"
        "from profkit import children\n"
        f"process = children.start({stubborn(tmp_path, then)!r}, stdout=subprocess.PIPE)\n"
        "process.stdout.readline()\n"
        "time.sleep(0.2)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until_gone(tmp_path)


def test_a_signal_while_a_program_starts_comes_after_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the program would run on, and nobody would know of it."""
    popen = subprocess.Popen

    def interrupted(*arguments: object, **options: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return popen(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        children.start(stubborn(tmp_path))
    monkeypatch.undo()
    guard = children._guard
    assert guard is not None
    (group,) = guard.groups
    os.killpg(group, signal.SIGKILL)
    os.waitpid(group, 0)
    guard.tell("-", group)
    children._close_unused()


def test_a_signal_while_the_guard_is_closed_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next group has a guard of its own, not the closed pipe of the one before."""
    close = children._Guard.close

    def interrupted(self: children._Guard) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        close(self)

    process = children.start([sys.executable, "-c", ""])
    monkeypatch.setattr(children._Guard, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        children.end(process, 30.0, 1.0)
    monkeypatch.undo()
    assert children._guard is None
    assert children.end(children.start([sys.executable, "-c", ""]), 30.0, 1.0) == 0


KILLING = """
import os, signal
from pathlib import Path
from tests.unit.stub import Heard, capture
class Killing(Heard):
    def report(self, who, report):
        if report["event"] == "forward":
            os.kill(os.getpid(), signal.SIGKILL)
capture(Path({python!r}), [Path({model!r})], Path({logs!r}), Killing())
"""
BUSY = "if call > 1:\n    while True: pass"  # it looks neither at its orders nor at its reports
FORKING = (
    "for number in (signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
    "if not os.fork():\n    time.sleep(600)\n    os._exit(0)"
)


@pytest.mark.parametrize(("body", "make"), [(BUSY, ""), ("", FORKING), (BUSY, FORKING)])
def test_a_killed_session_leaves_no_process_whatever_the_model_does(
    python: Path, tmp_path: Path, body: str, make: str
) -> None:
    model = write_model(tmp_path / "m", body, make=make)
    script = KILLING.format(python=str(python), model=str(model), logs=str(tmp_path / "logs"))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until_gone(python)
    capture(python, [write_model(tmp_path / "m")], tmp_path / "logs", Heard())
    assert not list((tmp_path / "logs").rglob(".*"))
