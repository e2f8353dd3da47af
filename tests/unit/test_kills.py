"""A dozen trials of the kill campaign; ``python -m tests.fuzz.kills.campaign`` runs hundreds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.kills.campaign import run_trials, table
from tests.fuzz.kills.checks import left_files, printed_rounds, wrong_runs
from tests.fuzz.kills.trial import MOMENTS, SCENARIOS, TARGETS, WAYS, Trial

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system has no /proc")
SEED = 1


def test_a_dozen_kills(python: Path, tmp_path: Path) -> None:
    trials = list(run_trials(range(12), SEED, tmp_path, python))
    assert [(trial.number, trial.problems) for trial in trials if trial.problems] == []
    assert f"{len(trials)} trials, 0 with problems" in table([vars(trial) for trial in trials])


def test_seed_and_number_decide_what_is_tried() -> None:
    drawn = [Trial.drawn(number, SEED) for number in range(200)]
    assert drawn == [Trial.drawn(number, SEED) for number in range(200)]
    assert drawn[0] != Trial.drawn(0, SEED + 1)
    assert {trial.scenario for trial in drawn} == set(SCENARIOS)
    assert {trial.target for trial in drawn} == {*TARGETS, ""}
    assert {trial.way for trial in drawn} == {*WAYS, ""}
    assert {trial.moment for trial in drawn} == set(MOMENTS)


def test_the_checks_see_what_is_wrong(tmp_path: Path) -> None:
    assert printed_rounds("model, round 1 of 2 …\nmodel, round 1 of 2: stub 1.09 ms\nmodel, round 2: stub 1 ms\n") == 2
    run = tmp_path / "logs/stub/model"
    run.mkdir(parents=True)
    (run / "profkit.json").write_text("{")
    (run.parent / ".model.lock").write_text("")
    assert ["cannot be read" in text for text in wrong_runs(tmp_path / "logs")] == [True]
    assert list(left_files(tmp_path / "logs")) == ["left: logs/stub/.model.lock"]
