"""Folders for files that are of no use after a command. One that a killed command left is removed by the next command.

A folder is locked as long as the process lives that made it: so the next one can tell which are left over.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from profkit.locks import is_at, try_lock

_PREFIX = "profkit-scratch-"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give an empty folder of this user's own in the folder for temporary files; it is removed after the block.

    Raises OSError if it cannot be made.
    """
    _remove_dead()
    folder, descriptor = _make()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _make() -> tuple[Path, int]:
    """Make a folder and lock it; return it with the descriptor that holds the lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        descriptor = _locked(folder)
        if descriptor is not None:
            return folder, descriptor
        # another process has removed the folder before it was locked


def _remove_dead() -> None:
    """Remove the folders of this user that no process has locked."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            is_own = folder.lstat().st_uid == os.getuid()
            descriptor = _locked(folder) if is_own else None
            if descriptor is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """Return a descriptor that holds the lock of a folder; None if another process has it, or removed the folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if try_lock(descriptor) and is_at(descriptor, folder):
        return descriptor
    os.close(descriptor)
    return None
