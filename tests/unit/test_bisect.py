"""Bisection: the search, the bound on its error, planted changes under a stub torch, and commands of the user."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profkit.capture.environments.environments import Environment, Environments
from profkit.capture.plan import Configuration, EnvironmentRequest, matrix
from profkit.capture.workloads import resolve
from profkit.comparison.records.bisect import BisectResult
from profkit.errors import CaptureError, UsageError
from profkit.experiments.bisect.captures import Captures
from profkit.experiments.bisect.decisions import ERROR, LOOKS, Seen, level_of, next_look, seen
from profkit.experiments.bisect.figures import Figure, parse_figure, parse_threshold
from profkit.experiments.bisect.judging import Boundary, Ends
from profkit.experiments.bisect.scripts import ScriptBisection, ScriptPlan
from profkit.experiments.bisect.search import Search, most_tests
from profkit.experiments.bisect.session import Bisection, BisectPlan
from profkit.report.kinds import kind_of
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.runs.manifest import Host, Manifest, Round, Tool, Workload
from profkit.runs.settings import Settings
from profkit.runs.store import Run
from profkit.stats.inference import LogRatios
from profkit.trace.options import DEFAULT
from tests.benchmarks.bisection import SimulatedRounds, search_once
from tests.unit.stub import Heard, write_model
from tests.unit.test_cli import run

SHORT = Settings(rounds=4, steps=4, warmup=2, onednn=False, timeout_s=60.0)
VERSIONS = ["1.13", "2.0", "2.1", "2.2", "2.3", "2.4"]


@given(st.integers(2, 80), st.data())
def test_the_search_ends_at_the_step_in_few_tests(count: int, data: st.DataObject) -> None:
    first_bad = data.draw(st.integers(1, count - 1))
    skipped = data.draw(st.sets(st.integers(1, count - 1)))
    search, tests = Search(count), 0
    while (position := search.next()) is not None:
        assert search.good < position < search.bad
        if position in skipped:
            search.record(position, "skipped")
        else:
            search.record(position, "bad" if position >= first_bad else "good")
            tests += 1
    assert tests <= most_tests(count)
    assert search.good < first_bad <= search.bad
    assert set(search.between) <= skipped
    if not skipped:
        assert search.bad == first_bad


def test_skipped_versions_do_not_make_a_search_longer() -> None:
    """The middle of all positions, instead of those that can be tested, took six tests here."""
    search, tests = Search(29), 0
    while (position := search.next()) is not None:
        skipped = position in {1, 2, 21, 24}
        search.record(position, "skipped" if skipped else "bad" if position >= 27 else "good")
        tests += not skipped
    assert (search.bad, tests <= most_tests(29)) == (27, True)


def test_a_search_needs_two_versions() -> None:
    with pytest.raises(ValueError, match="two versions"):
        Search(1)
    assert [most_tests(count) for count in (2, 3, 4, 5, 9, 10, 17)] == [0, 1, 2, 2, 3, 4, 4]


def test_the_levels_of_all_looks_add_up_to_the_error() -> None:
    for versions in (2, 3, 9, 17, 60):
        decisions = most_tests(versions) + 2
        assert level_of(versions, len(LOOKS)) * decisions * len(LOOKS) == pytest.approx(ERROR)
    assert [next_look(rounds, LOOKS) for rounds in (0, 4, 5, 19, 20)] == [4, 6, 6, 20, None]


def test_what_a_look_sees() -> None:
    change = LogRatios(np.array([0.1]), np.array([0.01]), np.array([3.0]), np.array([4.0]))
    look = seen(change, 0.05)
    assert (look.low, look.high) == (pytest.approx(0.1 - 0.0318, abs=1e-4), pytest.approx(0.1 + 0.0318, abs=1e-4))
    assert look.is_above(0.06)
    assert not look.is_above(0.08)
    assert look.turned(-1) == Seen(-0.1, -(look.high or 0), -(look.low or 0))
    exact = LogRatios(np.array([0.1]), np.zeros(1), np.full(1, np.inf), np.ones(1))
    assert seen(exact, 0.05) == Seen(0.1, 0.1, 0.1)
    single = LogRatios(np.array([0.1]), np.full(1, np.nan), np.full(1, np.nan), np.ones(1))
    assert seen(single, 0.05) == Seen(0.1, None, None)


def test_what_a_look_decides() -> None:
    ends = Ends(0.02, is_boundary=False)
    assert ends.decide(Seen(0.2, 0.11, 0.29)) == "bad"
    assert ends.decide(Seen(0.2, 0.09, 0.31)) is None  # half of it might be more than the whole change
    assert ends.decide(Seen(-0.2, -0.29, -0.11)) == "bad"
    assert ends.decide(Seen(0.0, -0.01, 0.01)) == "good"
    assert ends.decide(Seen(0.0, -0.03, 0.03)) is None
    assert ends.decide(Seen(0.2, None, None)) is None
    assert Ends(0.02, is_boundary=True).decide(Seen(0.2, 0.03, 0.37)) == "bad"
    assert ends.boundary(Seen(-0.2, -0.29, -0.11)) == Boundary(-1, 0.1, 0.2)
    boundary = Boundary(-1, 0.1, 0.2)
    assert [boundary.decide(Seen(v, v - 0.05, v + 0.05)) for v in (-0.2, -0.12, 0.0)] == ["bad", None, "good"]
    assert [boundary.is_beyond_ends(Seen(v, v - 0.05, v + 0.05)) for v in (-0.4, -0.2, 0.1, 0.2)] == [
        *(True, False),
        *(False, True),
    ]
    assert [boundary.confirm(Seen(v, v - 0.05, v + 0.05)) for v in (-0.2, 0.0, 0.2)] == ["bad", None, "good"]


@pytest.mark.parametrize(
    ("figure", "threshold", "expected"),
    [
        ("latency", "5%", np.log1p(0.05)),
        ("aten::conv2d.self", "10%", np.log1p(0.1)),
        ("outputs.cosine", "0.999", 0.001),
        ("outputs.error", "0.01", 0.01),
        ("latency", None, None),
    ],
)
def test_thresholds(figure: str, threshold: str | None, expected: float | None) -> None:
    assert parse_threshold(threshold, parse_figure(figure, DEFAULT)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("figure", "threshold", "words"),
    [
        ("speed", None, "'speed' is not a figure that can be bisected"),
        ("latency", "5", "a percentage such as 5%"),
        ("latency", "-5%", "a percentage such as 5%"),
        ("latency", "nan%", "a percentage such as 5%"),
        ("outputs.cosine", "5%", "a number such as 0.999"),
        ("outputs.cosine", "2", "a number such as 0.999"),
    ],
)
def test_wrong_figures_and_thresholds(figure: str, threshold: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_threshold(threshold, parse_figure(figure, DEFAULT))


def bisect(
    python: Path,
    logdir: Path,
    body: str,
    values: Sequence[str],
    heard: Heard,
    figure: Figure | None = None,
    threshold: float | None = None,
    make: str = "",
) -> BisectResult:
    """Bisect the values of a variable that a model reads."""
    model = write_model(logdir.parent / "m", body, make=make)
    request = EnvironmentRequest(None, python, "stub")
    found = matrix([resolve(f"{model}:make")], [request], {}, None, SHORT, {"VERSION": values})
    plan = BisectPlan(found, figure or parse_figure("latency", DEFAULT), threshold, 600.0, DEFAULT)
    captures = Captures(SHORT, logdir, Environments(heard.message), heard, Host(cpu="stub", cores=2))
    return Bisection(plan, captures).run()


def test_a_planted_change_is_found_and_not_captured_again(python: Path, tmp_path: Path) -> None:
    """Six versions; from the fourth on each forward waits; the third one crashes."""
    body = "if os.environ['VERSION'] == '3':\n    os.abort()\ntime.sleep(0.01 + 0.02 * (os.environ['VERSION'] >= '4'))"
    heard, logs = Heard(), tmp_path / "logs"
    values = ["1", "2", "3", "4", "5", "6"]
    found = bisect(python, logs, body, values, heard)
    labels = [f"stub-VERSION-{value}" for value in values]
    assert found.versions == labels
    assert (found.outcome, found.first_bad, found.last_good) == ("found", labels[3], labels[1])
    assert found.between == [labels[2]]
    by_label = {test.label: test for test in found.tests}
    assert (by_label[labels[2]].decision, by_label[labels[5]].decision) == ("skipped", "bad")
    assert by_label[labels[2]].reason
    assert len(by_label) == len(found.tests) <= 1 + 3 + 1
    assert found.tests[0].value is not None
    assert found.tests[0].value > 0.5
    assert found.step is not None
    assert (found.step.before, found.step.after, found.step.verdict) == (labels[1], labels[3], "slower")
    text = render(kind_of("bisect"), found, "text", Selection())
    assert f"First bad version: {labels[3]}. Last good version: {labels[1]}." in text
    assert f"Not tested in between: {labels[2]}." in text
    before = {path: path.read_bytes() for path in logs.rglob("profkit.json") if labels[2] not in path.parts}
    again = bisect(python, logs, body, values, heard)
    assert again == found  # the rounds of the last test, of two versions against each other, change no other one
    assert {path: path.read_bytes() for path in before} == before


class Drawn:
    """In place of captures: the change of each version from the first one, with the noise of its rounds."""

    def __init__(self, changes: Sequence[float], noise: float) -> None:
        self.listener = Heard()
        self.versions = [configuration(str(number)) for number in range(len(changes))]
        self._changes = {c.label: change for c, change in zip(self.versions, changes, strict=True)}
        self._rounds: dict[tuple[str, str], int] = {}
        self.between: dict[tuple[str, str], float] = {}
        self._noise = noise

    def add(self, first: Configuration, other: Configuration, rounds: int) -> None:
        self._rounds[first.label, other.label] = self._rounds.get((first.label, other.label), 0) + rounds

    def together(self, first: Configuration, other: Configuration) -> tuple[Run, Run] | None:
        count = self._rounds.get((first.label, other.label), 0)
        return (self._run(first, count), self._run(other, count)) if count else None

    def _run(self, version: Configuration, count: int) -> Run:
        rounds = [
            Round(
                index=n, session="s", block=n, order=0, started="2026-01-01T00:00:00+00:00", trace=f"{n}",
                warmup_ns=[], latency_ns=[], profiled_ns=[],
            )
            for n in range(count)
        ]  # fmt: skip
        workload = Workload(name="linear-stack", source="builtin")
        manifest = Manifest(
            status="complete",
            label=version.label,
            workload=workload,
            settings=Settings(),
            tool=Tool(version="0"),
            rounds=rounds,
        )
        return Run(Path(version.label), (), manifest)

    def change(self, before: Run, after: Run) -> LogRatios:
        names = (str(before.path), str(after.path))
        rounds = float(self._rounds[names])
        value = self.between.get(names, self._changes[names[1]] - self._changes[names[0]])
        columns = (value, self._noise / np.sqrt(rounds), rounds - 1, rounds)
        return LogRatios(*(np.array([column]) for column in columns))

    def search(self, threshold: float | None = None, most_s: float = 600.0) -> BisectResult:
        figure = Figure("latency", True, self.change)
        plan = BisectPlan(self.versions, figure, threshold, most_s, DEFAULT)
        return Bisection(plan, cast(Captures, self)).run()


def configuration(label: str) -> Configuration:
    return Configuration(resolve("linear-stack"), None, None, label, Settings())


def said(found: BisectResult) -> str:
    return render(kind_of("bisect"), found, "text", Selection())


def test_a_test_takes_as_many_rounds_as_it_needs() -> None:
    found = Drawn([0.0, 0.0, 0.0, 0.2, 0.2], 0.03).search()
    assert (found.outcome, found.last_good, found.first_bad, found.boundary) == (
        "found",
        "2",
        "3",
        pytest.approx(0.105, abs=1e-3),
    )
    assert [(test.label, test.decision) for test in found.tests] == [("4", "bad"), ("2", "good"), ("3", "bad")]
    rounds = {noise: [t.rounds for t in Drawn([0.0, 0.2], noise).search().tests] for noise in (0.001, 0.03, 0.08)}
    assert rounds[0.001] == [LOOKS[0]]
    assert LOOKS[0] < rounds[0.03][0] < rounds[0.08][0]
    faster = Drawn([0.0, -0.2, -0.2], 0.01).search()
    assert (faster.first_bad, faster.boundary) == ("1", pytest.approx(np.expm1(-0.1)))
    given = Drawn([0.0, 0.05, 0.2], 0.001)
    assert [given.search(limit).first_bad for limit in (0.03, None, 0.1)] == ["1", "2", "2"]


def test_a_thousand_searches_are_wrong_in_at_most_five_in_a_hundred() -> None:
    """Changes at every position, noise with heavy tails; hard ones are undecided and not wrong."""
    random, found = np.random.default_rng(7), []
    for number in range(1000):
        first_bad, change = 1 + number % 16, float(np.log1p((0.03, 0.05, 0.1, 0.2)[number % 4]))
        drawn = SimulatedRounds(17, first_bad, change, 0.02, lambda r, n: r.standard_t(3, size=n) / np.sqrt(3))
        found.append((search_once(drawn, 17, random), first_bad))
    wrong = sum(answer.outcome == "found" and answer.first_bad != truth for answer, truth in found)
    assert wrong <= ERROR * len(found)
    assert sum(answer.first_bad == truth for answer, truth in found) > 500


def test_nothing_to_find() -> None:
    found = Drawn([0.0, 0.0, 0.001], 0.01).search()
    assert (found.outcome, found.first_bad, len(found.tests)) == ("nothing", None, 1)
    assert "Nothing to find: linear-stack shows no change of latency between 0 and 2." in said(found)


def test_what_cannot_be_decided_within_the_budget() -> None:
    found = Drawn([0.0, 0.0, 0.1, 0.2, 0.2], 0.01).search()
    assert (found.outcome, found.last_good, found.first_bad, found.between) == ("undecided", "0", "4", ["1", "2", "3"])
    assert (found.tests[-1].decision, found.tests[-1].rounds) == ("undecided", LOOKS[-1])
    assert "2 lies too close to the boundary of +10.5% to decide within the budget" in said(found)
    ends = Drawn([0.0, 0.03], 0.1).search()
    assert (ends.outcome, ends.first_bad, ends.tests[0].rounds) == ("undecided", None, LOOKS[-1])
    assert "not enough to tell whether latency differs between 0 and 1" in said(ends)
    hurried = Drawn([0.0, 0.03], 0.1).search(most_s=0.0)
    assert (hurried.outcome, hurried.tests[0].rounds) == ("undecided", LOOKS[0])


def test_several_changes_are_no_single_one() -> None:
    found = Drawn([0.0, 0.5, 0.1], 0.001).search()
    assert (found.outcome, found.first_bad) == ("not monotonic", "1")
    assert "The change is not one step" in said(found)
    drawn = Drawn([0.0, 0.0, 0.2, 0.2], 0.005)
    drawn.between = {("1", "2"): 0.0}  # by turns with each other, the two do not differ
    gradual = drawn.search()
    assert (gradual.outcome, gradual.last_good, gradual.first_bad) == ("not monotonic", "1", "2")


def test_outputs_need_one_round(python: Path, tmp_path: Path) -> None:
    body = "if os.environ['VERSION'] >= '3':\n    return torch.Tensor(x.array * [2, 3])"
    figure = parse_figure("outputs.cosine", DEFAULT)
    found = bisect(python, tmp_path / "logs", body, ["1", "2", "3", "4"], Heard(), figure)
    assert (found.outcome, found.first_bad, found.unit) == ("found", "stub-VERSION-3", "value")
    assert {test.rounds for test in found.tests} == {1}
    assert [test.value for test in found.tests if test.decision == "good"] == [pytest.approx(1.0)]
    for form in ("text", "markdown", "csv", "html", "json"):
        assert "stub-VERSION-3" in render(kind_of("bisect"), found, form, Selection())


def test_an_operator_that_does_not_run_is_said(python: Path, tmp_path: Path) -> None:
    figure = parse_figure("aten::nothing.self", DEFAULT)
    with pytest.raises(CaptureError, match="runs no aten::nothing in its forwards"):
        bisect(python, tmp_path / "logs", "", ["1", "2"], Heard(), figure)


@pytest.fixture
def versions(python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Environments that all have the same interpreter; 2.2 cannot be installed."""

    def ensure(self: Environments, request: str | None, extra: Sequence[str] = ()) -> Environment:
        if request == "2.2":
            raise CaptureError("torch 2.2 cannot be installed")
        folder = python.parent.parent
        return Environment(name=request or "", torch=request or "", python_version="3", folder=str(folder))

    monkeypatch.setattr(Environments, "ensure", ensure)
    monkeypatch.chdir(tmp_path)
    return VERSIONS


def test_a_command_is_bisected_by_its_exit_status(
    versions: list[str], python: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "check.py").write_text(
        "import os, sys\n"
        f"assert sys.executable == {str(python)!r}\n"
        "version = os.environ['PROFKIT_TORCH']\n"
        "sys.exit({'2.1': 125}.get(version, 3 * (version >= '2.3')))\n"
    )
    command = "python check.py"
    assert run("bisect", "--good", "1.13", "--bad", "2.4", "--run", command, "--output", "found.json", "--quiet") == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["last_good"], found["first_bad"], found["between"]) == ("2.0", "2.3", ["2.1", "2.2"])
    reasons = {test["label"]: (test["decision"], test["reason"]) for test in found["tests"]}
    assert reasons["2.1"] == ("skipped", "exit status 125")
    assert reasons["2.2"] == ("skipped", "torch 2.2 cannot be installed.")
    assert reasons["2.3"] == ("bad", "exit status 3")
    capsys.readouterr()
    assert run("render", "found.json") == 0
    shown = capsys.readouterr().out
    assert "First bad version: 2.3. Last good version: 2.0. Figure: exit status." in shown
    assert "Not tested in between: 2.1, 2.2." in shown


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("true", 0, "Nothing to find: true succeeds under both 1.13 and 2.4."),
        ("false", 2, "fails under 1.13, the good version: exit status 1"),
        ("no-such-command", 2, "cannot be run: exit status 127"),
        ("exit 125", 4, "1.13 cannot be tested"),
    ],
)
def test_answers_of_commands(
    versions: list[str], capsys: pytest.CaptureFixture[str], command: str, status: int, words: str
) -> None:
    assert run("bisect", "--good", "1.13", "--bad", "2.4", "--run", command) == status
    said = capsys.readouterr()
    assert words in said.out + said.err


def test_a_command_that_hangs_is_ended(versions: list[str]) -> None:
    heard = Heard()
    plan = ScriptPlan("test $PROFKIT_TORCH = 1.13 || sleep 1000 & wait $!", versions[:2], (), 1.0)
    found = ScriptBisection(plan, Environments(heard.message), heard).run()
    assert (found.first_bad, found.tests[-1].reason) == ("2.0", "it took too long")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name either a workload or a command"),
        (("resnet50", "--run", "true"), "name either a workload or a command"),
        (("resnet50", "--bad", "1.13"), "are the same version"),
        (("resnet50", "--env", "A=1", "--env", "A=2"), "A has several values"),
        (("resnet50", "--metric", "speed"), "not a figure that can be bisected"),
    ],
)
def test_wrong_command_lines(words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bisect", "--good", "1.13", "--bad", "2.0", *words) == 2
    assert said in capsys.readouterr().err
