"""The files of a run's folder while it is filed: which belong to it, and how new ones get there."""

from __future__ import annotations

import shutil
from pathlib import Path

from profkit.files import is_regular_file
from profkit.runs import OUTPUTS_NAME, Manifest, write_manifest
from profkit.runs.store import LOG_NAME, ONEDNN_LOG, ONEDNN_TRACE, TRACE_ENDING

_FILES_OF_A_RUN = (OUTPUTS_NAME, LOG_NAME, ONEDNN_LOG, ONEDNN_TRACE)  # beside its traces and its manifest


def add_files(staging: Path, folder: Path, manifest: Manifest) -> None:
    """Move the files of a staging folder into the run's folder, then replace the manifest; raises OSError.

    If this is interrupted, the staging folder still has its manifest, and the next capture goes on with it.
    """
    remove_links(staging)
    for path in sorted(staging.iterdir()):
        if path.name.endswith(TRACE_ENDING) or path.name in _FILES_OF_A_RUN:
            path.replace(folder / path.name)
    write_manifest(folder, manifest)
    shutil.rmtree(staging)
    remove_unnamed_files(folder, manifest)


def remove_unnamed_files(folder: Path, manifest: Manifest) -> None:
    """Remove the files of an interrupted worker that the manifest does not name: viewers would show them as rounds."""
    named = {round_.trace for round_ in manifest.rounds}
    named |= {manifest.primitives.log, manifest.primitives.trace} if manifest.primitives is not None else set()
    for pattern in ("*.pt.trace.json*", "*.part", ".*.part-*", f"{Path(ONEDNN_LOG).stem}*", ONEDNN_TRACE):
        for path in folder.glob(pattern):
            if path.name not in named and not _is_folder(path):
                path.unlink()


def remove_links(staging: Path) -> None:
    """Remove links and special files, which the model may have made: what a capture files are regular files."""
    for path in staging.iterdir():
        if not is_regular_file(path) and not _is_folder(path):
            path.unlink()


def remove(path: Path) -> None:
    """Remove a folder with what is in it, or a file that has its name; raises OSError."""
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
