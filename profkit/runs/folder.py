"""Runs on disk: finding them, reading and writing their manifests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from profkit.errors import InputError
from profkit.runs.manifest import Manifest

MANIFEST_NAME = "profkit.json"
OUTPUTS_NAME = "outputs.npz"
LOG_NAME = "worker.log"
MANIFEST_LIMIT = 64 << 20  # bytes


@dataclass(frozen=True)
class Run:
    """A folder of traces with its manifest, or other people's traces without one.

    ``traces`` are in order of the rounds; with a manifest only those that it names, so that what a killed
    process left beside them is not believed.
    """

    path: Path
    traces: tuple[Path, ...]
    manifest: Manifest | None = None

    @property
    def workload(self) -> str:
        """The workload's name; without a manifest the folder's."""
        if self.manifest is not None:
            return self.manifest.workload.name
        return self.path.name

    @property
    def label(self) -> str:
        return self.manifest.label if self.manifest is not None else str(self.path)

    @property
    def outputs(self) -> Path | None:
        """The model's saved outputs, if there are any."""
        path = self.path / OUTPUTS_NAME
        return path if self.manifest is not None and path.is_file() else None


def find_runs(path: str | Path) -> list[Run]:
    """Return the runs at ``path``: one trace file, or all runs of a folder at any depth, sorted by path.

    A folder with a manifest is a run; elsewhere the traces of each folder are one. Raises InputError where there
    is nothing, or a manifest cannot be read.
    """
    path = Path(path)
    if path.is_file():
        if path.name == MANIFEST_NAME:
            return [_with_manifest(path.parent)]
        return [Run(path, (path,))]
    if not path.exists():
        raise InputError("no such file or folder", where=path, hint="Check the path.")
    runs = list(_walk(path))
    if not runs:
        hint = "Pass a folder of .json or .json.gz traces, such as profkit capture writes, or one trace file."
        raise InputError("no trace in this folder", where=path, hint=hint)
    return runs


def _walk(top: Path) -> Iterator[Run]:
    def unreadable(error: OSError) -> None:
        raise InputError(f"cannot be read ({error.strerror})", where=error.filename)

    for folder, subfolders, names in os.walk(top, onerror=unreadable):
        # a dotted folder is a capture under way
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if MANIFEST_NAME in names:
            subfolders.clear()
            yield _with_manifest(Path(folder))
        elif traces := [Path(folder, name) for name in sorted(names) if name.endswith((".json", ".json.gz"))]:
            yield Run(Path(folder), tuple(traces))


def _with_manifest(folder: Path) -> Run:
    manifest = read_manifest(folder)
    traces = []
    for round_ in manifest.rounds:
        if Path(round_.trace).name != round_.trace:
            raise InputError(f"names a trace outside its folder: {round_.trace!r}", where=folder / MANIFEST_NAME)
        traces.append(folder / round_.trace)
    return Run(folder, tuple(traces), manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the run in ``folder``; raises InputError when it is damaged or of another schema."""
    path = folder / MANIFEST_NAME
    try:
        with path.open("rb") as stream:
            data = stream.read(MANIFEST_LIMIT)
        return msgspec.json.decode(data, type=Manifest)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "It may be of a newer profkit, or damaged; without it the traces beside it can still be read."
        raise InputError(f"is no run manifest: {error}", where=path, hint=hint) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest whole or not at all."""
    part = folder / (MANIFEST_NAME + ".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    part.replace(folder / MANIFEST_NAME)
