"""Filing: whole or not at all, and nothing lost."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from profkit.capture.filing import Filing, what_differs
from profkit.errors import CaptureError, UsageError
from profkit.runs import Manifest, find_runs, read_manifest
from tests.unit.test_compare import manifest

DEAD = 2**22 - 2  # no process has this number for long


def new_round(filing: Filing, described: Manifest) -> None:
    filing.open()
    (filing.staging / described.rounds[-1].trace).write_text("{}")


def test_a_run_appears_when_it_lands(tmp_path: Path) -> None:
    filing = Filing(tmp_path, "2.0", "net")
    new_round(filing, manifest("2.0", 1, 1))
    filing.save(manifest("2.0", 1, 1))
    assert not filing.folder.exists()
    with pytest.raises(Exception, match="no trace"):
        find_runs(tmp_path)
    filing.land(manifest("2.0", 1, 1), overwrite=False)
    assert [run.label for run in find_runs(tmp_path)] == ["2.0"]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


def test_what_a_killed_capture_left_is_recovered(tmp_path: Path) -> None:
    filing = Filing(tmp_path, "2.0", "net")
    dead = filing.folder.parent / f".net.capturing-{DEAD}"
    killed = Filing(tmp_path, "2.0", "net")
    killed.staging = dead
    killed.folder.parent.mkdir(parents=True)
    dead.mkdir()
    killed.save(manifest("2.0", 2, 1))
    filing.recover()
    assert not dead.exists()
    assert read_manifest(filing.folder).status == "failed"
    assert read_manifest(filing.folder).reason == "the capture was killed"
    assert len(read_manifest(filing.folder).rounds) == 2


def test_a_living_capture_is_left_alone(tmp_path: Path) -> None:
    filing = Filing(tmp_path, "2.0", "net")
    other = filing.folder.parent / f".net.capturing-{os.getppid()}"
    other.mkdir(parents=True)
    with pytest.raises(CaptureError, match="another capture is writing this run"):
        filing.recover()
    assert other.is_dir()


def test_adding_keeps_what_was_there(tmp_path: Path) -> None:
    for rounds in (1, 2):
        filing = Filing(tmp_path, "2.0", "net")
        new_round(filing, manifest("2.0", rounds, 1))
        filing.land(manifest("2.0", rounds, 1), overwrite=False)
    assert sorted(p.name for p in filing.folder.iterdir()) == ["0.pt.trace.json", "profkit.json"]


def test_overwriting_replaces_the_whole_folder(tmp_path: Path) -> None:
    for text in ("old", "new"):
        filing = Filing(tmp_path, "2.0", "net")
        filing.open()
        (filing.staging / text).write_text(text)
        filing.land(manifest("2.0", 1, 1), overwrite=True)
    assert sorted(p.name for p in filing.folder.iterdir()) == ["new", "profkit.json"]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "2.0/net").mkdir(parents=True)
    with pytest.raises(UsageError, match="no run that can be added to"):
        Filing(tmp_path, "2.0", "net").existing()


def test_what_differs() -> None:
    before = manifest("2.0", 1, 1)
    assert what_differs(before, before) == []
    settings = msgspec.structs.replace(before.settings, threads=4, steps=4)
    host = msgspec.structs.replace(before.host, cpu="another")
    after = msgspec.structs.replace(before, settings=settings, host=host, torch=None)
    assert what_differs(before, after) == [
        "settings.threads was None, is 4",
        "settings.steps was 3, is 4",
        "host.cpu was Neoverse-V1, is another",
    ]
