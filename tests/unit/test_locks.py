"""Locks between processes, and the scratch folders that are known by them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from profkit import locks
from profkit.locks import FileLock, is_of_this_machine, machine_tag
from profkit.scratch import scratch_folder

HOLDING = (
    "import sys; from pathlib import Path; from profkit.locks import FileLock\n"
    "print(FileLock(Path(sys.argv[1])).acquire(), flush=True); sys.stdin.read()\n"
)
SCRATCH = (
    "import sys; from profkit.scratch import scratch_folder\n"
    "with scratch_folder() as folder: (folder / 'x').write_text(''); print(folder, flush=True); sys.stdin.read()\n"
)


def test_one_process_has_the_lock_and_its_file_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock, other = FileLock(path), FileLock(path)
    assert lock.acquire()
    assert not other.acquire()
    lock.release()
    assert not path.exists()
    assert other.acquire()
    other.release()
    lock.release()  # without effect
    assert list(tmp_path.iterdir()) == []


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(path)], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not FileLock(path).acquire()
        holder.kill()
    assert path.exists()
    lock = FileLock(path)
    assert lock.acquire()
    lock.release()


def test_a_file_that_was_removed_is_no_lock(tmp_path: Path) -> None:
    """The owner removes the file when it gives the lock back; who has opened it before must not believe it."""
    path = tmp_path / "lock"
    opened = []

    class Late(FileLock):
        pass

    open_lock_file = locks._open_lock_file

    def replaced(asked: Path) -> int:
        descriptor = open_lock_file(asked)
        opened.append(descriptor)
        if len(opened) == 1:
            asked.unlink()
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "_open_lock_file", replaced)
        lock = Late(path)
        assert lock.acquire()
    assert len(opened) == 2
    assert path.exists()
    assert not FileLock(path).acquire()
    lock.release()


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_lock_file_that_is_something_else_is_an_error(tmp_path: Path, kind: str) -> None:
    (tmp_path / "precious").write_text("text")
    if kind == "link":
        (tmp_path / "lock").symlink_to(tmp_path / "precious")
    else:
        (tmp_path / "lock").mkdir()
    with pytest.raises(OSError, match=r"symbolic links|directory"):
        FileLock(tmp_path / "lock").acquire()
    assert (tmp_path / "precious").read_text() == "text"


def test_the_tag_of_a_machine() -> None:
    machine, _, boot = machine_tag().partition(".")
    assert is_of_this_machine(machine_tag())
    assert is_of_this_machine(f"{machine}.00000000")
    assert not is_of_this_machine("00000000.unknown")
    assert is_of_this_machine(f"00000000.{boot}") == (boot != "unknown")


def test_a_scratch_folder_is_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder() as folder:
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "file").write_text("")
    assert list(tmp_path.iterdir()) == []


def test_scratch_folders_of_killed_processes_are_removed_and_those_of_living_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "precious").mkdir()
    (tmp_path / "profkit-scratch-link").symlink_to(tmp_path / "precious")
    (tmp_path / "profkit-scratch-file").write_text("")
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", SCRATCH], stdin=-1, stdout=-1, text=True, env=environ) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        assert held.parent == tmp_path
        with scratch_folder():
            assert held.is_dir()
        holder.kill()
    assert held.is_dir()
    with scratch_folder():
        assert not held.exists()
    assert (tmp_path / "precious").is_dir()
