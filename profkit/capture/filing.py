"""Puts runs into their folders: a run appears whole or not at all, and no captured round is lost.

Rounds are collected in a staging folder beside the run's folder. Its name starts with a dot, and its manifest says
``failed`` until the capture is complete. A commit renames the staging folder to the run's folder. If a run is already
there, the commit moves the new traces into it and then replaces its manifest: readers use only the traces that a
manifest names.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from profkit.errors import CaptureError, InputError, UsageError
from profkit.files import cache_root
from profkit.runs import OUTPUTS_NAME, Manifest, read_manifest, write_manifest
from profkit.runs.store import LOG_NAME, ONEDNN_LOG, ONEDNN_TRACE

_KILLED = "the capture was killed"
_FILES_OF_A_RUN = (OUTPUTS_NAME, LOG_NAME, ONEDNN_LOG, ONEDNN_TRACE)  # beside its traces and its manifest


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Raise CaptureError, which says what to do, in place of an OSError."""
    try:
        yield
    except OSError as error:
        hint = "Free some space; what was captured before is still there." if error.errno == errno.ENOSPC else ""
        hint = hint or "Choose another --logdir, or make this one writable."
        raise CaptureError(f"cannot be written ({error.strerror})", where=error.filename or path, hint=hint) from None


class Filing:
    """The place of one run: ``folder`` once it is committed, ``staging`` until then.

    It is locked against other captures from :meth:`acquire` to :meth:`release`.
    """

    def __init__(self, logdir: Path, label: str, workload: str) -> None:
        """Name the place ``logdir/label/workload``; nothing is written yet."""
        self.folder = logdir / label / workload
        self._leftovers = f".{workload}.capturing-{_host()}-"
        self.staging = self.folder.parent / f"{self._leftovers}{os.getpid()}"
        name = sha256(os.fsencode(self.folder.resolve())).hexdigest()
        self._lock = FileLock(cache_root() / "locks" / f"{name[:32]}.lock")

    def acquire(self) -> None:
        """Lock this place and recover the rounds of a killed capture; raises CaptureError if another capture has it."""
        with explain_write_errors(Path(self._lock.lock_file)):
            Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                hint = "Wait for it to end, or use another --label."
                raise CaptureError("another capture is writing this run", where=self.folder, hint=hint) from None
        # no other capture of this host has the lock, so a staging folder of this host was left by a killed one
        for left in sorted(self.folder.parent.glob(f"{self._leftovers}*")):
            with explain_write_errors(left):
                self._recover(left)

    def release(self) -> None:
        """Unlock this place; does nothing if it is not locked."""
        self._lock.release()

    def _recover(self, left: Path) -> None:
        """Commit the complete rounds in a staging folder that a killed capture left."""
        try:
            rounds = read_manifest(left)
            before = read_manifest(self.folder) if self.folder.exists() else None
        except InputError:
            shutil.rmtree(left)  # no round was finished
            return
        if before is None:
            remove_unnamed_files(left, rounds)
            left.rename(self.folder)
        elif rounds.rounds[: len(before.rounds)] == before.rounds:
            self._add(left, msgspec.structs.replace(rounds, status=before.status, reason=before.reason))
        else:
            shutil.rmtree(left)  # an incomplete replacement of this run (--overwrite)

    def existing(self) -> Manifest | None:
        """Return the manifest of the run already there, or None; raises UsageError if the folder is not a run."""
        if not self.folder.exists():
            return None
        try:
            return read_manifest(self.folder)
        except InputError as error:
            raise UsageError(
                f"exists, and is not a run that rounds can be added to: {error.what}",
                where=self.folder,
                hint="Use --overwrite, another --logdir or another --label.",
            ) from None

    def open(self) -> None:
        """Make the staging folder; raises CaptureError if that fails."""
        with explain_write_errors(self.folder):
            self.staging.mkdir(parents=True)

    def save(self, manifest: Manifest) -> None:
        """Write the state so far into the staging folder, as failed: it stays so if this process is killed."""
        with explain_write_errors(self.staging):
            write_manifest(self.staging, msgspec.structs.replace(manifest, status="failed", reason=_KILLED))

    def commit(self, manifest: Manifest, *, overwrite: bool) -> None:
        """Put the run in its place, with ``manifest``; add to an existing run, or replace it if ``overwrite``."""
        with explain_write_errors(self.folder):
            if self.folder.exists() and not overwrite:
                self._add(self.staging, manifest)
            else:
                write_manifest(self.staging, manifest)
                remove_unnamed_files(self.staging, manifest)
                self._replace()

    def _add(self, staging: Path, manifest: Manifest) -> None:
        """Move the files of a staging folder into the run's folder, then replace the manifest."""
        for path in sorted(staging.iterdir()):
            if path.name.endswith(".pt.trace.json.gz") or path.name in _FILES_OF_A_RUN:
                path.replace(self.folder / path.name)
        write_manifest(self.folder, manifest)
        shutil.rmtree(staging)
        remove_unnamed_files(self.folder, manifest)

    def _replace(self) -> None:
        """Rename the staging folder to the run's folder; a run already there is removed afterwards."""
        aside = self.folder.with_name(f".{self.folder.name}.replaced-{os.getpid()}")
        if self.folder.exists():
            self.folder.rename(aside)
        self.staging.rename(self.folder)
        shutil.rmtree(aside, ignore_errors=True)

    def discard(self) -> None:
        """Remove the staging folder and what is in it, if it is there."""
        shutil.rmtree(self.staging, ignore_errors=True)


def remove_unnamed_files(folder: Path, manifest: Manifest) -> None:
    """Remove the files of an interrupted worker that the manifest does not name: viewers would show them as rounds."""
    named = {round_.trace for round_ in manifest.rounds}
    named |= {manifest.primitives.log, manifest.primitives.trace} if manifest.primitives is not None else set()
    for pattern in ("*.pt.trace.json*", "*.part", ".*.part-*", f"{Path(ONEDNN_LOG).stem}*", ONEDNN_TRACE):
        for path in folder.glob(pattern):
            if path.name not in named:
                path.unlink()


def _host() -> str:
    """Return the name of this host as part of a file name."""
    return re.sub(r"[^\w.]", "_", platform.node()) or "host"
