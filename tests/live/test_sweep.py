"""Sweep, bisect and repro over real PyTorch versions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from profkit.capture.environments.environments import Environment
from profkit.capture.environments.nightlies import VARIABLE
from profkit.experiments.repro.calls import Call
from profkit.experiments.repro.script import script_of
from tests.conftest import ROOT
from tests.live.conftest import TINY, Profkit
from tests.unit.nightly_index import make_index, served


@pytest.mark.usefixtures("environments")
def test_versions_of_which_one_cannot_be_installed(profkit: Profkit, tmp_path: Path) -> None:
    words = ["sweep", f"{TINY}:make", *(w for v in ("1.13", "1.13.77", "2.0", "2.15") for w in ("--torch", v))]
    words += ["--rounds", 2, "--steps", 3, "--warmup", 2, "--no-onednn", "--format", "json", "--output", "sweep.json"]
    done = profkit(*words, status=4)
    assert "1 of 4 runs could not be captured" in done.stderr
    (workload,) = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))["workloads"]
    reasons = {point["label"]: point["reason"] for point in workload["points"]}
    assert "1.13.77" in reasons.pop("1.13.77")
    assert set(reasons.values()) == {None}
    assert [(step["before"], step["after"]) for step in workload["steps"]] == [("1.13", "2.0"), ("2.0", "2.15")]
    rounds = {path: path.read_bytes() for path in tmp_path.rglob("profkit.json")}
    again = profkit(*words, status=4)
    assert "by turns" not in again.stderr
    assert {path: path.read_bytes() for path in rounds} == rounds


@pytest.mark.usefixtures("environments")
def test_the_release_in_which_the_outputs_changed(profkit: Profkit, tmp_path: Path) -> None:
    """Three releases; the model itself returns something else from 2.0 on."""
    words = ("bisect", f"{TINY}:changed_in_2", "--good", "1.13", "--bad", "2.1", "--metric", "outputs.error")
    short = ("--steps", 2, "--warmup", 2, "--no-onednn")
    profkit(*words, *short, "--output", "found.json")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["versions"] == ["1.13", "2.0", "2.1"]
    assert (found["outcome"], found["last_good"], found["first_bad"]) == ("found", "1.13", "2.0")
    assert [(test["label"], test["rounds"]) for test in found["tests"]] == [("2.1", 1), ("2.0", 1)]


@pytest.mark.usefixtures("environments")
def test_an_operator_alone(profkit: Profkit, tmp_path: Path) -> None:
    """With the values that 2.15 recorded, it runs in 2.0 too."""
    runs = (ROOT / "traces/2.0", ROOT / "traces/2.15")
    profkit("repro", *runs, "--operator", "aten::conv2d", "--rounds", 2, "--output", "found.json")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["shape"] == "[1,256,14,14], [256,256,3,3]"
    assert all(1e4 < side["alone_ns"] < 1e9 for side in found["sides"])
    assert "benchdnn --mode=P --conv" in (tmp_path / "repro/report.md").read_text(encoding="utf-8")


def test_an_expanded_input_is_made_again(environments: dict[str, Environment], tmp_path: Path) -> None:
    """Its elements share memory (a stride of 0), so they cannot be written one by one."""
    call = Call(
        "aten::masked_fill_",
        [[1, 2, 8, 8], [1, 2, 8, 8], []],
        ["float", "bool", "float"],
        [[128, 64, 8, 1], [8, 0, 0, 1], []],
        ["", "", ""],
    )
    (tmp_path / "alone.py").write_text(script_of(call, None).replace('"measure_s": 0.5', '"measure_s": 0.01'))
    for version in ("2.0", "2.15"):
        done = subprocess.run(
            [environments[version].python, "alone.py"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_frozen_weights_are_reordered_since_2_8(environments: dict[str, Environment]) -> None:
    """The script of the guide: 2.0 reorders them once, 2.15 in each forward."""
    script = ROOT / "examples/versions/frozen_weights.py"
    for version, status, found in (("2.0", 0, "0 reorders"), ("2.15", 1, "5 reorders")):
        python = environments[version].python
        done = subprocess.run([python, script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (status, f"{found} of weights in 5 forwards\n"), done.stderr


def test_nightly_builds_are_bisected(profkit: Profkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones, from an index of this machine; what they need comes from the usual one."""
    days = [f"2.9.0.dev2025080{day}" for day in (1, 2, 4, 5)]
    make_index(tmp_path / "index", days)
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    with served(tmp_path / "index") as address:
        monkeypatch.setenv(VARIABLE, address)
        command = "python -c 'import torch, torchvision; exit(torch.is_changed)'"
        profkit("bisect", "--good", days[0], "--bad", days[-1], "--run", command, "--output", "found.json")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["versions"] == days
    assert (found["outcome"], found["last_good"], found["first_bad"]) == ("found", days[1], days[2])
