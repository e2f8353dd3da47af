"""The wheel in empty environments of the oldest and the newest Python at hand, and the worker under Python 3.7."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from profkit.capture.environments.environments import Environment
from profkit.capture.environments.interpreters import find_interpreter
from profkit.capture.environments.uv import Uv
from profkit.capture.process import Worker
from profkit.capture.reports import Report
from profkit.capture.workloads.resolve import resolve
from profkit.runs.settings import Settings
from tests.conftest import ROOT
from tests.live.conftest import TINY
from tests.live.processes import run_while_it_progresses

NEWEST_FIRST = ["3.14", "3.13", "3.12", "3.11", "3.10"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run_while_it_progresses([sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT], folder)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def local_interpreter(versions: list[str]) -> Path | None:
    uv = Uv(lambda text: None)
    uv.download_python = lambda version: None  # type: ignore[method-assign]  # those at hand
    return find_interpreter(uv, versions)


@pytest.mark.parametrize("versions", [["3.10"], NEWEST_FIRST], ids=["oldest", "newest"])
def test_the_wheel(versions: list[str], wheel: Path, tmp_path: Path, environments: dict[str, Environment]) -> None:
    interpreter = local_interpreter(versions)
    if interpreter is None:
        pytest.skip(f"no Python {' or '.join(versions)} at hand")
    home = tmp_path / "venv"
    variables = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}

    def run(*words: object) -> str:
        done = run_while_it_progresses(words, tmp_path, variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("uv", "venv", "--python", interpreter, home)
    run("uv", "pip", "install", "--python", home / "bin/python", wheel)
    profkit = home / "bin/profkit"
    assert "aten::mkldnn_convolution" in run(profkit, "diff", ROOT / "traces/1.13", ROOT / "traces/2.0")
    python = environments["2.0"].python
    run(profkit, "capture", f"{TINY}:make", "--python", python, "--rounds", 1, "--steps", 2, "--warmup", 2)
    assert "aten::conv2d" in run(profkit, "ops", "logs/2.0.1/tiny")
    assert json.loads(run(profkit, "schema", "run"))["title"] == "run/2"


def test_the_worker_under_python_3_7(tmp_path: Path) -> None:
    """Compiles and runs up to the import of torch, which that environment lacks."""
    interpreter = local_interpreter(["3.7"])
    if interpreter is None:
        pytest.skip("no Python 3.7 at hand")
    variables = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    home = tmp_path / "venv"
    for command in (
        [interpreter, "-m", "venv", home],
        ["uv", "pip", "install", "--python", home / "bin/python", "torch==1.13.1", "numpy"],
    ):
        done = run_while_it_progresses(command, tmp_path, variables)
        assert done.returncode == 0, done.stderr
    order = {
        "workload": asdict(resolve(f"{TINY}:make")),
        "settings": Settings(threads=1, warmup=1, steps=2).completed({}),
        "metadata": {},
        "onednn": False,
        "folder": str(tmp_path),
    }
    reports: list[Report] = []
    with Worker(home / "bin/python", order, {}, tmp_path / "log", 600.0, reports.append) as worker:
        assert worker.prepare(), (tmp_path / "log").read_text()
        assert worker.order("warm_up")
        assert worker.order("time", count=2, skip=1, total=2)
        assert worker.order("profile", count=2)
        assert worker.order("profile", count=1)  # there are enough
        worker.finish()
        assert worker.outcome().failure is None
    python = next(r for r in reports if r["event"] == "python")
    assert python["version"].startswith("3.7.")
    assert "torch==1.13.1" in python["packages"]
    (tmp_path / reports[-1]["trace"]).stat()
