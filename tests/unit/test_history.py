"""The history of an index: planted steps are found with their causes, and the newest day is judged by the scatter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from profkit.cli.main import main
from profkit.comparison.gate_rules import parse_rule
from profkit.comparison.records.history import HistoryResult
from profkit.errors import UsageError
from profkit.fleet.dataset import Dataset
from profkit.fleet.history import follow
from profkit.fleet.sql import Tables
from profkit.report.kinds.history import KIND
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from tests.unit.nights import add_night, day, index_here

NIGHTS, STEP = 24, 14
CONV, RELU = "aten::conv2d", "aten::relu"


@pytest.fixture(scope="module")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 nights; from the 14th on convolutions take 10% longer, with another PyTorch; the newest night is slow."""
    logs, to = tmp_path_factory.mktemp("logs"), tmp_path_factory.mktemp("index") / "index"
    generator = np.random.default_rng(7)
    for night in range(NIGHTS):
        conv, relu = (us * (1 + 0.004 * generator.standard_normal()) for us in (4000, 1000))
        conv *= 1.1 if night >= STEP else 1.0
        conv *= 1.15 if night == NIGHTS - 1 else 1.0
        add_night(logs, night, {CONV: conv, RELU: relu}, torch="2.1.0" if night >= STEP else "2.0.1")
    with pytest.MonkeyPatch.context() as patch:
        index_here([logs], to, patch)
    return to


def history(index: Path, *rules: str, where: str = "true", told: str | None = None) -> HistoryResult:
    with Tables(Dataset(str(index))) as tables:
        return follow(tables, str(index), where, told, 0.02, [parse_rule(rule) for rule in rules])  # type: ignore[arg-type]  # a literal


def test_a_planted_step_is_found_with_its_cause(nightly: Path) -> None:
    (series,) = history(nightly).series
    (step,) = series.steps
    assert step.date == day(STEP)
    assert step.earliest <= step.date <= step.latest
    assert step.verdict == "slower"
    assert step.before_ns == pytest.approx(5.0e6, rel=0.01)
    assert step.after_ns / step.before_ns == pytest.approx(1.08, abs=0.02)
    first, second = step.operators
    assert (first.name, first.verdict, second.verdict) == (CONV, "slower", "same")
    assert first.delta_ns == pytest.approx(400_000 + 0.1 * 4_400_000 * 0.15, rel=0.2)
    assert step.changed == ["PyTorch: 2.0.1 → 2.1.0"]
    (own,) = next(operator for operator in series.operators if operator.name == CONV).steps
    assert own.date == day(STEP)
    assert next(operator for operator in series.operators if operator.name == RELU).steps == []


def test_the_newest_day_is_judged_by_the_scatter_of_its_level(nightly: Path) -> None:
    (series,) = history(nightly).series
    assert series.spread == pytest.approx(0.004, abs=0.003)
    assert series.newest.verdict == "slower"
    assert series.newest.speedup == pytest.approx(1 / 1.12, abs=0.02)
    (before,) = history(nightly, where=f"date < '{day(NIGHTS - 1)}'").series
    assert before.newest.verdict != "slower"


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ("latency > 3%", "failed"),
        ("latency > 30%", "passed"),
        ("latency > +0.1ms", "failed"),
        (f"{CONV}.self > 5%", "failed"),
        (f"{RELU}.self > 5%", "passed"),
        (f"{CONV}.self > +0.1ms", "failed"),
        ("latency > 1s", "inconclusive"),
    ],
)
def test_gates_are_about_the_newest_day(nightly: Path, rule: str, outcome: str) -> None:
    (gate,) = history(nightly, rule).gates
    assert gate.outcome == outcome


def test_a_rule_that_no_series_has(nightly: Path) -> None:
    with pytest.raises(UsageError, match="no series has such an operator"):
        history(nightly, "aten::nothing.self > 1%")
    with pytest.raises(UsageError, match="one figure per round and no outputs"):
        history(nightly, "outputs.cosine < 0.99")


def test_a_condition_that_nothing_meets(nightly: Path) -> None:
    with pytest.raises(UsageError, match="no round of the index meets the condition"):
        history(nightly, where="workload = 'other'")


def test_labels_of_one_day_and_machines_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for night in range(3):
        for label, host in (("a", "one"), ("a", "two"), ("b", "one")):
            add_night(tmp_path / "logs", night, {CONV: 500}, label=label, host=host)
    index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch)
    found = history(tmp_path / "index")
    assert [series.name for series in found.series] == ["net a", "net b"]
    assert "3 days are too few to judge a new one; 6 are needed" in found.warnings[0]
    by_host = history(tmp_path / "index", told="host")
    assert [series.name for series in by_host.series] == ["net one", "net two"]
    assert [point.rounds for point in by_host.series[0].points] == [4, 4, 4]


def test_the_command_says_what_changed_and_fails(nightly: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["history", str(nightly), "--fail-if", "latency > 3%", "--format", "text"])
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert f"net, 24 days from {day(0)} to {day(23)}: the level changed at 1 step: {day(STEP)} " in out
    assert f"net, newest day {day(23)}: " in out
    assert "gate failed: latency > 3%: net: +1" in err
    with pytest.raises(SystemExit) as ended:
        main(["history", str(nightly), "--format", "json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "history/1"


def test_the_page_draws_every_series(nightly: Path) -> None:
    page = render(KIND, history(nightly), "html", Selection())
    assert page.count("<svg") >= 1
    assert f"step on {day(STEP)}" in page
