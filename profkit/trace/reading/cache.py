"""Parsed columns in the user's cache folder, so that reading a large trace again is instant.

An entry is found by the content of the trace (SHA-256) and the detail it was read with. Its format is a magic line, the
length of a JSON head, the head, the columns' bytes, and the SHA-256 of all that: an entry of another format, a damaged
one, or one whose columns and tables do not fit together, is ignored. Nothing in it is unpickled or executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from profkit.errors import InputError
from profkit.files import Buffer, is_regular_file, open_regular, remove_dead_parts, write_whole
from profkit.trace.events import Events, Trace, TraceHead
from profkit.trace.options import Detail
from profkit.trace.reading.cache_folder import BOUND_BYTES, SUFFIX, folder, keep_bound

FORMAT = 5  # raise it with every change of the stored data, or of the way a file is read
_MAGIC = b"profkit columns\n"
_HASH_BYTES = 32
_LENGTH_BYTES = 8
_FURTHEST_NS = 1 << 62  # of a time, on either side of 0: the sum of a start and a duration fits into an int64
_COLUMN_TYPES = ("<i4", "<i8")
# the table that a column's values are positions in, and the least value: -1 says that an event has none
_POSITIONS = {
    "name": ("names", 0),
    "category": ("categories", 0),
    "track": ("tracks", 0),
    "shape": ("shapes", -1),
    "call_stack": ("call_stacks", -1),
    "module": ("hierarchies", -1),
}


class _Column(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    length: int


class _Entry(msgspec.Struct, frozen=True):
    """The JSON head of an entry: everything of a trace but its columns."""

    format: int
    content: str
    columns: list[_Column]
    head: TraceHead


def _path(content: str, size: int, detail: Detail) -> Path:
    return folder() / f"{size}-{content[:40]}-{detail.value}{SUFFIX}"


def load(path: Path, content: str, detail: Detail) -> Trace | None:
    """Return the trace at ``path``, whose hash is ``content``, if it was stored with at least ``detail``, or None.

    Raises OSError if there is no file at ``path``.
    """
    for value in range(Detail.ALL.value + 1):
        if value & detail.value == detail.value:
            trace = _load(_path(content, path.stat().st_size, Detail(value)), content, str(path))
            if trace is not None:
                return trace
    return None


def _load(path: Path, content: str, source: str) -> Trace | None:
    try:
        with open_regular(path) as stream:
            data = stream.read() if os.fstat(stream.fileno()).st_size <= BOUND_BYTES else b""
        if not data.startswith(_MAGIC) or hashlib.sha256(data[:-_HASH_BYTES]).digest() != data[-_HASH_BYTES:]:
            return None
        at = len(_MAGIC) + _LENGTH_BYTES
        end = at + int.from_bytes(data[len(_MAGIC) : at], "little")
        entry = msgspec.json.decode(data[at:end], type=_Entry)
        if entry.format != FORMAT or entry.content != content:
            return None
        events = Events.of(**_columns(entry, data, end))
        _check(events, entry.head)
        os.utime(path)  # used now: among the last to be removed
    except (OSError, InputError, msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return None
    return Trace.of(source, events, entry.head)


def _columns(entry: _Entry, data: bytes, at: int) -> dict[str, np.ndarray]:
    """Return the columns, which end where the hash begins; raises ValueError if they do not."""
    columns: dict[str, np.ndarray] = {}
    for column in entry.columns:
        if column.dtype not in _COLUMN_TYPES or column.length != entry.columns[0].length or column.name in columns:
            raise ValueError(column.name)
        columns[column.name] = np.frombuffer(data, column.dtype, column.length, at)
        at += columns[column.name].nbytes
    if at != len(data) - _HASH_BYTES:
        raise ValueError("length")
    return columns


def _check(events: Events, head: TraceHead) -> None:
    """Raise ValueError if a value cannot come from reading a trace."""
    stored = events.stored
    for name, (table, least) in _POSITIONS.items():
        _require_within(stored.get(name), least, len(getattr(head, table)) - 1)
    _require_within(stored.get("start_ns"), -_FURTHEST_NS, _FURTHEST_NS)
    _require_within(stored.get("duration_ns"), -_FURTHEST_NS, _FURTHEST_NS)
    counts = [*head.other_events.values(), *head.repairs.values(), head.devices]
    if head.resolution_ns < 1 or min(counts) < 0 or any(abs(flow[-1]) > _FURTHEST_NS for flow in head.flow_records):
        raise ValueError("head")


def _require_within(column: np.ndarray | None, least: int, most: int) -> None:
    if column is not None and len(column) and not (least <= column.min() and column.max() <= most):
        raise ValueError("a value is out of bounds")


def store(trace: Trace, content: str, detail: Detail) -> None:
    """Store ``trace``, which was read with ``detail`` from a file of that hash. A cache that cannot be written is
    not an error.
    """
    columns = {name: np.ascontiguousarray(column) for name, column in trace.events.stored.items()}
    described = [_Column(name, column.dtype.str, len(column)) for name, column in columns.items()]
    with contextlib.suppress(OSError, UnicodeEncodeError):  # the latter for a name with half of a surrogate pair
        text = msgspec.json.encode(_Entry(FORMAT, content, described, trace.head))
        path = _path(content, Path(trace.source).stat().st_size, detail)
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_dead_parts(path.parent)
        if not is_regular_file(path):
            path.unlink(missing_ok=True)  # a pipe, for example, which would be written into
        length = len(text).to_bytes(_LENGTH_BYTES, "little")
        write_whole(path, _hashed([_MAGIC, length, text, *(column.data for column in columns.values())]))
        keep_bound()


def _hashed(chunks: list[Buffer]) -> Iterator[Buffer]:
    """Yield the chunks, and then the hash of all of them."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    yield digest.digest()
