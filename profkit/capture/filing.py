"""Puts runs into their folders: a run appears whole or not at all, and no captured round is lost.

Rounds are collected in a staging folder beside the run's folder. Its name starts with a dot, and its manifest says
``failed`` until the capture is complete. A commit renames the staging folder to the run's folder. If a run is already
there, the commit moves the new traces into it and then replaces its manifest: readers use only the traces that a
manifest names.

A lock beside the run keeps captures out of each other's way, whoever runs them. What a killed capture left is recovered
by the next one of the same user on the same machine that has the lock (:mod:`profkit.capture.leftovers`).
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from profkit.capture.leftovers import CAPTURING, REPLACED, REPLACING, name_of, recover
from profkit.capture.run_folder import add_files, remove, remove_links, remove_unnamed_files
from profkit.errors import CaptureError, InputError, OutputError, UsageError
from profkit.locks import FileLock
from profkit.runs import MANIFEST_NAME, Manifest, read_manifest, write_manifest

KILLED = "the capture was killed"  # the reason of a run that a killed capture left


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Raise OutputError, which says what to do, in place of an OSError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
        hint = "Free some space; what was captured before is still there." if full else ""
        hint = hint or "Choose another --logdir, or make this one writable."
        where = error.filename or path
        raise OutputError(f"cannot be written ({error.strerror or error})", where=where, hint=hint) from None


class Filing:
    """The place of one run: ``folder`` once it is committed, ``staging`` until then.

    It is locked against other captures from :meth:`acquire` to :meth:`release`. With ``overwrite``, the commit replaces
    a run that is already there; without, it adds to it.
    """

    def __init__(self, logdir: Path, label: str, workload: str, *, overwrite: bool = False) -> None:
        """Name the place ``logdir/label/workload``; nothing is written yet."""
        self.folder = logdir / label / workload
        self.overwrite = overwrite
        self.staging = self.folder.with_name(name_of(self.folder, REPLACING if overwrite else CAPTURING))
        self._lock = FileLock(self.folder.with_name(f".{workload}.lock"))
        self._made: list[Path] = []

    def acquire(self) -> None:
        """Lock this place and recover the rounds of a killed capture.

        Raises CaptureError if another capture has it, or what was left does not fit the run there; OutputError if it
        cannot be written.
        """
        with explain_write_errors(self.folder.parent):
            if not self._lock_in_its_folder():
                hint = "Wait for it to end, or use another --label."
                raise CaptureError("another capture is writing this run", where=self.folder, hint=hint)
        try:
            with explain_write_errors(self.folder.parent):
                recover(self.folder, replaces_all=self.overwrite)
        except BaseException:
            self.release()
            raise

    def _lock_in_its_folder(self) -> bool:
        """Take the lock, in a folder that is made for it if need be; False if another capture has it."""
        parents = [self.folder.parent, *self.folder.parent.parents]
        while True:
            self._made += [folder for folder in parents if not folder.exists() and folder not in self._made]
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            # another capture that ended may have removed the folder again
            with suppress(FileNotFoundError):
                return self._lock.acquire()

    def release(self) -> None:
        """Unlock this place; does nothing if it is not locked. Folders that were made for nothing are removed."""
        self._lock.release()
        with suppress(OSError):  # the first that holds something stays, and all above it
            for folder in sorted(self._made, key=lambda path: len(path.parts), reverse=True):
                folder.rmdir()
        self._made = []

    def existing(self) -> Manifest | None:
        """Return the manifest of the run already there, or None; raises UsageError if the folder is not a run."""
        if not self.folder.exists():
            return None
        try:
            return read_manifest(self.folder)
        except InputError as error:
            replaceable = "Use --overwrite, another" if self._is_replaceable() else "Use another"
            raise UsageError(
                f"exists, and is not a run that rounds can be added to: {error.what}",
                where=self.folder,
                hint=f"{replaceable} --logdir or another --label.",
            ) from None

    def require_replaceable(self) -> None:
        """Raise UsageError if something else than a run is there, which must not be deleted in place of a run."""
        if self.folder.exists() and not self._is_replaceable():
            hint = "Use another --logdir or another --label, or move it away."
            raise UsageError("exists, and is not a run: it is not replaced", where=self.folder, hint=hint)

    def _is_replaceable(self) -> bool:
        """Whether the folder is empty or holds a run, sound or damaged."""
        return self.folder.is_dir() and ((self.folder / MANIFEST_NAME).exists() or not any(self.folder.iterdir()))

    def open(self) -> None:
        """Make the staging folder; raises OutputError if that fails."""
        with explain_write_errors(self.folder):
            self.staging.mkdir(parents=True)

    def save(self, manifest: Manifest) -> None:
        """Write the state so far into the staging folder, as failed: it stays so if this process is killed."""
        with explain_write_errors(self.staging):
            write_manifest(self.staging, msgspec.structs.replace(manifest, status="failed", reason=KILLED))

    def commit(self, manifest: Manifest) -> None:
        """Put the run in its place, with ``manifest``: add to an existing run, or replace it if ``overwrite``.

        Raises OutputError if it cannot be written, CaptureError if the run there is not the one that ``manifest``
        continues; the staging folder is left as it is then, for the next capture.
        """
        with explain_write_errors(self.folder):
            remove_unnamed_files(self.staging, manifest)  # first: it makes space on a full disk
            remove_links(self.staging)
            if self.folder.exists() and not self.overwrite:
                self._require_unchanged(manifest)
                add_files(self.staging, self.folder, manifest)
            else:
                write_manifest(self.staging, manifest)
                self._replace()

    def _require_unchanged(self, manifest: Manifest) -> None:
        """Raise CaptureError if the run has rounds that ``manifest`` lacks: its traces would be removed."""
        there = read_manifest(self.folder).rounds
        if manifest.rounds[: len(there)] != there:
            hint = "The same command adds the new rounds to it."
            raise CaptureError("was changed by another program during the capture", where=self.folder, hint=hint)

    def _replace(self) -> None:
        """Rename the staging folder to the run's folder; a run already there is removed afterwards."""
        aside = self.folder.with_name(name_of(self.folder, REPLACED))
        replaces = self.folder.exists()
        if replaces:
            self.folder.rename(aside)
        self.staging.rename(self.folder)
        if replaces:
            remove(aside)

    def discard(self) -> None:
        """Remove the staging folder and what is in it, if it is there."""
        shutil.rmtree(self.staging, ignore_errors=True)
