"""One batch of an index: some folders of traces → one Parquet file per table and month; a worker runs this.

The file of ``sources`` is written last, and whole: until it is there, nothing of the batch counts, so that a worker may
end at any moment. A batch is named by what it is made of: the same batch again writes the same files.
"""

from __future__ import annotations

import gc
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from profkit.errors import InputError, ProfkitError
from profkit.fleet.columns import SCHEMA, arrow_schema
from profkit.fleet.rows import Collected, Origin, add_run, add_trace, now, origin_of_run
from profkit.fleet.sources import File, Folder, readable
from profkit.fleet.storage import Storage
from profkit.locations import Place, explained
from profkit.onednn.join import Joined, join
from profkit.onednn.log import read_log
from profkit.runs.manifest import Manifest, Round
from profkit.runs.store import MANIFEST_NAME, ONEDNN_LOG, ONEDNN_TRACE, read_manifest
from profkit.scratch import scratch_folder
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading.reader import read

SOURCES = "sources"
BESIDE = (MANIFEST_NAME, ONEDNN_LOG, ONEDNN_TRACE)
"""Files of a run beside its traces, which are read with any of them."""
_UNKNOWN = "unknown"  # the month of rows without a date
_ROW_GROUP = 1 << 20  # rows
_PIECE = 4 << 20  # bytes of a file that are hashed at a time


class Options(msgspec.Struct, frozen=True):
    """How traces are read: the memory limit in bytes, the annotation of a forward, names for those without manifest."""

    memory_limit: int
    forward: str | None = None
    label: str | None = None
    workload: str | None = None


class Batch(msgspec.Struct, frozen=True):
    """The files that one worker indexes at a time.

    ``known`` are hashes of content that is indexed already, with a manifest; ``bare`` of content without one, which is
    read again where there is a manifest now.
    """

    folders: tuple[Folder, ...]
    known: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        """How many files there are."""
        return sum(len(folder.files) for folder in self.folders)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(folder.bytes for folder in self.folders)

    @property
    def name(self) -> str:
        """The name: a hash of the files and the version of the tables."""
        parts = [SCHEMA, *(f"{folder.shown_path(f)}\n{f.stamp}" for folder in self.folders for f in folder.files)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    def __repr__(self) -> str:
        """Short, and without hashes: clusters log the arguments of tasks."""
        return f"<Batch {self.name[:8]}: {self.files} files>"

    def split(self) -> list[Batch]:
        """Return the batch in two halves, by folders and then by traces; a batch of one trace only as itself."""
        if len(self.folders) > 1:
            middle = len(self.folders) // 2
            halves = [self.folders[:middle], self.folders[middle:]]
        else:
            (folder,) = self.folders
            beside = [file for file in folder.files if file.name in BESIDE]  # goes with each trace
            traces = [file for file in folder.files if file.name not in BESIDE]
            parts = [traces[: len(traces) // 2], traces[len(traces) // 2 :]]
            halves = [(folder.only([*beside, *part]),) for part in parts if part] or [self.folders]
        return [msgspec.structs.replace(self, folders=half) for half in halves]


class Done(msgspec.Struct, frozen=True):
    """What became of the files of a batch, counted; ``bytes`` is their size."""

    indexed: int
    copies: int
    failed: int
    bytes: int


def index_batch(batch: Batch, index: str, options: Options) -> Done:
    """Read the files of ``batch`` and write their rows to the index at ``index``.

    A file that cannot be read is a row in ``failures``. Raises OutputError if the index cannot be written.
    """
    indexing = _Indexing(batch, options)
    for folder in batch.folders:
        indexing.folder(folder)
    write(Storage(index), batch.name, indexing.collected)
    # an exception's traceback, and a trace's columns in cycles, keep memory until the next collection
    gc.collect()
    return indexing.done(batch.bytes)


def write_failure(batch: Batch, index: str, reason: str) -> Done:
    """Write a batch whose files cannot be indexed, because the worker that tried was lost every time."""
    indexing = _Indexing(batch, Options(0))
    for folder in batch.folders:
        for file in folder.files:
            indexing.failed(folder, file, indexing.origin(folder, "", None), reason)
    write(Storage(index), batch.name, indexing.collected)
    return indexing.done(batch.bytes)


class _Indexing:
    """The rows of one batch, as its files are read."""

    def __init__(self, batch: Batch, options: Options) -> None:
        self.collected = Collected()
        self._name = batch.name
        self._options = options
        self._seen = set(batch.known)
        self._bare = set(batch.bare)
        self._states: dict[str, int] = {}
        self._manifest_key = ""  # of the folder that is read now

    def done(self, size: int) -> Done:
        indexed, copies, failed = (self._states.get(state, 0) for state in ("indexed", "copy", "failed"))
        return Done(indexed, copies, failed, size)

    def origin(self, folder: Folder, key: str, manifest: Manifest | None) -> Origin:
        inner, _, outer = folder.shown.partition("::")
        if inner.endswith("://"):  # at the root of an archive, whose name is all there is
            inner = outer.rpartition("/")[0] + "/" + outer.rpartition("/")[2].partition(".")[0]
        parts = inner.rstrip("/").split("/")
        label = self._options.label or (parts[-2] if len(parts) > 1 and parts[-2] else parts[-1])
        return origin_of_run(self._name, key, folder.shown, manifest, (label, self._options.workload or parts[-1]))

    def folder(self, folder: Folder) -> None:
        """Add the rows of a folder: of its traces, and of its manifest if it has one."""
        names = {file.name: file for file in folder.files}
        with _opened(folder) as local:
            manifest, rounds = None, dict[str, Round]()
            has_manifest = MANIFEST_NAME in names
            if has_manifest:
                manifest = self._manifest(folder, names, local)
                rounds = {round_.trace: round_ for round_ in manifest.rounds} if manifest is not None else {}
            for file in folder.files:
                if file.name in BESIDE:
                    continue
                if has_manifest and file.name not in rounds:
                    self._source(folder, file, "", "left out")  # beside the traces of the manifest, or it is damaged
                else:
                    self._trace(folder, file, local, manifest, rounds.get(file.name))

    def _manifest(self, folder: Folder, names: Mapping[str, File], local: _Local) -> Manifest | None:
        """Add the rows of a manifest and of oneDNN's log; return the manifest, None if it cannot be read."""
        file, log, trace = names[MANIFEST_NAME], names.get(ONEDNN_LOG), names.get(ONEDNN_TRACE)
        try:
            with local.file(file) as path:
                key, manifest = _hash(path), read_manifest(path.parent)
                self._manifest_key = key
        except ProfkitError as error:
            self.failed(folder, file, self.origin(folder, "", None), _in_words(error))
            return None
        origin = self.origin(folder, key, manifest)
        self._source(folder, file, key, "indexed")
        joined: Joined | None = None
        if manifest.primitives is not None and log is not None and trace is not None:
            try:
                joined = self._joined(local, log, trace)
            except ProfkitError as error:
                self.failed(folder, log, origin, _in_words(error))
                log = None
        for beside in (log, trace):
            if beside is not None:
                self._source(folder, beside, "", "beside")
        add_run(self.collected, origin, manifest, joined)
        return manifest

    def _joined(self, local: _Local, log: File, trace: File) -> Joined:
        with local.file(log) as log_path, local.file(trace) as trace_path:
            limit = self._options.memory_limit
            options = ReadOptions(limit, use_cache=False)
            return join(read_log(log_path, limit), read(trace_path, detail=Detail.NONE, options=options))

    def _trace(
        self, folder: Folder, file: File, local: _Local, manifest: Manifest | None, round_: Round | None
    ) -> None:
        origin = self.origin(folder, "", manifest)
        try:
            with local.file(file) as path:
                key = _hash(path)
                if key in self._seen or (manifest is None and key in self._bare):
                    self._source(folder, file, key, "copy")
                    return
                origin = msgspec.structs.replace(origin, trace=key)
                options = ReadOptions(self._options.memory_limit, use_cache=False)
                trace = read(path, detail=Detail.SHAPES, options=options)
                path_shown = folder.shown_path(file)
                samples = manifest.workload.batch if manifest is not None else None
                add_trace(self.collected, origin, trace, path_shown, file.bytes, round_, self._options.forward, samples)
        except ProfkitError as error:
            self.failed(folder, file, origin, _in_words(error))
            return
        except Exception as error:  # an error of profkit costs this file, not the whole index
            self.failed(folder, file, origin, f"profkit failed: {type(error).__name__}: {error}. Please report it.")
            return
        self._seen.add(key)
        self._source(folder, file, key, "indexed", manifest=None if manifest is None else self._manifest_key)

    def failed(self, folder: Folder, file: File, origin: Origin, why: str) -> None:
        """Add the row of a file that cannot be read."""
        self.collected.add("failures", origin, path=folder.shown_path(file), what=why)
        self._source(folder, file, origin.trace, "failed")

    def _source(self, folder: Folder, file: File, key: str, state: str, manifest: str | None = None) -> None:
        self._states[state] = self._states.get(state, 0) + (file.name != MANIFEST_NAME or state == "failed")
        self.collected.add_source(
            batch=self._name,
            path=folder.shown_path(file),
            stamp=file.stamp,
            bytes=file.bytes,
            trace=key or None,
            manifest=manifest,
            state=state,
            written=now(),
        )


def _in_words(error: ProfkitError) -> str:
    """Return an error without the place, which has a column of its own."""
    return f"{error.what.rstrip('.')}. {error.hint}".strip()


def _hash(path: Path) -> str:
    """Return the hash by which content is known: the first half of its SHA-256, of the bytes as they are stored."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()[:32]


class _Local:
    """Makes the files of a folder local: those of a URL are copied into a scratch folder, one at a time."""

    def __init__(self, folder: Folder, scratch: Path | None) -> None:
        self._folder = folder
        self._scratch = scratch
        self._place = Place(folder.root) if folder.root else None

    @contextmanager
    def file(self, file: File) -> Iterator[Path]:
        """Give the local path of a file; raises InputError if it is gone or cannot be fetched."""
        if self._scratch is None or self._place is None:
            path = Path(self._folder.url, file.name)
            if not path.is_file():
                raise InputError("is gone, or not a regular file", where=path)
            yield path
            return
        target = self._scratch / readable(file.name)
        try:
            with explained(self._folder.shown_path(file), "cannot be fetched"):
                self._place.files.get_file(f"{self._folder.url}/{file.name}", str(target))
            yield target
        finally:
            target.unlink(missing_ok=True)


@contextmanager
def _opened(folder: Folder) -> Iterator[_Local]:
    if not folder.root:
        yield _Local(folder, None)
        return
    with scratch_folder() as scratch:
        yield _Local(folder, scratch)


def write(storage: Storage, batch: str, collected: Collected) -> None:
    """Write the rows of a batch: those of ``sources`` last, which makes the others count."""
    for table, columns in collected.tables.items():
        if table != SOURCES and columns[0]:
            for month, content in _by_month(table, columns):
                storage.write(f"{table}/month={month}/{batch}.parquet", content)
    storage.write(f"{SOURCES}/{batch}.parquet", _parquet(_table(SOURCES, collected.tables[SOURCES])))


def _table(table: str, columns: Sequence[list[Any]]) -> Any:
    import pyarrow

    schema = arrow_schema(table)
    try:
        arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    except UnicodeEncodeError:  # a name with half of a surrogate pair
        texts = [[readable(v) if isinstance(v, str) else v for v in column] for column in columns]
        arrays = [pyarrow.array(column, field.type) for column, field in zip(texts, schema, strict=True)]
    return pyarrow.table(arrays, schema=schema)


def _by_month(table: str, columns: Sequence[list[Any]]) -> Iterator[tuple[str, bytes]]:
    import pyarrow.compute as compute

    whole = _table(table, columns)
    # the date is null, or YYYY-MM-DD: see rows.day_of
    months = compute.fill_null(compute.utf8_slice_codeunits(whole["date"], 0, 7), _UNKNOWN)
    for month in sorted(set(months.to_pylist())):
        yield month, _parquet(whole.filter(compute.equal(months, month)))


def _parquet(table: Any) -> bytes:
    import pyarrow.parquet as parquet

    target = io.BytesIO()
    parquet.write_table(table, target, compression="zstd", row_group_size=_ROW_GROUP)
    return target.getvalue()
