"""Runs on disk: finding them, reading and writing their manifests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from profkit.errors import InputError
from profkit.runs.manifest import SCHEMA, Manifest

MANIFEST_NAME = "profkit.json"
OUTPUTS_NAME = "outputs.npz"
LOG_NAME = "worker.log"
ONEDNN_LOG = "onednn.log.gz"
ONEDNN_TRACE = "onednn.trace.json.gz"
MANIFEST_LIMIT = 64 << 20  # bytes
_BEGINNING = 1 << 16


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
        """The workload's name; without a manifest the folder's or the file's."""
        if self.manifest is not None:
            return self.manifest.workload.name
        return self.path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".pt.trace")

    @property
    def label(self) -> str:
        return self.manifest.label if self.manifest is not None else str(self.path)

    @property
    def outputs(self) -> Path | None:
        """The model's saved outputs, if there are any."""
        path = self.path / OUTPUTS_NAME
        return path if self.manifest is not None and path.is_file() else None

    @property
    def onednn_log(self) -> Path | None:
        """oneDNN's verbose log of this run, if there is one."""
        return self._beside(ONEDNN_LOG)

    @property
    def onednn_trace(self) -> Path | None:
        """The trace of the forwards in that log; its times are disturbed by the printing."""
        return self._beside(ONEDNN_TRACE)

    def _beside(self, name: str) -> Path | None:
        found = self.manifest is not None and self.manifest.primitives is not None and (self.path / name).is_file()
        return self.path / name if found else None

    def require_traces(self) -> None:
        """Raise InputError, with the capture's reason, where there is no trace."""
        if not self.traces:
            reason = self.manifest.reason if self.manifest is not None else None
            what = f"this run holds no trace{f': {reason}' if reason else ''}"
            raise InputError(what, where=self.path, hint="Capture it again.")


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

    seen: set[str] = set()
    for folder, subfolders, names in os.walk(top, onerror=unreadable, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            subfolders.clear()
            continue
        seen.add(real)
        # a dotted folder is a capture under way
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if MANIFEST_NAME in names:
            subfolders.clear()
            yield _with_manifest(Path(folder))
        elif traces := _traces(Path(folder), names):
            yield Run(Path(folder), traces)


def _traces(folder: Path, names: list[str]) -> tuple[Path, ...]:
    """Return the traces among the files of a folder: those named as TensorBoard wants it, else those that look so."""
    named = [name for name in names if name.endswith((".pt.trace.json", ".pt.trace.json.gz"))]
    others = [name for name in names if name.endswith((".json", ".json.gz"))]
    return tuple(folder / name for name in sorted(named or others) if named or _looks_like_a_trace(folder / name))


def _looks_like_a_trace(path: Path) -> bool:
    """Judge by the beginning of a file; one that cannot be judged is taken, so that reading it says what is wrong."""
    try:
        with path.open("rb") as stream:
            beginning = stream.read(_BEGINNING)
    except OSError:
        return True
    return beginning.startswith((b"\x1f\x8b", b"[")) or b'"traceEvents"' in beginning


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
        return _decode(data)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "It may be of a newer profkit, or damaged. Move it away and the traces beside it are read without it."
        raise InputError(f"is no run manifest: {error}", where=path, hint=hint) from None


def _decode(data: bytes) -> Manifest:
    """Decode ``run/2``, or the older ``run/1``, which calls the pass with oneDNN's log ``kernels``."""
    if msgspec.json.decode(data, type=_Head).schema != "run/1":
        return msgspec.json.decode(data, type=Manifest)
    fields = msgspec.json.decode(data, type=dict[str, Any])
    fields["schema"], fields["primitives"] = SCHEMA, fields.pop("kernels", None)
    return msgspec.convert(fields, type=Manifest)


class _Head(msgspec.Struct, frozen=True):
    schema: str


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest whole or not at all."""
    part = folder / (MANIFEST_NAME + ".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    part.replace(folder / MANIFEST_NAME)
