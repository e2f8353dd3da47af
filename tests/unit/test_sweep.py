"""Sweeps: the versions of a range, the groups, a real course, and captures under a stub torch."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.package_versions import package_versions
from profkit.capture.environments.releases import releases, releases_in
from profkit.capture.environments.uv import InstallerError
from profkit.capture.plan import EnvironmentRequest, along_versions, matrix
from profkit.capture.workloads import resolve
from profkit.cli.main import main
from profkit.comparison.records.sweep import SweepResult
from profkit.errors import CaptureError, InputError, ProfkitError, UsageError
from profkit.experiments.sweep.groups import FEWEST, next_group, number_of_groups
from profkit.experiments.sweep.session import Sweep, SweepPlan
from profkit.report.kinds import kind_of
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.runs.manifest import Host
from profkit.runs.settings import Settings
from profkit.views.sweep import view_sweep
from tests.conftest import ROOT
from tests.unit.stub import Heard, write_model

FROZEN = ["1.13-frozen", "2.0-frozen", "2.15-frozen"]
SHORT = Settings(rounds=4, steps=4, warmup=2, onednn=False, timeout_s=60.0)


def test_the_versions_of_a_range() -> None:
    assert releases_in("2.0") == ["2.0"]
    assert releases_in("2.0.1") == ["2.0.1"]
    assert releases_in("1.13..2.2") == ["1.13", "2.0", "2.1", "2.2"]
    assert releases_in("1.13..2.15") == list(releases())
    assert releases_in("1.13..2.1", patches=True) == ["1.13.0", "1.13.1", "2.0.0", "2.0.1", "2.1.0", "2.1.1", "2.1.2"]
    assert releases_in("1.13.1..2.0.0", patches=True) == ["1.13.1", "2.0.0"]
    assert releases_in("1.13.1..2.0") == ["1.13", "2.0"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("2.2..2.0", r"the range 2\.2\.\.2\.0 is empty.*2\.0\.\.2\.2"),
        ("2.0..9.9", r"9\.9 is not a release that profkit knows"),
        ("2..3", "not a PyTorch version"),
        ("..2.0", "not a PyTorch version"),
    ],
)
def test_a_wrong_range_is_refused(request_: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        releases_in(request_)


class Index:
    """A package index with these versions of a package, oldest first."""

    def __init__(self, *versions: str) -> None:
        self.versions = versions
        self.asked: list[str] = []

    def newest(self, requirement: str) -> str:
        self.asked.append(requirement)
        sign, bound = re.fullmatch(r"net(==|<=|<)([\d.*]+)", requirement).groups()  # type: ignore[union-attr]  # else it fails
        numbers = tuple(map(int, re.findall(r"\d+", bound)))
        keys = {version: tuple(map(int, version.split("."))) for version in self.versions}
        holds = {
            "==": lambda key: key[: len(numbers)] == numbers,
            "<=": lambda key: key <= numbers,
            "<": lambda key: key < numbers,
        }[sign]
        found = [version for version, key in keys.items() if holds(key)]
        if not found:
            raise InstallerError("× No solution found when resolving dependencies:")
        return found[-1]


def test_the_versions_of_a_package() -> None:
    index = Index("1.0.0", "1.1.0", "1.1.3", "1.2.0", "2.0.0", "2.0.1", "2.1.0")
    assert package_versions("net==1.1..2.0", index.newest) == ("net", ["1.1.3", "1.2.0", "2.0.1"])
    assert package_versions("net==1.1..2.5", index.newest) == ("net", ["1.1.3", "1.2.0", "2.0.1", "2.1.0"])
    assert package_versions("net==1.1..2.0.0", index.newest) == ("net", ["1.1.3", "1.2.0", "2.0.0"])
    index.asked.clear()
    assert package_versions("net==1.1,2.0.1,1.1", index.newest) == ("net", ["1.1", "2.0.1"])
    assert index.asked == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("net", "'net' names no versions"),
        ("net==", "'' is not a version"),
        ("net==1.0..x", "'x' is not a version"),
        ("net==2.0..1.0", "the range 2.0..1.0 is empty"),
        ("net==3.0..4.0", "has no version of net from 3.0 to 4.0"),
        ("torch==2.0..2.1", "torch itself is chosen by --torch"),
        ("--index-url=x==1", "names no versions"),
    ],
)
def test_wrong_versions_of_a_package(request_: str, words: str) -> None:
    with pytest.raises(ProfkitError, match=re.escape(words)):
        package_versions(request_, Index("1.0.0").newest)


def test_an_index_that_cannot_be_reached() -> None:
    def newest(requirement: str) -> str:
        raise InstallerError("error: Failed to fetch: dns error")

    with pytest.raises(CaptureError, match="cannot be reached"):
        package_versions("net==1.0..2.0", newest)


def test_versions_of_a_package_are_labels() -> None:
    base = matrix([resolve("linear-stack")], [EnvironmentRequest("2.2", None, "2.2")], {}, None, SHORT)
    found = along_versions(base, ["net==1.1.3", "net==2.0"])
    assert [c.label for c in found] == ["2.2-net-1.1.3", "2.2-net-2.0"]
    assert [c.workload.packages for c in found] == [("net==1.1.3",), ("net==2.0",)]


@given(st.integers(1, 60), st.integers(FEWEST, 12), st.sets(st.integers(0, 59)))
def test_each_takes_turns_with_the_first_and_the_one_before(count: int, size: int, failing: set[int]) -> None:
    start, captured, together = 0, list[int](), list[set[int]]()
    while start < count:
        shared, new = next_group(start, count, size, captured)
        assert len(new) >= 1
        assert len(shared) + len(new) <= size
        good = [position for position in new if position not in failing]
        together.append({*shared, *good})
        captured += good
        start = new.stop
    assert captured == [position for position in range(count) if position not in failing]
    for before, after in pairwise(captured):
        assert any({captured[0], after} <= group for group in together)
        assert any({before, after} <= group for group in together)
    if not failing & set(range(count)):
        assert len(together) == number_of_groups(count, size)


def test_a_real_course() -> None:
    """ResNet-50, frozen: 2.15 reorders weights in every forward, and the step to it says so."""
    found = view_sweep(ROOT / "traces", FROZEN, ["resnet50"])
    (workload,) = found.workloads
    assert [point.label for point in workload.points] == FROZEN
    step = workload.steps[-1]
    assert (step.before, step.after, step.verdict) == ("2.0-frozen", "2.15-frozen", "slower")
    assert step.delta_ns == pytest.approx(4.1e6, rel=0.05)
    assert step.findings[0].rule == "weight reorders"
    assert workload.steps[0].findings == []
    assert {len(point.operators_ns) for point in workload.points} == {len(workload.operators) + 1}
    for point in workload.points:
        assert 0.5 < sum(point.operators_ns) / (point.forward_ns or 1) <= 1.02
    text = render(kind_of("sweep"), found, "text", Selection())
    assert "resnet50 changed at 1 step: 2.0-frozen → 2.15-frozen 17.9% slower [14.6, 21.3] (+4.1" in text
    assert "53 reorders that 2.0-frozen does not make" in text


def test_what_was_not_captured_is_a_row_with_the_reason() -> None:
    labels = ["1.13", "2.3", "2.0"]
    failures = {("2.3", "resnet50"): "torch 2.3 cannot be installed"}
    found = view_sweep(ROOT / "traces", labels, ["resnet50"], failures)
    (workload,) = found.workloads
    assert workload.points[1].reason == "torch 2.3 cannot be installed"
    assert [(step.before, step.after) for step in workload.steps] == [("1.13", "2.0")]
    for form in ("text", "markdown", "csv", "html"):
        assert "torch 2.3 cannot be installed" in render(kind_of("sweep"), found, form, Selection())
    with pytest.raises(InputError, match=r"fewer than two configurations were captured: torch 2\.3"):
        view_sweep(ROOT / "traces", ["1.13", "2.3"], ["resnet50"], failures)


def sweep(python: Path, model: Path, logdir: Path, values: list[str], size: int, heard: Heard) -> tuple[Sweep, Any]:
    request = EnvironmentRequest(None, python, "stub")
    configurations = matrix([resolve(f"{model}:make")], [request], {}, None, SHORT, {"SLOW_MS": values})
    steps = [[configuration] for configuration in configurations]
    plan = SweepPlan(steps, SHORT, logdir, discard=False, disk_bytes=10**12, size=size)
    found = Sweep(plan, Environments(heard.message), heard, Host(cpu="stub", cores=2))
    return found, [c.label for c in configurations]


def course(logdir: Path, labels: list[str], failures: dict[tuple[str, str], str]) -> SweepResult:
    return view_sweep(logdir, labels, ["model"], failures)


def test_a_planted_step_is_found_where_it_is(python: Path, tmp_path: Path) -> None:
    """Six values in groups of three; from the fourth on each forward waits; the fifth crashes."""
    body = (
        "if os.environ['SLOW_MS'] == '5':\n    os.abort()\ntime.sleep(0.02 + float(os.environ['SLOW_MS']) // 4 * 0.02)"
    )
    model, heard = write_model(tmp_path / "m", body), Heard()
    values = ["1", "2", "3", "4", "5", "6"]
    found, labels = sweep(python, model, tmp_path / "logs", values, 3, heard)
    found.run()
    assert [key[0] for key in found.failures] == [labels[4]] * len(found.failures)
    (workload,) = course(tmp_path / "logs", labels, found.failures).workloads
    shown = [(step.before, step.after, step.verdict) for step in workload.steps if step.is_shown]
    assert (labels[2], labels[3], "slower") in shown
    slower = next(step for step in workload.steps if step.after == labels[3])
    assert slower.delta_ns > 19e6
    assert workload.points[4].reason
    assert workload.points[4].wall is None
    rounds = {path: path.read_bytes() for path in (tmp_path / "logs").rglob("profkit.json")}
    again, _ = sweep(python, model, tmp_path / "logs", values, 3, heard)
    heard.messages.clear()
    again.run()
    assert heard.messages == []
    assert again.failures == found.failures
    assert {path: path.read_bytes() for path in rounds} == rounds


def test_disk_bounds_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    requests = [EnvironmentRequest(version, None, version) for version in releases_in("2.0..2.9")]
    steps = [[c] for c in matrix([resolve("linear-stack")], requests, {}, None, SHORT)]

    def planned(disk_bytes: int, *, discard: bool) -> Sweep:
        plan = SweepPlan(steps, SHORT, tmp_path, discard, disk_bytes)
        return Sweep(plan, Environments(print), Heard(), Host(cpu="stub", cores=2))

    assert planned(10**12, discard=False).describe() == (
        "10 configurations in 2 groups, about 8 min without the forwards; "
        "10 environments to make, up to 50.0 GB at a time"
    )
    assert planned(20 * 10**9, discard=True).describe() == (
        "10 configurations in 4 groups, about 8 min without the forwards; "
        "10 environments to make, up to 20.0 GB at a time"
    )
    with pytest.raises(UsageError, match=r"10 environments at a time may take 50\.0 GB.*--discard-environments"):
        planned(20 * 10**9, discard=False)
    with pytest.raises(UsageError, match=r"3 environments at a time may take 15.0 GB"):
        planned(10**10, discard=True)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--torch", "2.0"], "no option has several values"),
        (["--torch", "2.0..2.1", "--threads", "1,2"], "--torch and --threads have several values each"),
        (["--torch", "2.0", "--threads", "4..1"], "is not a range of 1 to 100 numbers"),
        (["--torch", "2.0", "--threads", "two"], "'two' is not a number, or a range such as 1..8"),
        (["--package", "numpy==1.24,1.26"], "versions of a package need environments"),
    ],
)
def test_a_sweep_goes_along_one_axis(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", "linear-stack", *words])
    assert ended.value.code == 2
    assert error in " ".join(capsys.readouterr().err.split())


def test_saved_runs_are_shown_without_a_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").symlink_to(ROOT / "traces")
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *("sweep", "resnet50", "--torch", "1.13..2.15", "--mode", "frozen", "--no-capture"),
                *("--logdir", str(tmp_path / "logs"), "--format", "csv"),
            ]
        )
    assert ended.value.code in (0, None)
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) == len(releases())
    assert sum("not captured" in row for row in rows) == len(releases()) - len(FROZEN)
