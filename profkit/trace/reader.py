"""Bytes → columns: reads a Chrome trace as PyTorch writes it, into a :class:`Trace`.

Scope: the JSON object format with ``traceEvents``, plain or gzipped. Spans (phase ``X``) become rows, in file
order; every other record is counted by its phase. Times are made exact: whole microseconds as they are, and
microseconds with decimals from the nearest float64 where that determines the nanosecond, else from their text.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from profkit.errors import InputError
from profkit.trace import dialect
from profkit.trace.table import Events, Ids, Integers, Trace

GZIP_MAGIC = b"\x1f\x8b"
SIZE_LIMIT = 4 << 30  # bytes of JSON; a small gzip can hide much more
_READ_PIECE = 1 << 24

# The nearest float64 to a time with three decimals lies within half a nanosecond of it below this many µs
# (2**43 µs is 101 days; its spacing there is 0.98 ns), so rounding float * 1000 gives the exact nanosecond.
EXACT_FLOAT_US = float(1 << 43)

_T = TypeVar("_T")


class _Args(msgspec.Struct, gc=False):
    """The arguments of an event that the columns need."""

    ev_idx: int = msgspec.field(name="Ev Idx", default=-1)
    profiler_event_index: int = msgspec.field(name="Profiler Event Index", default=-1)
    input_dims: msgspec.Raw = msgspec.field(name="Input Dims", default=msgspec.Raw(b""))


class _Event(msgspec.Struct, gc=False):
    """One record of ``traceEvents``; pid and tid are texts on the profiler's own track."""

    ph: str
    name: str = ""
    cat: str = ""
    pid: int | str = 0
    tid: int | str = 0
    ts: int | float = 0
    dur: int | float = 0
    args: _Args | None = None


class _File(msgspec.Struct, gc=False):
    """The top level of a trace."""

    events: list[_Event] = msgspec.field(name="traceEvents")
    base_ns: int = msgspec.field(name="baseTimeNanoseconds", default=0)
    profkit: dict[str, Any] = msgspec.field(default_factory=dict)


class _ExactEvent(msgspec.Struct, gc=False):
    """The times of a record as exact decimals, for files in which a float64 loses nanoseconds."""

    ph: str
    ts: Decimal = Decimal(0)
    dur: Decimal = Decimal(0)


class _ExactFile(msgspec.Struct, gc=False):
    events: list[_ExactEvent] = msgspec.field(name="traceEvents")


_NO_ARGS = _Args()


def read(path: str | Path, *, size_limit: int = SIZE_LIMIT) -> Trace:
    """Read the trace at ``path`` (``.json`` or ``.json.gz``, told apart by content).

    Raises InputError when the file is missing, damaged, no trace, or larger than ``size_limit`` bytes unpacked.
    """
    return parse(load_bytes(Path(path), size_limit), str(path))


def load_bytes(path: Path, size_limit: int) -> bytes:
    """Return the file's bytes, unpacked if they are gzipped."""
    try:
        with path.open("rb") as stream:
            if stream.read(2) != GZIP_MAGIC:
                stream.seek(0)
                data = stream.read(size_limit + 1)
            else:
                stream.seek(0)
                data = _unpack(stream, size_limit)
    except IsADirectoryError:
        raise InputError("is a folder, not a trace file", where=path) from None
    except FileNotFoundError:
        raise InputError("no such file", where=path, hint="Check the path.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        hint = "Copy it again from where it was made; a partly copied gzip cannot be unpacked."
        raise InputError(f"the gzip is damaged ({error})", where=path, hint=hint) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", where=path) from None
    if len(data) > size_limit:
        raise InputError(f"holds more than {size_limit >> 20} MiB of JSON, the limit", where=path)
    return data


def _unpack(stream: Any, size_limit: int) -> bytes:
    pieces: list[bytes] = []
    room = size_limit + 1
    with gzip.GzipFile(fileobj=stream) as unpacked:
        while room > 0 and (piece := unpacked.read(min(_READ_PIECE, room))):
            pieces.append(piece)
            room -= len(piece)
    return b"".join(pieces)


def parse(data: bytes, source: str) -> Trace:
    """Parse the JSON of a trace; ``source`` names it in errors."""
    file = _decode(data, source)
    spans = [event for event in file.events if event.ph == "X"]
    others = Counter(event.ph for event in file.events if event.ph != "X")
    args = [event.args or _NO_ARGS for event in spans]
    start_ns, duration_ns, resolution_ns = _times(spans, data)
    names, name = _intern(event.name for event in spans)
    categories, category = _intern(event.cat for event in spans)
    tracks, track = _intern((event.pid, event.tid) for event in spans)
    dims, shape = _intern(bytes(a.input_dims) for a in args)
    shapes, shape = _without_blank(dims, shape)
    events = Events(
        start_ns=start_ns,
        duration_ns=duration_ns,
        name=name,
        category=category,
        track=track,
        shape=shape,
        index=np.array([max(a.ev_idx, a.profiler_event_index) for a in args], dtype=np.int64),
    )
    return Trace(
        source=source,
        events=events,
        names=tuple(names),
        categories=tuple(categories),
        tracks=tuple(tracks),
        shapes=tuple(shapes),
        resolution_ns=resolution_ns,
        base_ns=file.base_ns,
        other_events=dict(others),
        metadata=file.profkit,
    )


def _decode(data: bytes, source: str) -> _File:
    if not data.strip():
        raise InputError("is empty", where=source, hint="The program that wrote it may have been stopped.")
    try:
        return msgspec.json.decode(data, type=_File)
    except msgspec.ValidationError as error:
        if "missing required field `traceEvents`" in str(error):
            raise InputError(
                "is JSON, but no PyTorch trace: it has no traceEvents",
                where=source,
                hint="Pass a file written by torch.profiler (export_chrome_trace or tensorboard_trace_handler).",
            ) from None
        raise InputError(f"is no PyTorch trace: {error}", where=source) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "The file is damaged or cut short; capture it again, or copy it again from where it was made."
        raise InputError(f"is not valid JSON: {error}", where=source, hint=hint) from None


def _times(spans: Sequence[_Event], data: bytes) -> tuple[Integers, Integers, int]:
    """Return start and duration in ns, and the clock's resolution in ns."""
    ts = np.array([event.ts for event in spans] or [0])[: len(spans)]
    dur = np.array([event.dur for event in spans] or [0])[: len(spans)]
    if ts.dtype.kind == "i" and dur.dtype.kind == "i":
        return ts * 1_000, dur * 1_000, dialect.RESOLUTION_COARSE_NS
    if max(np.abs(ts).max(initial=0), np.abs(dur).max(initial=0)) < EXACT_FLOAT_US:
        start_ns, duration_ns = (np.rint(v * 1_000.0).astype(np.int64) for v in (ts, dur))
    else:
        exact = [e for e in msgspec.json.decode(data, type=_ExactFile).events if e.ph == "X"]
        start_ns = np.array([int(e.ts.scaleb(3).to_integral_value()) for e in exact], dtype=np.int64)
        duration_ns = np.array([int(e.dur.scaleb(3).to_integral_value()) for e in exact], dtype=np.int64)
    return start_ns, duration_ns, dialect.RESOLUTION_FINE_NS


def _intern(values: Iterable[_T]) -> tuple[list[_T], Ids]:
    """Return the distinct values in order of appearance, and each value's position among them."""
    positions: dict[_T, int] = {}
    ids = np.fromiter((positions.setdefault(value, len(positions)) for value in values), dtype=np.int32)
    return list(positions), ids


def _without_blank(values: list[bytes], ids: Ids) -> tuple[list[str], Ids]:
    """Drop the blank value, its rows becoming -1, and return the rest as text."""
    if b"" not in values:
        return [value.decode() for value in values], ids
    blank = values.index(b"")
    moved = np.where(ids == blank, -1, ids - (ids > blank)).astype(np.int32)
    return [value.decode() for value in values if value], moved
