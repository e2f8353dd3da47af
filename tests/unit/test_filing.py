"""Filing: whole or not at all, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from profkit.capture import leftovers
from profkit.capture.filing import Filing
from profkit.capture.leftovers import CAPTURING, REPLACED, REPLACING, name_of
from profkit.capture.run_folder import remove_unnamed_files
from profkit.errors import CaptureError, InputError, OutputError, UsageError
from profkit.locks import machine_tag
from profkit.runs import Manifest, find_runs, read_manifest
from profkit.runs.manifest import PrimitivesPass
from tests.builders import manifest


def described(rounds: int, first: int = 0) -> Manifest:
    """A run whose traces are named from number ``first`` on, as a worker names them."""
    made = manifest("2.0", rounds, 1)
    named = [msgspec.structs.replace(r, trace=f"{first + r.index}.pt.trace.json.gz") for r in made.rounds]
    return msgspec.structs.replace(made, rounds=named)


def write_traces(folder: Path, run: Manifest, first: int = 0) -> None:
    for round_ in run.rounds[first:]:
        (folder / round_.trace).write_text(round_.trace)


def committed(logdir: Path, run: Manifest, *, overwrite: bool = False) -> Filing:
    filing = Filing(logdir, "2.0", "net", overwrite=overwrite)
    filing.open()
    write_traces(filing.staging, run)
    filing.commit(run)
    return filing


def left_behind(logdir: Path, run: Manifest, purpose: str = CAPTURING, first: int = 0) -> Path:
    """What a capture of this machine leaves that was killed after the rounds of ``run``."""
    killed = Filing(logdir, "2.0", "net")
    killed.staging = killed.staging.with_name(f"{name_of(killed.folder, purpose)}0")  # another process
    killed.open()
    write_traces(killed.staging, run, first)
    killed.save(run)
    return killed.staging


def acquired(logdir: Path, *, overwrite: bool = False) -> Filing:
    filing = Filing(logdir, "2.0", "net", overwrite=overwrite)
    filing.acquire()
    return filing


def traces(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pt.trace.json*"))


def test_a_run_appears_when_it_is_committed(tmp_path: Path) -> None:
    run = described(1)
    filing = acquired(tmp_path)
    filing.open()
    write_traces(filing.staging, run)
    filing.save(run)
    assert not filing.folder.exists()
    with pytest.raises(InputError, match="no trace in this folder"):
        find_runs(tmp_path)
    filing.commit(run)
    filing.release()
    assert [found.label for found in find_runs(tmp_path)] == ["2.0"]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


def test_nothing_stays_of_a_capture_that_did_not_begin(tmp_path: Path) -> None:
    acquired(tmp_path / "new/logs").release()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_capture_left_is_recovered(tmp_path: Path) -> None:
    dead = left_behind(tmp_path, described(2))
    filing = acquired(tmp_path)
    filing.release()
    found = read_manifest(filing.folder)
    assert (found.status, found.reason, len(found.rounds)) == ("failed", "the capture was killed", 2)
    assert traces(filing.folder) == ["0.pt.trace.json.gz", "1.pt.trace.json.gz"]
    assert not dead.exists()


def test_rounds_left_behind_are_added_to_the_run_they_were_for(tmp_path: Path) -> None:
    committed(tmp_path, described(1))
    left_behind(tmp_path, described(3), first=1)
    filing = acquired(tmp_path)
    filing.release()
    found = read_manifest(filing.folder)
    assert (found.status, len(found.rounds)) == ("complete", 3)
    assert traces(filing.folder) == [f"{i}.pt.trace.json.gz" for i in range(3)]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


def test_rounds_are_added_although_another_capture_added_some_since(tmp_path: Path) -> None:
    """Killed with rounds 0 and 1; meanwhile another capture made 0 and 7."""
    left_behind(tmp_path, described(2))
    other = described(2)
    seven = msgspec.structs.replace(other.rounds[1], trace="7.pt.trace.json.gz")
    committed(tmp_path, msgspec.structs.replace(other, rounds=[other.rounds[0], seven]))
    filing = acquired(tmp_path)
    filing.release()
    found = read_manifest(filing.folder)
    names = [f"{i}.pt.trace.json.gz" for i in (0, 7, 1)]
    assert [(r.index, r.trace) for r in found.rounds] == list(enumerate(names))
    assert traces(filing.folder) == sorted(names)


def test_rounds_of_another_configuration_are_kept_where_they_are(tmp_path: Path) -> None:
    dead = left_behind(tmp_path, described(2))
    other = described(1, first=5)
    committed(tmp_path, msgspec.structs.replace(other, settings=other.settings.changed(steps=9)))
    for _ in range(2):
        with pytest.raises(CaptureError, match="another configuration than the run beside it") as caught:
            acquired(tmp_path)
        assert caught.value.where == str(dead)
    assert traces(dead) == ["0.pt.trace.json.gz", "1.pt.trace.json.gz"]


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_commit_that_was_killed_is_finished(tmp_path: Path, moved: int) -> None:
    """The new traces were moved into the run's folder one by one, the manifest was not replaced yet."""
    filing = committed(tmp_path, described(1))
    dead = left_behind(tmp_path, described(3), first=1)
    for name in traces(dead)[:moved]:
        (dead / name).rename(filing.folder / name)
    acquired(tmp_path).release()
    assert [r.trace for r in read_manifest(filing.folder).rounds] == traces(filing.folder)
    assert len(traces(filing.folder)) == 3
    assert not dead.exists()


def test_a_round_without_its_trace_is_not_believed(tmp_path: Path) -> None:
    dead = left_behind(tmp_path, described(3))
    (dead / "1.pt.trace.json.gz").unlink()
    filing = acquired(tmp_path)
    filing.release()
    assert [(r.index, r.trace) for r in read_manifest(filing.folder).rounds] == [
        (0, "0.pt.trace.json.gz"),
        (1, "2.pt.trace.json.gz"),
    ]


def test_nothing_finished_is_nothing_left(tmp_path: Path) -> None:
    killed = Filing(tmp_path, "2.0", "net")
    killed.open()
    (killed.staging / "1.pt.trace.json").write_text("half")
    acquired(tmp_path).release()
    assert not killed.staging.exists()


def test_a_replacement_that_was_killed_between_its_two_renames_is_finished(tmp_path: Path) -> None:
    filing = committed(tmp_path, described(1))
    left_behind(tmp_path, described(2, first=5), REPLACING)
    filing.folder.rename(filing.folder.with_name(name_of(filing.folder, REPLACED)))
    acquired(tmp_path).release()
    assert traces(filing.folder) == ["5.pt.trace.json.gz", "6.pt.trace.json.gz"]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


def test_a_replacement_that_was_killed_before_leaves_the_run(tmp_path: Path) -> None:
    filing = committed(tmp_path, described(1))
    left_behind(tmp_path, described(2, first=5), REPLACING)
    acquired(tmp_path).release()
    assert traces(filing.folder) == ["0.pt.trace.json.gz"]
    # moved away, and nothing to put in its place
    filing.folder.rename(filing.folder.with_name(name_of(filing.folder, REPLACED)))
    acquired(tmp_path).release()
    assert traces(filing.folder) == ["0.pt.trace.json.gz"]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


HOLDING = (
    "import sys; from pathlib import Path; from profkit.capture.filing import Filing\n"
    "filing = Filing(Path(sys.argv[1]), '2.0', 'net'); filing.acquire(); filing.open()\n"
    "print(filing.staging, flush=True); sys.stdin.read()\n"
)


def test_a_run_belongs_to_one_capture_at_a_time_whoever_runs_it(tmp_path: Path) -> None:
    """Also of another user, with another cache folder: the staging of the living one stays."""
    environ = {**os.environ, "PROFKIT_CACHE_DIR": str(tmp_path / "other")}
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "logs")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environ) as other:
        assert other.stdout is not None
        staging = Path(other.stdout.readline().strip())
        for _ in range(2):
            with pytest.raises(CaptureError, match="another capture is writing this run"):
                acquired(tmp_path / "logs")
        assert staging.is_dir()
        other.kill()
    acquired(tmp_path / "logs").release()
    assert not list((tmp_path / "logs/2.0").iterdir())


def test_the_lock_can_be_taken_by_users_who_may_only_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file that a killed capture of another user left is not writable for this one."""
    lock = tmp_path / "2.0/.net.lock"
    lock.parent.mkdir()
    lock.write_text("")
    opened = os.open

    def denied(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == lock and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", denied)
    filing = acquired(tmp_path)
    with pytest.raises(CaptureError, match="another capture"):
        acquired(tmp_path)
    filing.release()
    assert not lock.exists()


def test_every_user_can_lock(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        filing = acquired(tmp_path)
        assert (tmp_path / "2.0/.net.lock").stat().st_mode & 0o777 == 0o666
        filing.release()
    finally:
        os.umask(before)


@pytest.mark.parametrize("tag", ["00000000.00000000", "00000000.unknown", "x"])
def test_what_another_machine_left_on_a_shared_disk_is_not_touched(tmp_path: Path, tag: str) -> None:
    """It may be alive."""
    dead = left_behind(tmp_path, described(2))
    elsewhere = dead.rename(dead.with_name(dead.name.replace(machine_tag(), tag)))
    acquired(tmp_path).release()
    assert elsewhere.is_dir()
    assert not (tmp_path / "2.0/net").exists()


def test_a_container_of_the_same_kernel_and_a_rebooted_machine_are_this_machine(tmp_path: Path) -> None:
    machine, boot = machine_tag().split(".")
    for tag in (f"00000000.{boot}", f"{machine}.00000000"):
        dead = left_behind(tmp_path, described(1))
        dead.rename(dead.with_name(dead.name.replace(machine_tag(), tag)))
        acquired(tmp_path).release()
        assert [p.name for p in (tmp_path / "2.0").iterdir()] == ["net"]


def test_what_another_user_left_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = left_behind(tmp_path, described(1))
    monkeypatch.setattr(leftovers, "_is_own", lambda path: False)
    acquired(tmp_path).release()
    assert dead.is_dir()


def test_rounds_that_another_machine_added_meanwhile_are_not_overwritten(tmp_path: Path) -> None:
    """A shared disk that does not pass locks on."""
    committed(tmp_path, described(1))
    filing = Filing(tmp_path, "2.0", "net")
    filing.staging = filing.staging.with_name(f"{filing.staging.name}0")
    filing.open()
    run = described(1)
    mine = msgspec.structs.replace(run.rounds[0], index=1, trace="mine.pt.trace.json.gz")
    mine_too = msgspec.structs.replace(run, rounds=[*run.rounds, mine])
    write_traces(filing.staging, mine_too, 1)
    filing.save(mine_too)
    other = committed(tmp_path, described(3))
    with pytest.raises(CaptureError, match="was changed by another program during the capture"):
        filing.commit(mine_too)
    assert len(traces(other.folder)) == 3
    acquired(tmp_path).release()  # the next start adds them
    assert [r.trace[0] for r in read_manifest(other.folder).rounds] == ["0", "1", "2", "m"]


def test_adding_keeps_what_was_there(tmp_path: Path) -> None:
    for rounds in (1, 2):
        filing = committed(tmp_path, described(rounds))
    assert sorted(p.name for p in filing.folder.iterdir()) == [
        "0.pt.trace.json.gz",
        "1.pt.trace.json.gz",
        "profkit.json",
    ]


def test_overwriting_replaces_the_whole_folder(tmp_path: Path) -> None:
    for first in (0, 5):
        filing = committed(tmp_path, described(1, first), overwrite=True)
    assert sorted(p.name for p in filing.folder.iterdir()) == ["5.pt.trace.json.gz", "profkit.json"]
    assert [p.name for p in filing.folder.parent.iterdir()] == ["net"]


def test_what_a_model_links_or_pipes_into_the_folder_is_not_filed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("text of somebody else")
    run = described(1)
    filing = Filing(tmp_path, "2.0", "net")
    filing.open()
    write_traces(filing.staging, run)
    (filing.staging / "outputs.npz").symlink_to(tmp_path / "secret")
    os.mkfifo(filing.staging / "pipe")
    filing.commit(run)
    assert sorted(p.name for p in filing.folder.iterdir()) == ["0.pt.trace.json.gz", "profkit.json"]
    assert (tmp_path / "secret").exists()


@pytest.mark.parametrize("kind", ["file", "folder of traces", "folder of other files", "pipe"])
def test_something_else_in_the_place_of_a_run_is_refused(tmp_path: Path, kind: str) -> None:
    """It is neither added to nor, with --overwrite, deleted."""
    place = tmp_path / "2.0/net"
    place.parent.mkdir(parents=True)
    if kind == "file":
        place.write_text("")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
        (place / ("a.pt.trace.json" if "traces" in kind else "thesis.txt")).write_text("{}")
    with pytest.raises(UsageError, match="is not a run that rounds can be added to") as caught:
        acquired(tmp_path).existing()
    assert "--overwrite" not in caught.value.hint
    with pytest.raises(UsageError, match="is not a run: it is not replaced"):
        Filing(tmp_path, "2.0", "net", overwrite=True).require_replaceable()
    assert place.exists()


def test_a_damaged_run_and_an_empty_folder_can_be_replaced(tmp_path: Path) -> None:
    place = tmp_path / "2.0/net"
    place.mkdir(parents=True)
    Filing(tmp_path, "2.0", "net", overwrite=True).require_replaceable()
    (place / "profkit.json").write_text("{")
    filing = Filing(tmp_path, "2.0", "net", overwrite=True)
    filing.require_replaceable()
    with pytest.raises(UsageError, match="is not a run") as caught:
        filing.existing()
    assert "--overwrite" in caught.value.hint
    committed(tmp_path, described(1), overwrite=True)
    assert len(read_manifest(place).rounds) == 1


def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "2.0").write_text("a file in the place of the label")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        acquired(tmp_path)
    assert caught.value.exit_status == 5


def test_what_an_interrupted_pass_left_is_no_trace_of_the_run(tmp_path: Path) -> None:
    run = described(1)
    left = [
        "vm_1.2.pt.trace.json",
        "vm_1.2.pt.trace.json.gz.part",
        "onednn.log",
        "onednn.log.gz",
        "onednn.trace.json.gz",
    ]
    for name in (run.rounds[0].trace, "outputs.npz", "profkit.json", *left):
        (tmp_path / name).write_text("x")
    (tmp_path / "old.pt.trace.json.d").mkdir()  # a folder of the user's with such a name
    remove_unnamed_files(tmp_path, run)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [run.rounds[0].trace, "old.pt.trace.json.d", "outputs.npz", "profkit.json"]
    )
    primitives = PrimitivesPass(log="onednn.log.gz", trace="onednn.trace.json.gz", warmup=3, steps=2)
    for name in left:
        (tmp_path / name).write_text("x")
    remove_unnamed_files(tmp_path, msgspec.structs.replace(run, primitives=primitives))
    assert {"onednn.log.gz", "onednn.trace.json.gz"} <= {p.name for p in tmp_path.iterdir()}
    assert not (tmp_path / "onednn.log").exists()
