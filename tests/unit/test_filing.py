"""Filing: whole or not at all, and nothing lost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from profkit.capture.filing import Filing, remove_unnamed_files
from profkit.errors import CaptureError, InputError, UsageError
from profkit.runs import Manifest, find_runs, read_manifest
from profkit.runs.manifest import PrimitivesPass
from tests.builders import manifest


def new_round(filing: Filing, described: Manifest) -> None:
    filing.open()
    (filing.staging / described.rounds[-1].trace).write_text("{}")


def test_a_run_appears_when_it_is_committed(tmp_path: Path) -> None:
    filing = Filing(tmp_path, "2.0", "net")
    new_round(filing, manifest("2.0", 1, 1))
    filing.save(manifest("2.0", 1, 1))
    assert not filing.folder.exists()
    with pytest.raises(InputError, match="no trace in this folder"):
        find_runs(tmp_path)
    filing.commit(manifest("2.0", 1, 1), overwrite=False)
    assert [run.label for run in find_runs(tmp_path)] == ["2.0"]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


def left_behind(tmp_path: Path, rounds: int) -> Path:
    """What a capture leaves that was killed after so many rounds."""
    killed = Filing(tmp_path, "2.0", "net")
    killed.staging = killed.staging.with_name(killed.staging.name + "0")  # another process of this host
    killed.open()
    for round_ in manifest("2.0", rounds, 1).rounds:
        (killed.staging / round_.trace.replace(".json", ".json.gz")).write_text("{}")
    killed.save(manifest("2.0", rounds, 1))
    return killed.staging


def test_what_a_killed_capture_left_is_recovered(tmp_path: Path) -> None:
    dead = left_behind(tmp_path, 2)
    filing = Filing(tmp_path, "2.0", "net")
    filing.acquire()
    assert not dead.exists()
    assert read_manifest(filing.folder).status == "failed"
    assert read_manifest(filing.folder).reason == "the capture was killed"
    assert len(read_manifest(filing.folder).rounds) == 2
    filing.release()


def test_rounds_left_behind_are_added_to_the_run_they_were_for(tmp_path: Path) -> None:
    filing = Filing(tmp_path, "2.0", "net")
    new_round(filing, manifest("2.0", 1, 1))
    filing.commit(manifest("2.0", 1, 1), overwrite=False)
    dead = left_behind(tmp_path, 3)
    filing.acquire()
    found = read_manifest(filing.folder)
    assert (found.status, len(found.rounds)) == ("complete", 3)
    assert not dead.exists()
    filing.release()


def test_a_run_belongs_to_one_capture_at_a_time(tmp_path: Path) -> None:
    first, second = (Filing(tmp_path, "2.0", "net") for _ in range(2))
    first.acquire()
    with pytest.raises(CaptureError, match="another capture is writing this run"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_adding_keeps_what_was_there(tmp_path: Path) -> None:
    for rounds in (1, 2):
        filing = Filing(tmp_path, "2.0", "net")
        new_round(filing, manifest("2.0", rounds, 1))
        filing.commit(manifest("2.0", rounds, 1), overwrite=False)
    assert sorted(p.name for p in filing.folder.iterdir()) == ["0.pt.trace.json", "profkit.json"]


def test_overwriting_replaces_the_whole_folder(tmp_path: Path) -> None:
    for text in ("old", "new"):
        filing = Filing(tmp_path, "2.0", "net")
        filing.open()
        (filing.staging / text).write_text(text)
        filing.commit(manifest("2.0", 1, 1), overwrite=True)
    assert sorted(p.name for p in filing.folder.iterdir()) == ["new", "profkit.json"]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "2.0/net").mkdir(parents=True)
    with pytest.raises(UsageError, match="not a run that rounds can be added to"):
        Filing(tmp_path, "2.0", "net").existing()


def test_what_an_interrupted_pass_left_is_no_trace_of_the_run(tmp_path: Path) -> None:
    described = manifest("2.0", 1, 1000)
    left = [
        "vm_1.2.pt.trace.json",
        "vm_1.2.pt.trace.json.gz.part",
        "onednn.log",
        "onednn.log.gz",
        "onednn.trace.json.gz",
    ]
    for name in (described.rounds[0].trace, "outputs.npz", "profkit.json", *left):
        (tmp_path / name).write_text("x")
    remove_unnamed_files(tmp_path, described)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [described.rounds[0].trace, "outputs.npz", "profkit.json"]
    )
    primitives = PrimitivesPass(log="onednn.log.gz", trace="onednn.trace.json.gz", warmup=3, steps=2)
    for name in left:
        (tmp_path / name).write_text("x")
    remove_unnamed_files(tmp_path, msgspec.structs.replace(described, primitives=primitives))
    assert {"onednn.log.gz", "onednn.trace.json.gz"} <= {p.name for p in tmp_path.iterdir()}
    assert not (tmp_path / "onednn.log").exists()
