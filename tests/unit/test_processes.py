"""The live tests' own helpers: what does not progress is ended, and what is left running is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.processes import descendants, left_behind, processes, run_while_it_progresses, started

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
# a child, and a grandchild in a session of its own, as a worker is
FAMILY = (
    "import subprocess; p = subprocess.Popen(['sleep', '999'], start_new_session=True);"
    "print(p.pid, flush=True); p.wait()"
)


def test_output_and_status(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['WORD']); print('err', file=sys.stderr); sys.exit(3)"
    done = run_while_it_progresses([sys.executable, "-c", code], tmp_path, {"WORD": "given"})
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{tmp_path} given\n", "err\n")


def test_a_command_that_does_nothing_is_ended(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"(?s)no output and no CPU time for 0.5 s.*waiting"):
        run_while_it_progresses(["bash", "-c", "echo waiting; sleep 999"], tmp_path, idle_s=0.5)


def test_a_command_that_works_for_ever_is_ended(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="still working after 1 s"):
        run_while_it_progresses(["bash", "-c", "while :; do :; done"], tmp_path, total_s=1)


def test_what_is_left_running_is_found_and_ended(tmp_path: Path) -> None:
    before = frozenset((process.pid, process.started_ticks) for process in processes())
    with started([sys.executable, "-c", FAMILY], tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        assert [below.pid for below in descendants(process.pid)] == [grandchild]
        found = left_behind(os.getpid(), tmp_path, before)
        assert f"{grandchild}: sleep 999" in found
        assert any(text.startswith(f"{process.pid}: ") for text in found)
    assert left_behind(os.getpid(), tmp_path, before) == []
