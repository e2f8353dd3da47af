"""The servers that ``profkit view`` starts end with it, whatever ends it, and its scratch folder with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.stub import processes_of

# in the place of TensorBoard: it names its address, ignores SIGTERM, and has a child of its own
SERVER = (
    "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork();"
    "sys.stderr.write('TensorBoard 2 at http://127.0.0.1:1/ (Press CTRL+C to quit)' + chr(10)); sys.stderr.flush();"
    "time.sleep(600)"
)
PROGRAM = (
    "import sys\n"
    "from profkit.cli import tensorboard\n"
    "from profkit.cli.main import main\n"
    "tensorboard._check_plugin = lambda: None\n"
    "tensorboard._warn_without_charts = lambda: None\n"
    "tensorboard._GRACE_S = 0.3\n"
    f"tensorboard._START = {SERVER!r}\n"
    "main(sys.argv[1:])\n"
)
RUNS = [str(ROOT / "traces/1.13"), str(ROOT / "traces/2.0")]  # two: a scratch folder links to both


@contextmanager
def viewing(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``profkit view`` with that server until it has named its address."""
    environ = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, "view", *words]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, cwd=folder, env=environ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, process.communicate()
        yield process


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes_of(folder) == []


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_tensorboard_ends_with_view(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with viewing(tmp_path, *RUNS) as process:
        (scratch,) = tmp_path.glob("profkit-scratch-*")
        assert sorted(path.name for path in scratch.iterdir()) == ["1.13-resnet50", "2.0-resnet50"]
        assert len(processes_of(scratch)) == 2  # the server and its child
        process.send_signal(number)
        said = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in said[1]
    wait_until_gone(scratch)
    assert scratch.exists() == (number == signal.SIGKILL)
    if scratch.exists():  # the next start removes what the killed one left
        with viewing(tmp_path, *RUNS) as process:
            assert not scratch.exists()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_server_for_perfetto_ends_on_a_signal(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with viewing(tmp_path, "--perfetto", "--no-browser", RUNS[0]) as process:
        process.send_signal(number)
        said = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in said[1]
    assert list(tmp_path.iterdir()) == []
