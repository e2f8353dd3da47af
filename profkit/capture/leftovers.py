"""Recovers what a killed capture left beside a run's folder: its complete rounds become part of the run.

Only folders of this user and this machine are touched. The caller has the lock of the run, which a living capture of
this machine would hold; one of another machine may be alive although its lock is not seen here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from profkit.capture.run_folder import add_files, remove, remove_unnamed_files
from profkit.errors import CaptureError, InputError
from profkit.files import is_plain_name, is_regular_file
from profkit.locks import is_of_this_machine, machine_tag
from profkit.runs import MANIFEST_NAME, Manifest, read_manifest, write_manifest
from profkit.runs.configuration import identity_differences
from profkit.runs.manifest import Round

CAPTURING = "capturing"  # a staging folder, whose rounds are added to the run
REPLACING = "replacing"  # a staging folder, which takes the place of the run
REPLACED = "replaced"  # a run whose place was taken


def name_of(folder: Path, purpose: str) -> str:
    """Return the name of this process's folder beside the run's ``folder``, for one of the purposes above."""
    return f".{folder.name}.{purpose}-{machine_tag()}-{os.getpid()}"


def recover(folder: Path, *, replaces_all: bool) -> None:
    """Finish or undo what killed captures left beside ``folder``; with ``replaces_all`` the run is not needed any more.

    Raises CaptureError if complete rounds cannot be added, because a run of another configuration is there by now;
    InputError if a manifest that was left is not valid; OSError if a folder cannot be written.
    """
    for left in _left(folder, REPLACING):
        # its manifest is complete only when the run was about to be replaced, or had been moved away already
        if folder.exists() or not _become_the_run(left, folder):
            remove(left)
    for left in _left(folder, CAPTURING):
        _recover_rounds(left, folder, replaces_all=replaces_all)
    for left in _left(folder, REPLACED):
        if folder.exists():
            remove(left)
        else:
            left.rename(folder)


def _left(folder: Path, purpose: str) -> Iterator[Path]:
    """Yield the folders with ``purpose`` that processes of this user on this machine made beside ``folder``."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.{purpose}-([0-9a-z.]+)-\d+")
    for path in sorted(folder.parent.iterdir()):
        found = pattern.fullmatch(path.name)
        if found and is_of_this_machine(found[1]) and _is_own(path):
            yield path


def _is_own(path: Path) -> bool:
    return not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid()


def _recover_rounds(left: Path, folder: Path, *, replaces_all: bool) -> None:
    """Add the complete rounds in a staging folder to the run; they become the run if there is none."""
    if not folder.exists():
        if not _become_the_run(left, folder):
            remove(left)
        return
    found = _manifest_of(left)
    if found is None:
        remove(left)
        return
    try:
        before = read_manifest(folder)
    except InputError:
        if replaces_all:
            remove(left)
        return  # the caller says what is wrong with the run; nothing is lost until that is mended
    merged = _merged(before, found, [r for r in found.rounds if _has_trace(r, left, folder)])
    if merged is None:
        raise CaptureError(
            "holds rounds that a killed capture left, of another configuration than the run beside it",
            where=left,
            hint="Move it away, or remove it.",
        )
    add_files(left, folder, merged)


def _become_the_run(left: Path, folder: Path) -> bool:
    """Rename a staging folder to the run's folder, with the rounds whose traces are there; False if there is none."""
    found = _manifest_of(left)
    rounds = [r for r in found.rounds if _has_trace(r, left)] if found is not None else []
    if found is None or not rounds:
        return False
    if rounds != found.rounds:
        found = msgspec.structs.replace(found, rounds=_numbered(rounds))
        write_manifest(left, found)
    remove_unnamed_files(left, found)
    left.rename(folder)
    return True


def _manifest_of(left: Path) -> Manifest | None:
    """Return the manifest in a staging folder; None if no round was finished. Raises InputError if it is not valid."""
    return read_manifest(left) if (left / MANIFEST_NAME).exists() else None


def _merged(before: Manifest, found: Manifest, rounds: list[Round]) -> Manifest | None:
    """Return the manifest of a run with the rounds that were left; None if they are of another configuration."""
    if rounds[: len(before.rounds)] == before.rounds:
        return msgspec.structs.replace(found, rounds=rounds, status=before.status, reason=before.reason)
    if identity_differences(before, found):
        return None
    known = {r.trace for r in before.rounds}  # another capture has added rounds since
    added = [r for r in rounds if r.trace not in known]
    warnings = list(dict.fromkeys([*before.warnings, *found.warnings]))
    return msgspec.structs.replace(before, rounds=_numbered([*before.rounds, *added]), warnings=warnings)


def _numbered(rounds: list[Round]) -> list[Round]:
    return [msgspec.structs.replace(round_, index=index) for index, round_ in enumerate(rounds)]


def _has_trace(round_: Round, *folders: Path) -> bool:
    """Whether the trace of a round is in one of the folders: some may have been moved when the capture was killed."""
    return is_plain_name(round_.trace) and any(is_regular_file(folder / round_.trace) for folder in folders)
