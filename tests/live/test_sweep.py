"""A sweep over real PyTorch versions, one of which does not exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.live.conftest import TINY, Profkit


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
