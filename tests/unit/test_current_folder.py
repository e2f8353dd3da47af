"""The folder that profkit is started in decides neither what is installed nor what is run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import uv

from profkit.capture.environments.interpreters import full_python_version, python_version, torch_version
from profkit.capture.environments.uv import InstallerError, Uv
from profkit.cli import tensorboard
from profkit.runs import find_runs
from tests.unit.stub import write_model

SCRIPT = Path(sys.executable).with_name("profkit")
EXECUTED = "import os\nos.write(2, b'the current folder was imported')\nos._exit(99)\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder full of traps, which is the current one."""
    folder = tmp_path / "here"
    (folder / "torch").mkdir(parents=True)
    (folder / "tensorboard").mkdir()
    names = ("re", "json", "platform", "site", "sitecustomize", "usercustomize", "numpy", "importlib", "profkit")
    for name in (*names, "torch/__init__", "tensorboard/__init__", "tensorboard/main", "torch_tb_profiler"):
        (folder / f"{name}.py").write_text(EXECUTED)
    (folder / "torch/version.py").write_text("__version__ = '6.6.6'\n")
    (folder / "uv.toml").write_text("this is [ not TOML")
    (folder / "pyproject.toml").write_text("[tool.uv]\nindex-url = 'http://127.0.0.1:9/'\n")
    (folder / ".python-version").write_text("2.7\n")
    monkeypatch.chdir(folder)
    return folder


def test_interpreters_are_asked_in_isolation(here: Path, python: Path) -> None:
    assert full_python_version(python) == platform.python_version()
    assert python_version(python) == ".".join(platform.python_version_tuple()[:2])
    assert torch_version(python) == "9.9.1"


def test_a_capture_runs_nothing_of_it(here: Path, python: Path, tmp_path: Path) -> None:
    words = ["capture", f"{write_model(tmp_path / 'm')}:make", "--python", python, "--logdir", tmp_path / "logs"]
    words += ["--rounds", "1", "--steps", "2", "--warmup", "2", "--no-onednn", "-q"]
    environ = {**os.environ, "PROFKIT_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    (run,) = find_runs(tmp_path / "logs")
    assert (run.label, run.manifest and run.manifest.torch and run.manifest.torch.version) == ("9.9.1", "9.9.1")


def test_what_view_starts_runs_nothing_of_it(here: Path) -> None:
    command = tensorboard._python(
        "import re, json, site, sys; print([path for path in sys.path if not path], __name__)"
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[] __main__\n"), done.stderr


RECORDING = """#!/bin/bash
echo "$PWD: $*" >> {0}/calls
cat > /dev/null
echo torch==2.15.1
"""


def test_uv_runs_elsewhere_and_looks_for_no_configuration(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "uv"
    program.write_text(RECORDING.format(tmp_path))
    program.chmod(0o755)
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(program))
    runner = Uv(lambda text: None)
    runner.find_python("3.10")
    runner.download_python("3.10")
    runner.create(Path("envs/x"), Path(sys.executable))
    runner.install(Path("envs/x/bin/python"), ["torch==2.0.1"], "cpu")
    assert runner.newest("torch==2.15.*", "3.10") == "2.15.1"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 6  # a download is followed by a search
    assert all(call.startswith("/: --no-config --color never ") for call in calls)
    assert f"{here}/envs/x" in calls[3]  # a relative cache folder is the user's, not one of the root folder
    assert f"{here}/envs/x/bin/python" in calls[4]


def test_the_real_uv_is_not_led_astray(here: Path, tmp_path: Path) -> None:
    """Here uv alone fails: it cannot read its configuration."""
    alone = subprocess.run([uv.find_uv_bin(), "python", "find", "3"], capture_output=True, text=True, check=False)
    assert alone.returncode != 0
    found = Uv(lambda text: None).find_python(python_version(Path(sys.executable)) or "")
    assert found is not None
    assert found.is_absolute()
    assert here not in found.parents


def test_uv_that_fails_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/bash\necho 'error: No space left on device' >&2\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(program))
    with pytest.raises(InstallerError) as caught:
        Uv(lambda text: None).newest("torch" * 100_000, "3.10")  # more than the pipe takes
    assert caught.value.disk_full
