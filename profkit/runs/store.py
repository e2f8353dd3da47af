"""Runs on disk: finding them, reading and writing their manifests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from profkit.errors import InputError, UsageError
from profkit.files import is_plain_name, open_regular, read_bounded, write_whole
from profkit.runs.candidates import no_trace, skipped_in_words, traces_in
from profkit.runs.evidence import copies_in_words, find_copies
from profkit.runs.manifest import Manifest, upgrade_run_1
from profkit.shortening import LONGEST, listed

MANIFEST_NAME = "profkit.json"
OUTPUTS_NAME = "outputs.npz"
LOG_NAME = "worker.log"
ONEDNN_LOG = "onednn.log.gz"
ONEDNN_TRACE = "onednn.trace.json.gz"
TRACE_ENDING = ".pt.trace.json.gz"  # of the traces that captures write, as TensorBoard expects
RUNS_NAMED = 8  # of a folder, in a message
MANIFEST_LIMIT = 64 << 20  # bytes; a manifest of 1,000 rounds takes less than 2 MiB


class Run(msgspec.Struct, frozen=True):
    """A folder of traces with its manifest, or traces without a manifest.

    ``traces`` are in order of the rounds. With a manifest they are the files that it names: files that a killed
    process left beside them do not count. Copies of a trace, and their rounds in the manifest, are left out: a copy is
    no evidence. ``warnings`` name what is left out.
    """

    path: Path
    traces: tuple[Path, ...]
    manifest: Manifest | None = None
    warnings: tuple[str, ...] = ()

    @property
    def workload(self) -> str:
        """The name of the workload; without a manifest, of the folder or the file."""
        if self.manifest is not None:
            return self.manifest.workload.name
        return trace_name(self.path)

    @property
    def label(self) -> str:
        """The label of the configuration; without a manifest, the path."""
        return self.manifest.label if self.manifest is not None else str(self.path)

    @property
    def title(self) -> str:
        """Label and workload; without a manifest, the path."""
        return f"{self.label} {self.workload}" if self.manifest is not None else str(self.path)

    @property
    def outputs(self) -> Path | None:
        """The file of the model's outputs (npz), or None."""
        path = self.path / OUTPUTS_NAME
        return path if self.manifest is not None and path.is_file() else None

    @property
    def onednn_log(self) -> Path | None:
        """The file of oneDNN's verbose log (gzip), or None."""
        return self._file_of_pass(ONEDNN_LOG)

    @property
    def onednn_trace(self) -> Path | None:
        """The trace of the forwards in that log, or None; printing the log makes its times longer."""
        return self._file_of_pass(ONEDNN_TRACE)

    def _file_of_pass(self, name: str) -> Path | None:
        found = self.manifest is not None and self.manifest.primitives is not None and (self.path / name).is_file()
        return self.path / name if found else None

    def require_traces(self) -> None:
        """Raise InputError, with the reason why the capture failed, if there is no trace."""
        if not self.traces:
            reason = self.manifest.reason if self.manifest is not None else None
            what = f"this run holds no trace{f': {reason}' if reason else ''}"
            raise InputError(what, where=self.path, hint="Capture it again.")


def find_runs(path: str | Path) -> list[Run]:
    """Return the runs at ``path``: one trace file, or all runs of a folder at any depth, sorted by path.

    A folder with a manifest is a run; without one, the traces of a folder are a run. Raises InputError if no run is
    found or a manifest cannot be read.
    """
    path = Path(path)
    if path.is_file():
        if path.name == MANIFEST_NAME:
            return [_with_manifest(path.parent)]
        return [Run(path, (path,))]
    if not path.exists():
        raise InputError("no such file or folder", where=path, hint="Check the path.")
    if not path.is_dir():
        open_regular(path).close()  # says what it is: a pipe, a device
    runs = list(_walk(path))
    if not runs:
        raise no_trace(path)
    return runs


def one_run(path: str | Path) -> Run:
    """Return the run at ``path``; raises UsageError, naming them, if there are several, InputError if there is none."""
    runs = find_runs(path)
    if len(runs) > 1:
        shown = listed([str(run.path) for run in runs], LONGEST, RUNS_NAMED)
        raise UsageError(f"{path} holds {len(runs)} runs: {shown}", hint="Name one of them.")
    return runs[0]


def walk_folders(top: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each folder below ``top`` once, links followed, with its subfolders and files by name.

    Clear the list of subfolders to leave them out. Raises InputError for a folder that cannot be read.
    """

    def unreadable(error: OSError) -> None:
        raise InputError(f"cannot be read ({error.strerror})", where=error.filename)

    seen: set[str] = set()
    for folder, subfolders, names in os.walk(top, onerror=unreadable, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder above it
            subfolders.clear()
            continue
        seen.add(real)
        # the name of a folder that is still being captured starts with a dot
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield Path(folder), subfolders, names


def _walk(top: Path) -> Iterator[Run]:
    for folder, subfolders, names in walk_folders(top):
        if MANIFEST_NAME in names:
            subfolders.clear()
            yield _with_manifest(folder)
        else:
            found = traces_in(folder, names)
            if found.traces:
                yield _without_copies(Run(folder, found.traces, warnings=skipped_in_words(found.others)))


def _with_manifest(folder: Path) -> Run:
    manifest = read_manifest(folder)
    traces = []
    for round_ in manifest.rounds:
        if not is_plain_name(round_.trace):
            raise InputError(f"names a trace outside its folder: {round_.trace!r}", where=folder / MANIFEST_NAME)
        traces.append(folder / round_.trace)
    return _without_copies(Run(folder, tuple(traces), manifest))


def _without_copies(run: Run) -> Run:
    """Return the run without the traces that are copies of others, and without their rounds."""
    copies = find_copies(run.traces)
    if not copies:
        return run
    kept = [position for position in range(len(run.traces)) if position not in copies]
    manifest = run.manifest
    if manifest is not None:
        manifest = msgspec.structs.replace(manifest, rounds=[manifest.rounds[position] for position in kept])
    warning = copies_in_words([run.traces[position] for position in sorted(copies)], len(run.traces))
    return Run(run.path, tuple(run.traces[position] for position in kept), manifest, (*run.warnings, warning))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the run in ``folder``; raises InputError, naming the field, if it is not valid."""
    path = folder / MANIFEST_NAME
    try:
        return _decode(read_bounded(path, MANIFEST_LIMIT).data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "It is damaged, or from a newer profkit. Move it away to read the traces without it."
        raise InputError(f"is not a valid run manifest: {error}", where=path, hint=hint) from None


def _decode(data: bytes) -> Manifest:
    """Decode ``run/2``, or ``run/1`` by way of its upgrade; raises msgspec.DecodeError."""
    if msgspec.json.decode(data, type=_Head).schema != "run/1":
        return msgspec.json.decode(data, type=Manifest)
    return msgspec.convert(upgrade_run_1(msgspec.json.decode(data, type=dict[str, Any])), type=Manifest)


class _Head(msgspec.Struct, frozen=True):
    """The field that says how to read the others."""

    schema: str


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the run in ``folder``, whole or not at all; raises OSError."""
    write_whole(folder / MANIFEST_NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def trace_name(path: Path) -> str:
    """Return the name of a folder, or of a trace file without its endings."""
    return path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".pt.trace")
