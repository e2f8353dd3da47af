"""``profkit capture --dry-run``: says what would be done, and makes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from profkit.capture.environments.environments import MARKER_NAME, Environment, Environments
from profkit.capture.environments.uv import Uv
from profkit.capture.host import describe_host
from profkit.capture.plan import EnvironmentRequest, matrix
from profkit.capture.preview import preview
from profkit.capture.workloads import resolve
from profkit.errors import UsageError
from profkit.runs import write_manifest
from profkit.runs.settings import Settings
from tests.builders import manifest
from tests.unit.test_cli import run

RESNET = resolve("resnet50")
Lines = list[str]


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of PyTorch 2.0.1; none other, and no installer to make one."""
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(Uv, "_run", lambda *arguments: pytest.fail(f"the installer ran: {arguments[1:]}"))
    folder = tmp_path / "cache/envs/torch-2.0.1-python-3.10"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").write_text("")
    marker = Environment(name=folder.name, torch="2.0.1", python_version="3.10")
    (folder / MARKER_NAME).write_bytes(msgspec.json.encode(marker))


def lines_of(logdir: Path, *versions: str, overwrite: bool = False, **settings: Any) -> Lines:
    requests = [EnvironmentRequest(version, None, version) for version in versions]
    options = Settings(settings)
    found = matrix([RESNET], requests, {}, None, options)
    return list(preview(found, options, logdir, Environments(print), overwrite=overwrite, environ={}))


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def add_run(logdir: Path, label: str) -> Path:
    """Write a run with three rounds, each of which spent 9 s in its forwards."""
    described = manifest("2.0", 3, 1.0)
    rounds = [
        msgspec.structs.replace(r, warmup_ns=[3 * 10**9], latency_ns=[3 * 10**9], profiled_ns=[3 * 10**9])
        for r in described.rounds
    ]
    workload = msgspec.structs.replace(described.workload, name="resnet50", source="torchvision", weights_sha256=None)
    folder = logdir / label / "resnet50"
    folder.mkdir(parents=True)
    write_manifest(
        folder,
        msgspec.structs.replace(
            described,
            label=label,
            torch=msgspec.structs.replace(described.torch, threads=None) if described.torch else None,
            workload=workload,
            settings=Settings(),
            environment=Settings().variables(),
            host=describe_host(),
            rounds=rounds,
        ),
    )
    (folder / "outputs.npz").write_bytes(b"\0" * 3_000_000)
    return folder


def test_environments_that_exist_and_that_would_be_made(tmp_path: Path) -> None:
    before = tree(tmp_path)
    lines = lines_of(tmp_path / "logs", "2.0", "1.13")
    assert tree(tmp_path) == before
    assert lines[0] == "2 configurations of 1 workload: resnet50"
    assert "  torch-2.0.1-python-3.10  exists" in lines
    envs = tmp_path / "cache/envs"
    at = lines.index(f"  torch-1.13.1-python-3.10  would be made in {envs} by")
    new = envs / "torch-1.13.1-python-3.10"
    assert lines[at + 1 : at + 3] == [
        f"    uv venv --no-project --clear --python 3.10 {new}",
        f"    uv pip install --python {new}/bin/python --torch-backend cpu torch==1.13.1 'torchvision==0.14.*' "
        "'numpy<2' 'setuptools<70'",
    ]
    assert f"  {tmp_path}/logs/2.0/resnet50  is new" in lines
    assert any(line.startswith("Disk: about 2.20 MB for the runs (") for line in lines)
    assert any("; 1.00 GB to 5.00 GB for environments (" in line for line in lines)
    assert lines[-1].startswith("Nothing was made")


def test_packages_make_another_environment(tmp_path: Path) -> None:
    (made,) = Environments(print).list()
    assert Environments(print).plan("2.0").name == made.name
    plan = Environments(print).plan("2.0", ["timm==0.9"])
    assert plan.name.startswith("torch-2.0.1-python-3.10-")
    assert plan.commands[1].endswith("timm==0.9")


def test_how_long_it_takes(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (line,) = (text for text in lines_of(logs, "2.0", "1.13") if text.startswith("resnet50: "))
    assert line == (
        "resnet50: 7 rounds or more of each configuration, until the ratios of latencies are known to 2% and those of "
        "large operators to 5% unless that takes far more rounds, but no new ones after 5 min, "
        "then 2 processes for oneDNN's log"
    )
    (line,) = (text for text in lines_of(logs, "2.0", "1.13", rounds=3) if text.startswith("resnet50: "))
    assert line == (
        "resnet50: 6 processes, one per round, then 2 processes for oneDNN's log; each takes about 6 s and 10 or more "
        "warm-up, 10 timed and 10 profiled forwards, of which the time is not known yet"
    )
    add_run(logs, "before")
    found = lines_of(logs, "2.0", rounds=3, onednn=False)
    # three rounds of 6 s and 9 s
    assert f"resnet50: 3 processes, one per round; about 45 s, by the rounds that {logs}/before/resnet50 has" in found
    assert any(line.startswith("Disk: about 3.0") for line in found)


def test_a_run_that_is_there(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    folder = add_run(logs, "2.0")
    before = tree(tmp_path)
    assert f"  {folder}  has 3 rounds; more are added" in lines_of(logs, "2.0")
    assert f"  {folder}  is replaced" in lines_of(logs, "2.0", overwrite=True)
    with pytest.raises(UsageError, match=r"another configuration: settings\.steps was 10, is 4"):
        lines_of(logs, "2.0", steps=4)
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not a run"):
        lines_of(logs, "2.0", overwrite=True)
    (folder / "notes.txt").unlink()
    folder.rmdir()
    assert {path for path in before if path.exists()} == tree(tmp_path)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path)
    modes = ("--mode", "eager", "--mode", "frozen")
    assert run("capture", "resnet50", "linear-stack", "--torch", "2.0", *modes, "--dry-run") == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == "4 configurations of 2 workloads: resnet50, linear-stack"
    places = [line.split()[0] for line in lines if line.endswith("  is new")]
    assert places == [
        f"logs/{label}/{name}" for label in ("2.0", "2.0-frozen") for name in ("resnet50", "linear-stack")
    ]
    assert tree(tmp_path) == before
    assert run("capture", "resnet50", "--torch", "9", "--dry-run") == 2


def test_without_a_version_the_newest_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("profkit.cli.capture_options.torch_version", lambda python: None)
    assert run("capture", "resnet50", "--dry-run", "--logdir", tmp_path / "logs") == 0
    assert "torch-2.15.0-python-3.11  would be made" in capsys.readouterr().out
    assert not (tmp_path / "logs").exists()
    assert [path.name for path in (tmp_path / "cache/envs").iterdir()] == ["torch-2.0.1-python-3.10"]
