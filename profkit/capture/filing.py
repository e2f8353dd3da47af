"""Files what workers leave: a run appears whole or not at all, and what was captured before is never lost.

Rounds are collected in a dotted folder beside the run's place, with a manifest that says failed until all is
done. Landing renames that folder into place, or, where a run is already there, moves the new traces in and then
replaces its manifest: readers believe only the traces that a manifest names.
"""

from __future__ import annotations

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


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError on the way into words."""
    try:
        yield
    except OSError as error:
        hint = "Free some space; what was captured before is still there." if error.errno == 28 else ""
        hint = hint or "Choose another --logdir, or make this one writable."
        raise CaptureError(f"cannot be written ({error.strerror})", where=error.filename or path, hint=hint) from None


class Filing:
    """The place of one run: ``folder`` when done, ``staging`` until then; locked against other captures meanwhile."""

    def __init__(self, logdir: Path, label: str, workload: str) -> None:
        self.folder = logdir / label / workload
        self._leftovers = f".{workload}.capturing-{_host()}-"
        self.staging = self.folder.parent / f"{self._leftovers}{os.getpid()}"
        name = sha256(os.fsencode(self.folder.resolve())).hexdigest()
        self._lock = FileLock(cache_root() / "locks" / f"{name[:32]}.lock")

    def acquire(self) -> None:
        """Lock this place and land what a killed capture left of the run; raises CaptureError where one is at it."""
        with writing(Path(self._lock.lock_file)):
            Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                hint = "Wait for it to end, or use another --label."
                raise CaptureError("another capture is writing this run", where=self.folder, hint=hint) from None
        # whoever holds the lock knows that what lies here, from this host, was left behind
        for left in sorted(self.folder.parent.glob(f"{self._leftovers}*")):
            with writing(left):
                self._recover(left)

    def release(self) -> None:
        self._lock.release()

    def _recover(self, left: Path) -> None:
        try:
            rounds = read_manifest(left)
            before = read_manifest(self.folder) if self.folder.exists() else None
        except InputError:
            shutil.rmtree(left)  # no round was finished
            return
        if before is None:
            sweep(left, rounds)
            left.rename(self.folder)
        elif rounds.rounds[: len(before.rounds)] == before.rounds:
            self._add(left, msgspec.structs.replace(rounds, status=before.status, reason=before.reason))
        else:
            shutil.rmtree(left)  # it was to replace this run, and did not come to its end

    def existing(self) -> Manifest | None:
        """Return the manifest of the run that is already there; raises UsageError for a folder of something else."""
        if not self.folder.exists():
            return None
        try:
            return read_manifest(self.folder)
        except InputError as error:
            raise UsageError(
                f"is there already, and no run that can be added to: {error.what}",
                where=self.folder,
                hint="Use --overwrite, another --logdir or another --label.",
            ) from None

    def open(self) -> None:
        """Make the staging folder."""
        with writing(self.folder):
            self.staging.mkdir(parents=True)

    def save(self, manifest: Manifest) -> None:
        """Record the state so far in the staging folder, as the failure it would be if all ended now."""
        with writing(self.staging):
            write_manifest(self.staging, msgspec.structs.replace(manifest, status="failed", reason=_KILLED))

    def land(self, manifest: Manifest, *, overwrite: bool) -> None:
        """Put the run in its place, with ``manifest``; an existing run is added to, or replaced."""
        with writing(self.folder):
            if self.folder.exists() and not overwrite:
                self._add(self.staging, manifest)
            else:
                write_manifest(self.staging, manifest)
                sweep(self.staging, manifest)
                self._replace()

    def _add(self, staging: Path, manifest: Manifest) -> None:
        for path in sorted(staging.iterdir()):
            if path.name.endswith(".pt.trace.json.gz") or path.name in (
                OUTPUTS_NAME,
                LOG_NAME,
                ONEDNN_LOG,
                ONEDNN_TRACE,
            ):
                path.replace(self.folder / path.name)
        write_manifest(self.folder, manifest)
        shutil.rmtree(staging)
        sweep(self.folder, manifest)

    def _replace(self) -> None:
        aside = self.folder.with_name(f".{self.folder.name}.replaced-{os.getpid()}")
        if self.folder.exists():
            self.folder.rename(aside)
        self.staging.rename(self.folder)
        shutil.rmtree(aside, ignore_errors=True)

    def discard(self) -> None:
        """Remove the staging folder, where nothing came of it."""
        shutil.rmtree(self.staging, ignore_errors=True)


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove what an interrupted worker left and the manifest does not name, so that no viewer takes it for a round."""
    named = {round_.trace for round_ in manifest.rounds}
    named |= {manifest.primitives.log, manifest.primitives.trace} if manifest.primitives is not None else set()
    for pattern in ("*.pt.trace.json*", "*.part", f"{Path(ONEDNN_LOG).stem}*", ONEDNN_TRACE):
        for path in folder.glob(pattern):
            if path.name not in named:
                path.unlink()


def _host() -> str:
    return re.sub(r"[^\w.]", "_", platform.node()) or "host"


def what_differs(existing: Manifest, new: Manifest) -> list[str]:
    """Return in words what keeps rounds of ``new`` from being added to ``existing``; empty where nothing does."""
    pairs: list[tuple[str, object, object]] = []
    for field in ("name", "source", "batch", "weights"):
        pairs.append((f"workload.{field}", getattr(existing.workload, field), getattr(new.workload, field)))
    stacks_given_up = bool(existing.fallbacks or new.fallbacks)
    for field in ("mode", "fpmath", "lru_cache_capacity", "threads", "with_stack", "warmup", "steps"):
        if field == "with_stack" and stacks_given_up:
            continue
        pairs.append((f"settings.{field}", getattr(existing.settings, field), getattr(new.settings, field)))
    pairs.append(("settings.env", existing.settings.env, new.settings.env))
    for field in ("cpu", "cores"):
        pairs.append((f"host.{field}", getattr(existing.host, field), getattr(new.host, field)))
    # what follows is not known before the first worker has looked
    if existing.workload.inputs and new.workload.inputs:
        for field in ("inputs", "weights_sha256"):
            pairs.append((f"workload.{field}", getattr(existing.workload, field), getattr(new.workload, field)))
    if existing.torch is not None and new.torch is not None:
        for field in ("version", "wheel", "threads"):
            pairs.append((f"torch.{field}", getattr(existing.torch, field), getattr(new.torch, field)))
    if existing.python is not None and new.python is not None:
        pairs.append(("python.version", existing.python.version, new.python.version))
    return [f"{name} was {_short(a)}, is {_short(b)}" for name, a, b in pairs if a != b]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "…"
