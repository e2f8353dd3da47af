"""What ``profkit capture`` refuses before a worker starts, and what it says at its end."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from profkit.capture.host import describe_host
from profkit.capture.plan import Configuration
from profkit.capture.session import Captured, run_session
from profkit.capture.workloads import resolve
from profkit.cli.commands.capture import _conclude
from profkit.cli.progress import CaptureProgress
from profkit.errors import CaptureError, ProfkitError, UsageError
from profkit.runs import Manifest, read_manifest, write_manifest
from profkit.runs.manifest import Python, Tool, Torch, Workload
from profkit.runs.settings import Settings

RESNET = resolve("resnet50")


def interpreter(folder: Path, torch: str, python: str) -> Path:
    """Write a program that answers what profkit asks an interpreter: its torch's version and its own."""
    path = folder / f"python-{torch}-{python}"
    path.write_text(f'#!/bin/sh\ncase "$*" in *find_spec*) echo {torch};; *) echo {python};; esac\n')
    path.chmod(0o755)
    return path


def configuration(label: str, python: Path | None = None, torch: str | None = None, **settings: Any) -> Configuration:
    return Configuration(RESNET, torch, python, label, Settings(settings))


@pytest.fixture
def captured_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log folder with a run of PyTorch 2.0.1 under the label ``mine``."""
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "logs/mine/resnet50"
    folder.mkdir(parents=True)
    described = Manifest(
        status="complete",
        label="mine",
        workload=Workload(name="resnet50", source="torchvision"),
        torch=Torch(version="2.0.1"),
        python=Python(version="3.10.13"),
        settings=Settings(),
        environment=Settings().variables(),
        host=describe_host(),
        tool=Tool(version="0"),
    )
    write_manifest(folder, described)
    return tmp_path / "logs"


def refused(logdir: Path, *configurations: Configuration, **settings: Any) -> str:
    before = (logdir / "mine/resnet50/profkit.json").read_bytes()
    with CaptureProgress(quiet=True, colour=False) as progress, pytest.raises(UsageError) as error:
        run_session(configurations, Settings(settings), logdir, progress, environ={})
    assert (logdir / "mine/resnet50/profkit.json").read_bytes() == before
    assert [p.name for p in (logdir / "mine").iterdir()] == ["resnet50"]  # nothing was begun
    return error.value.what


def test_another_pytorch_is_refused_before_an_environment_is_made(captured_before: Path) -> None:
    assert refused(captured_before, configuration("mine", torch="2.15"), steps=3) == (
        "holds a run of another configuration: torch.version was 2.0.1, is 2.15; settings.steps was 10, is 3"
    )
    assert "torch.version was 2.0.1, is 2.0.0" in refused(captured_before, configuration("mine", torch="2.0.0"))


@pytest.mark.parametrize(
    ("torch", "python", "said"),
    [
        ("2.15.0", "3.10.13", "torch.version was 2.0.1, is 2.15.0"),
        ("2.0.1", "3.11.7", "python.version was 3.10.13, is 3.11.7"),
        ("2.15.0", "3.11.7", "torch.version was 2.0.1, is 2.15.0; python.version was 3.10.13, is 3.11.7"),
    ],
)
def test_another_interpreter_is_refused_before_a_worker_starts(
    captured_before: Path, tmp_path: Path, torch: str, python: str, said: str
) -> None:
    chosen = interpreter(tmp_path, torch, python)
    assert refused(captured_before, configuration("mine", python=chosen)) == (
        f"holds a run of another configuration: {said}"
    )


REPORTING = """#!{python}
import json, os, sys
if "-c" not in sys.argv:
    with os.fdopen(int(sys.argv[-1]), "w") as reports:
        for report in {reports}:
            reports.write(json.dumps(report) + chr(10))
"""
REPORTS: list[dict[str, Any]] = [
    {"event": "torch", "version": "2.0.1", "threads": 2},
    {"event": "python", "version": "3.10.13", "packages": []},
    {"event": "workload", "inputs": [{"shape": [1], "dtype": "float32"}], "weights_sha256": "abc"},
    {"event": "notes", "notes": []},
]
ROUND = {
    "event": "round",
    "trace": "0.pt.trace.json.gz",
    "warmup_ns": [1],
    "stable": True,
    "latency_ns": [1],
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"profiled_ns": [-1]}, "profiled_ns[0]"), ({"profiled_ns": [10**18]}, "profiled_ns[0]"), ({}, "profiled_ns")],
)
def test_a_report_that_is_not_valid_fails_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], said: str
) -> None:
    """A program in the place of the interpreter reports what no worker of ours does."""
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    reports = [*REPORTS, {**ROUND, "outputs_sha256": "abc", **wrong}]
    program = tmp_path / "python"
    program.write_text(REPORTING.format(python=sys.executable, reports=reports))
    program.chmod(0o755)
    with CaptureProgress(quiet=True, colour=False) as progress:
        (outcome,) = run_session(
            [configuration("mine", python=program)], Settings(rounds=2, onednn=False), tmp_path / "logs", progress
        )
    assert said in (outcome.failure or "")
    manifest = read_manifest(tmp_path / "logs/mine/resnet50")
    assert (manifest.status, manifest.reason, manifest.rounds) == ("failed", outcome.failure, [])


def captured(label: str, failure: str | None, captured_before: Path) -> Captured:
    folder = captured_before / label / "resnet50"
    described = msgspec.json.decode((captured_before / "mine/resnet50/profkit.json").read_bytes(), type=Manifest)
    return Captured(configuration(label), folder, described, failure)


def test_next_steps_follow_the_order_of_the_command_line(
    captured_before: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _conclude([captured(label, None, captured_before) for label in ("2.15", "1.13", "2.0")], quiet=False)
    printed = capsys.readouterr().out.splitlines()
    logs = captured_before
    assert [line.split()[0] for line in printed[:3]] == [f"{logs}/{v}/resnet50" for v in ("2.15", "1.13", "2.0")]
    assert printed[4:] == [
        "Next:",
        f"  profkit diff {logs}/2.15 {logs}/1.13",
        f"  profkit compare {logs}",
        f"  profkit ops {logs}/2.0/resnet50",
        f"  profkit view {logs}",
    ]


def test_the_end_names_failed_configurations_and_leaves_the_reasons_to_where_they_were_said(
    captured_before: Path,
) -> None:
    outcomes = [captured("2.0", None, captured_before), captured("2.15", "died of SIGSEGV", captured_before)]
    with pytest.raises(CaptureError) as error:
        _conclude(outcomes, quiet=True)
    assert error.value.what == "1 of 2 configurations failed: 2.15 resnet50"
    assert error.value.exit_status == 4
    assert "SIGSEGV" not in str(error.value)


def test_the_status_tells_a_full_disk_from_a_failed_configuration(captured_before: Path) -> None:
    done, crashed = (captured("2.0", failure, captured_before) for failure in (None, "died of SIGSEGV"))
    full = dataclasses.replace(crashed, unwritable=True)
    for outcomes, status in (([done, full], 5), ([full, full], 5), ([done, full, crashed], 4)):
        with pytest.raises(ProfkitError) as error:
            _conclude(outcomes, quiet=True)
        assert error.value.exit_status == status
