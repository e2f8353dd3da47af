"""Locks that processes hold against each other, also those of other users: they end with their process (flock(2)).

Two processes of one machine always see each other's locks; those of several machines do if their file system passes
locks on, as NFS does. Names of files that only their own machine may judge therefore carry a :func:`machine_tag`.
Windows has no such locks: there every lock is had at once.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_DIGITS = 8  # of the boot's random number: enough to tell apart the machines that share a disk


def try_lock(descriptor: int) -> bool:
    """Lock the open file or folder without waiting; False if another process has it locked.

    The lock ends when the descriptor is closed. Raises OSError if the file system has no locks.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # NFS says the latter
        return False
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file or folder is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


class FileLock:
    """A lock on a file, which is made for it and removed with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; False if another process has it.

        Raises FileNotFoundError if there is no folder for the file, OSError if it cannot be made or locked.
        """
        while True:
            descriptor = _open_lock_file(self.path)
            try:
                locked = try_lock(descriptor)
                if locked and is_at(descriptor, self.path):
                    self._descriptor, descriptor = descriptor, -1
                    return True
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            if not locked:
                return False  # else its owner removed the file before this process had the lock: try the next file

    def release(self) -> None:
        """Give the lock back; does nothing without it."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):  # of another user, in a folder in which only the owner may remove a file
            self.path.unlink()
        with contextlib.suppress(OSError):
            if fcntl is not None:  # a process that was forked meanwhile has the descriptor, too
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)
        self._descriptor = None


def _open_lock_file(path: Path) -> int:
    """Open the file, or make it, so that every user who may write into its folder can lock it."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            try:
                return os.open(path, os.O_RDWR | _FLAGS)
            except PermissionError:
                return os.open(path, os.O_RDONLY | _FLAGS)  # of another user; a lock of a local disk needs no more
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)
        except FileExistsError:
            continue
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o666)  # whatever the umask: NFS locks only what may be written
        return descriptor


@cache
def machine_tag() -> str:
    """Return a text for file names that names this machine, and its kernel since the last start."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    machine = zlib.crc32(f"{name} {_read('/etc/machine-id')}".encode(errors="replace"))
    boot = _read("/proc/sys/kernel/random/boot_id").replace("-", "")
    return f"{machine:08x}.{boot[:_DIGITS] or 'unknown'}"


def is_of_this_machine(tag: str) -> bool:
    """Whether a tag was made on this machine: by the same name, or in a container of the same kernel."""
    machine, _, boot = tag.partition(".")
    own_machine, _, own_boot = machine_tag().partition(".")
    return machine == own_machine or (boot == own_boot != "unknown")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
