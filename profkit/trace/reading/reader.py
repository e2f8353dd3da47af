"""Bytes → columns; the fast path.

Scope: the JSON object format with ``traceEvents``, plain or gzipped, as PyTorch writes it. Spans (phase ``X``) become
rows, in file order; every other record is counted by its phase. The text is decoded in pieces, on two cores where
that pays; a file that cannot be cut is decoded whole.
"""

from __future__ import annotations

import gzip
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from profkit.arrays import Ids
from profkit.errors import InputError
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.options import DEFAULT, MEMORY_LIMIT, Detail, ReadOptions
from profkit.trace.reading import cache
from profkit.trace.reading.cache_folder import content_hash, is_worthwhile
from profkit.trace.reading.decode import FAR_NS, Columns, decode, no_collector
from profkit.trace.reading.parallel import ChildLostError, Job, TooLargeError, decode_pieces
from profkit.trace.reading.pieces import GZIP_ERRORS, CannotCutError, Piece, Unpacker, is_gzip
from profkit.trace.reading.repair import Repaired, coerce, repair

# what a strict parse may say of a damaged file
DAMAGED: tuple[type[Exception], ...] = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    OverflowError,
    RecursionError,
    *GZIP_ERRORS,
)
_IN_ONE_PIECE: tuple[type[Exception], ...] = (CannotCutError, ChildLostError, *DAMAGED)
_READ_BYTES = 1 << 24
_PACKED_BYTES = 1 << 16


def read(path: str | Path, *, detail: Detail = Detail.ALL, options: ReadOptions = DEFAULT) -> Trace:
    """Read the trace at ``path`` (``.json`` or ``.json.gz``, told apart by content).

    ``detail`` names what is wanted beyond names, times and tracks; what ties device work to operators is read
    whenever the file has any. A large file's columns are kept in the user's cache, and taken from there when the
    same content is read again. A damaged file is mended as far as it can be, and the trace says how. Raises
    InputError when the file is missing, beyond mending, no trace, or would take more memory than ``options`` allow.
    """
    path = Path(path)
    with _in_words(path):
        job = Job.of(path, detail, options.memory_limit)
        content = content_hash(path) if options.use_cache and is_worthwhile(path) else None
        if content is not None and (known := cache.load(path, content, job.detail)) is not None:
            return known
        trace = _read(job)
        if Detail.DEVICE not in job.detail and trace.has_category(dialect.DEVICE).any():
            job = job._replace(detail=job.detail | Detail.DEVICE)  # a file whose head hides its devices
            trace = _read(job)
        if content is not None:
            cache.store(trace, content, job.detail)
    return trace


def _read(job: Job) -> Trace:
    try:
        return assemble(decode_pieces(job), str(job.path))
    except TooLargeError:
        raise too_large(job.path, job.memory_limit) from None
    except _IN_ONE_PIECE:
        text, cut_short = load_text(job.path, job.memory_limit)
        return parse(text, str(job.path), job.detail, {"gzip cut short": 1} if cut_short else {})


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except IsADirectoryError:
        raise InputError("is a folder, not a trace file", where=path) from None
    except FileNotFoundError:
        raise InputError("no such file", where=path, hint="Check the path.") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", where=path) from None


def parse(data: bytes, source: str, detail: Detail = Detail.ALL, repairs: Mapping[str, int] | None = None) -> Trace:
    """Parse the JSON text of a whole trace, mending it where it must be; ``source`` names it in errors."""
    if not data.strip():
        raise InputError("is empty", where=source, hint="The program that wrote it may have been stopped.")
    try:
        with no_collector():
            return assemble([decode(Piece("whole", data), detail)], source, repairs)
    except DAMAGED as error:
        mended = mend_text(data)
        if mended is None:
            raise _refusal(error, source) from None
    try:
        with no_collector():
            columns = decode(Piece("whole", mended.text), detail)
    except DAMAGED as error:
        raise _refusal(error, source) from None
    return assemble([columns], source, {**(repairs or {}), **mended.defects.counts})


def mend_text(data: bytes) -> Repaired | None:
    """Return the text as strict JSON whose fields have the right types; None where there is no trace in it."""
    try:
        mended = repair(data)
        if mended is None:
            return None
        try:
            decode(Piece("whole", mended.text), Detail.ALL)
            return mended
        except DAMAGED:
            text = coerce(mended.text, mended.defects)
            return None if text is None else Repaired(text, mended.defects)
    except RecursionError:  # brackets within brackets, thousands deep: nothing that a profiler wrote
        return None


def load_text(path: Path, memory_limit: int) -> tuple[bytes, bool]:
    """Return the whole JSON text of a trace, and whether its gzip is cut short.

    Raises InputError where it takes more than a third of the limit: the decoded events take about twice the text.
    """
    limit = memory_limit // 3
    parts: list[bytes] = []
    unpack = Unpacker() if is_gzip(path) else None
    with path.open("rb") as stream:
        while packed := stream.read(_READ_BYTES if unpack is None else _PACKED_BYTES):
            parts.append(packed if unpack is None else unpack(packed, limit + 1))
            limit -= len(parts[-1])
            if limit < 0:
                raise too_large(path, memory_limit)
            if unpack is not None and unpack.damaged:
                hint = "Copy it again from where it was made."
                raise InputError(f"the gzip is damaged ({unpack.damaged})", where=path, hint=hint)
    if unpack is not None and not unpack.whole and not any(parts):
        raise InputError("the gzip is cut short before its first event", where=path)
    return b"".join(parts), unpack is not None and not unpack.whole


def too_large(path: Path, memory_limit: int) -> InputError:
    hint = "Raise --memory-limit if the file is what you expect it to be."
    return InputError(f"would take more than {memory_limit >> 20} MiB, the memory limit", where=path, hint=hint)


def _refusal(error: Exception, source: object) -> InputError:
    text = str(error)
    if "missing required field `traceEvents`" in text:
        return InputError(
            "is JSON, but no PyTorch trace: it has no traceEvents",
            where=source,
            hint="Pass a file written by torch.profiler (export_chrome_trace or tensorboard_trace_handler).",
        )
    if isinstance(error, RecursionError):
        return InputError("is no PyTorch trace: it is nested too deeply", where=source)
    if isinstance(error, msgspec.ValidationError):
        return InputError(f"is no PyTorch trace: {text}", where=source)
    if "invalid character (byte 0)" in text:
        hint = "Pass a file written by torch.profiler (export_chrome_trace or tensorboard_trace_handler)."
        return InputError("is no trace: it is not valid JSON from its first byte on", where=source, hint=hint)
    hint = "The file is damaged or cut short; capture it again, or copy it again from where it was made."
    return InputError(f"is not valid JSON: {text}", where=source, hint=hint)


def assemble(parts: Sequence[Columns], source: str, repairs: Mapping[str, int] | None = None) -> Trace:
    """Join the columns of a file's pieces, which are emptied, and split what their signatures hold."""
    signatures: dict[Any, int] = {}
    signature = _renumber([(p.signature, p.signatures) for p in parts], signatures)
    coarse = all(part.coarse for part in parts)
    start_ns = _join([_ns(_taken(p, "start"), p.coarse) for p in parts])
    duration_ns = _join([_ns(_taken(p, "duration"), p.coarse) for p in parts])
    index = _join([_column(_taken(p, "index")) for p in parts])
    # what only records that are no spans have is left out of the tables
    used = np.bincount(signature, minlength=len(signatures)) > 0
    signature = (np.cumsum(used) - 1)[signature]
    kept = [s for s, is_used in zip(signatures, used.tolist(), strict=True) if is_used]
    names, name_of = _distinct([s[2] for s in kept])
    categories, category_of = _distinct([s[1] for s in kept])
    tracks, track_of = _distinct([(s[3], s[4]) for s in kept])
    tables: dict[str, tuple[str, ...]] = {}
    extra: dict[str, Any] = {}
    for name in ("shape", "external_id", "correlation", "call_stack", "module"):
        extra[name], tables[name] = _extra(parts, name, len(signature))
    others: Counter[str] = Counter()
    head: dict[str, Any] = {}
    flows: list[Any] = []
    for part in parts:
        others.update(part.others)
        flows += [tuple(flow) for flow in part.head.pop("flows", ())]
        head.update({key: value for key, value in part.head.items() if value})
    return Trace(
        source=source,
        events=Events(
            start_ns=start_ns,
            duration_ns=duration_ns,
            name=name_of[signature],
            category=category_of[signature],
            track=track_of[signature],
            index=index,
            **extra,
        ),
        names=tuple(names),
        categories=tuple(categories),
        tracks=tuple(tracks),
        shapes=tables["shape"],
        call_stacks=tables["call_stack"],
        hierarchies=tables["module"],
        resolution_ns=dialect.RESOLUTION_COARSE_NS if coarse else dialect.RESOLUTION_FINE_NS,
        flow_records=tuple(flows),
        base_ns=head.get("base_ns", 0),
        dialect=dialect.recognise(head.get("beginning", b""), not coarse),
        devices=head.get("devices", 0),
        other_events=dict(others),
        metadata=head.get("profkit", {}),
        repairs=dict(repairs or {}),
    )


def _extra(parts: Sequence[Columns], name: str, length: int) -> tuple[Any, tuple[str, ...]]:
    """Join a column that only some detail brings, with its table if it has one; all -1, at no cost, without it."""
    if not parts or name not in parts[0].extra:
        return np.broadcast_to(np.int64(-1), length), ()
    if name not in parts[0].tables:
        return _join([_column(p.extra[name]) for p in parts]), ()
    table: dict[Any, int] = {}
    column = _renumber([(p.extra[name], p.tables[name]) for p in parts], table)
    return column.astype(np.int64), tuple(table)


def _taken(part: Columns, name: str) -> array[int]:
    """Return a column of a piece and let the piece forget it: of a large file, two copies are too many."""
    column: array[int] = getattr(part, name)
    setattr(part, name, array(column.typecode))
    return column


def _column(values: array[int]) -> Any:
    """Return an array's values without copying them."""
    return np.frombuffer(values, dtype=np.int32 if values.typecode == "i" else np.int64)


def _ns(values: array[int], coarse: bool) -> Any:
    column = _column(values)
    if not coarse:
        return column
    far = FAR_NS // 1_000
    if len(column) and (column.max() > far or column.min() < -far):
        column = np.clip(column, -far, far)
    return column * 1_000


def _join(columns: Sequence[Any]) -> Any:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _renumber(columns: Sequence[tuple[Any, Sequence[Any]]], known: dict[Any, int]) -> Ids:
    """Join columns whose numbers point into tables of their own; ``known`` becomes the table of all."""
    joined = []
    for values, table in columns:
        column = _column(values)
        moved = np.array([known.setdefault(value, len(known)) for value in table] or [-1], dtype=np.int32)
        joined.append(np.where(column < 0, -1, moved[column]).astype(np.int32))
    result: Ids = _join(joined)
    return result


def _distinct(values: Sequence[Any]) -> tuple[list[Any], Ids]:
    """Return the distinct values in order of appearance, and each value's position among them."""
    positions: dict[Any, int] = {}
    ids = [positions.setdefault(value, len(positions)) for value in values]
    return list(positions), np.array(ids, dtype=np.int32)


def write_mended(path: Path, target: Path, *, memory_limit: int = MEMORY_LIMIT) -> Mapping[str, int]:
    """Write the mended trace of ``path`` to ``target`` (gzipped where its name ends in .gz); return what was mended.

    A file that needs no mending is written as it is. Raises InputError as :func:`read` does.
    """
    with _in_words(path):
        text, cut_short = load_text(path, memory_limit)
    parse(text, str(path))  # says in words where there is nothing to mend
    repairs: dict[str, int] = {"gzip cut short": 1} if cut_short else {}
    try:
        decode(Piece("whole", text), Detail.ALL)
    except DAMAGED:
        mended = mend_text(text)
        if mended is not None:
            text = mended.text
            repairs |= mended.defects.counts
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(gzip.compress(text, 6, mtime=0) if target.suffix == ".gz" else text)
    part.replace(target)
    return repairs
