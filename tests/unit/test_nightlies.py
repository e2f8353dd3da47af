"""Nightly builds: which of them a range has, where they are installed from, and what is said without their index."""

from __future__ import annotations

from pathlib import Path

import pytest

from profkit.capture.environments.environments import Environment, Environments
from profkit.capture.environments.nightlies import VARIABLE, is_nightly
from profkit.capture.environments.releases import release_of, releases_in
from profkit.capture.environments.uv import installation
from profkit.errors import CaptureError, UsageError
from tests.unit.nightly_index import make_index, served
from tests.unit.test_query import run

BUILDS = [f"2.9.0.dev2025080{day}" for day in (1, 2, 4, 5)] + ["2.10.0.dev20250806"]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    make_index(folder, BUILDS)
    page = folder / "torch/index.html"  # as the real one has: local versions, and other files
    page.write_text(
        page.read_text().replace("dev20250802-py3", "dev20250802%2Bcpu-cp310") + '<a href="torch-2.8.0-x.whl">'
    )
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2.9.0.dev20250801", True), ("2.9.0.dev20250801+cpu", True), ("2.9.0", False), ("2.9.0rc1", False)],
)
def test_a_nightly_build_is_told_by_its_version(text: str, expected: bool) -> None:
    assert is_nightly(text) is expected


def test_the_builds_of_a_range(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(index) as address:
        monkeypatch.setenv(VARIABLE, f"{address}/")
        assert releases_in("2.9.0.dev20250801..2.10.0.dev20250806") == BUILDS
        assert releases_in("2.9.0.dev20250802..2.9.0.dev20250805") == BUILDS[1:4]
    assert releases_in("2.9.0.dev20250801") == ["2.9.0.dev20250801"]


def test_what_is_wrong_with_a_range_is_said(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="nightly builds are on an index of their own"):
        releases_in("2.9.0.dev20250801..2.9.0.dev20250805")
    with pytest.raises(UsageError, match=r"2\.8 is not a nightly build"):
        releases_in("2.8..2.9.0.dev20250805")
    monkeypatch.setenv(VARIABLE, "file:///etc")
    with pytest.raises(UsageError, match="is not the address of an index"):
        releases_in("2.9.0.dev20250801..2.9.0.dev20250805")
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(CaptureError, match="cannot be read"):
        releases_in("2.9.0.dev20250801..2.9.0.dev20250805")
    with served(index) as address:
        monkeypatch.setenv(VARIABLE, address)
        with pytest.raises(CaptureError, match=r"has no nightly build .*; it has 20250801 to 20250806"):
            releases_in("2.9.0.dev20240101..2.9.0.dev20240201")
        with pytest.raises(UsageError, match="is empty"):
            releases_in("2.9.0.dev20250805..2.9.0.dev20250801")


def test_where_a_nightly_build_is_installed_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    version = "2.9.0.dev20250801"
    assert release_of(version).requirements(version)[:2] == [f"torch=={version}", "torchvision>=0.1.dev0"]
    words = installation(Path("python"), [f"torch=={version}"], "http://index")
    assert words[words.index("--index") + 1] == "http://index"
    assert "--torch-backend" not in words
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "http://index")
    plan = Environments(print).plan(version)
    assert plan.name == f"torch-{version}-python-3.10"
    assert "--index http://index" in plan.commands[1]


def test_a_nightly_build_is_not_the_release_of_its_number() -> None:
    nightly = Environment(name="x", torch="2.9.0.dev20250801", python_version="3.10")
    assert nightly.satisfies("2.9.0.dev20250801", [])
    assert not nightly.satisfies("2.9", [])


def test_the_command_without_an_index(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bisect", "--run", "true", "--good", "2.9.0.dev20250801", "--bad", "2.9.0.dev20250805") == 2
    assert f"Set {VARIABLE} to the address of an index of nightly builds" in capsys.readouterr().err
