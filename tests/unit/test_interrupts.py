"""Ctrl-C and signals at any moment: the status says so, and no traceback is shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = Path(sys.executable).with_name("profkit")
# a module whose import takes long, and swallows exceptions
SLOW = "import time\ntry: time.sleep(20)\nexcept BaseException: pass\n"


@pytest.mark.parametrize("module", ["click", "msgspec", "rich"])
@pytest.mark.parametrize(
    ("number", "statuses"), [(signal.SIGINT, {130}), (signal.SIGTERM, {143, -15}), (signal.SIGHUP, {129, -1})]
)
def test_a_signal_during_an_import_ends_the_program_quietly(
    tmp_path: Path, module: str, number: signal.Signals, statuses: set[int]
) -> None:
    (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'begun')!r}, 'w').close()\n{SLOW}")
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [SCRIPT, "capture", "resnet50", "--torch", "2.0"]
    with subprocess.Popen(command, env=environ, stdout=-1, stderr=-1, text=True, cwd=tmp_path) as process:
        deadline = time.monotonic() + 20
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate(timeout=20)
    assert process.returncode in statuses
    assert said == ("", "")


def test_ctrl_c_at_any_moment_of_the_first_half_second(tmp_path: Path) -> None:
    """Before the program's own code, Python itself may show where it was; then there is nothing of profkit in it."""
    began = []
    for delay in [0.03, 0.06, 0.09, 0.12, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4]:
        process = subprocess.Popen(
            [SCRIPT, "diff", ROOT / "traces/1.13", ROOT / "traces/2.0"], stdout=-1, stderr=-1, text=True, cwd=tmp_path
        )
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
        if "Fatal Python error" not in err:  # in its own start, Python ends with status 1
            assert process.returncode in (0, 130, -signal.SIGINT)
        assert "profkit/cli/main.py" not in err
        assert "profkit/cli/commands" not in err
        began.append((process.returncode, err))
    assert sum("Traceback" in err for _, err in began) <= 3, began  # those that came before the program's own code
    assert any(status == 130 and "Traceback" not in err for status, err in began)


def test_a_program_that_was_started_to_ignore_ctrl_c_goes_on(tmp_path: Path) -> None:
    again_and_again = "while kill -INT $! 2> /dev/null; do sleep 0.01; done"  # a fast machine needs less than 0.1 s
    line = f"trap '' INT; {SCRIPT} workloads vit_b & {again_and_again}; wait $!"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "vit_b_16" in done.stdout
