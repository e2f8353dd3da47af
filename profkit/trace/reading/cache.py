"""Parsed columns in the user's cache folder, so that reading a large trace again is instant.

An entry is found by the content of the trace (SHA-256) and the detail it was read with. Its format is a magic line, the
length of a JSON head, the head, the columns' bytes, and the SHA-256 of all that: an entry of another format, or a
damaged one, is ignored. Nothing in it is unpickled or executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from profkit.files import Buffer, write_whole
from profkit.trace.events import Events, Trace, TraceHead
from profkit.trace.options import Detail
from profkit.trace.reading.cache_folder import SUFFIX, folder, keep_bound

FORMAT = 5  # raise it with every change of the stored data, or of the way a file is read
_MAGIC = b"profkit columns\n"
_HASH_BYTES = 32
_LENGTH_BYTES = 8


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
        data = path.read_bytes()
        if not data.startswith(_MAGIC) or hashlib.sha256(data[:-_HASH_BYTES]).digest() != data[-_HASH_BYTES:]:
            return None
        at = len(_MAGIC) + _LENGTH_BYTES
        end = at + int.from_bytes(data[len(_MAGIC) : at], "little")
        entry = msgspec.json.decode(data[at:end], type=_Entry)
        if entry.format != FORMAT or entry.content != content:
            return None
        events = Events.of(**dict(_columns(entry, data, end)))
        os.utime(path)  # used now: among the last to be removed
    except (OSError, msgspec.DecodeError, ValueError, TypeError):
        return None
    return Trace.of(source, events, entry.head)


def _columns(entry: _Entry, data: bytes, at: int) -> Iterator[tuple[str, np.ndarray]]:
    for column in entry.columns:
        dtype = np.dtype(column.dtype)
        yield column.name, np.frombuffer(data, dtype, column.length, at)
        at += dtype.itemsize * column.length


def store(trace: Trace, content: str, detail: Detail) -> None:
    """Store ``trace``, which was read with ``detail`` from a file of that hash. A cache that cannot be written is
    not an error.
    """
    columns = {name: np.ascontiguousarray(column) for name, column in trace.events.stored.items()}
    described = [_Column(name, column.dtype.str, len(column)) for name, column in columns.items()]
    with contextlib.suppress(OSError, UnicodeEncodeError, OverflowError, RecursionError):
        # the latter three for a name with half of a surrogate pair, and for metadata that is beyond what can be stored
        text = msgspec.json.encode(_Entry(FORMAT, content, described, trace.head))
        path = _path(content, Path(trace.source).stat().st_size, detail)
        path.parent.mkdir(parents=True, exist_ok=True)
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
