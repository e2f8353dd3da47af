"""Parsed columns in the user's cache folder, so that a second look at a large trace is instant.

An entry is found by the content of the trace (SHA-256) and by the detail it was read with. It is written aside and
renamed, ends in a hash of itself, and names its own format: one that is stale, foreign or damaged is never believed.
Nothing in it is unpickled or executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import msgspec
import numpy as np

from profkit.trace.events import Events, Trace
from profkit.trace.options import Detail
from profkit.trace.reading.cache_folder import SUFFIX, folder, keep_bound

FORMAT = 2  # to be raised with any change of what is stored, or of what reading means
_MAGIC = b"profkit columns\n"
_HASH_BYTES = 32


class _Column(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    length: int


class _Head(msgspec.Struct, frozen=True):
    """All of a trace but its columns."""

    format: int
    content: str
    columns: list[_Column]
    names: list[str]
    categories: list[str]
    tracks: list[tuple[int | str, int | str]]
    shapes: list[str]
    call_stacks: list[str]
    hierarchies: list[str]
    flow_records: list[tuple[str, str, int | str, int | str, int | str, int]]
    resolution_ns: int
    base_ns: int
    dialect: str
    devices: int
    other_events: dict[str, int]
    metadata: msgspec.Raw
    repairs: dict[str, int]


def _entry(content: str, size: int, detail: Detail) -> Path:
    return folder() / f"{size}-{content[:40]}-{detail.value}{SUFFIX}"


def load(path: Path, content: str, detail: Detail) -> Trace | None:
    """Return the trace at ``path`` as it was parsed before with at least ``detail``, or None."""
    for value in range(Detail.ALL.value + 1):
        if value & detail.value == detail.value:
            entry = _entry(content, path.stat().st_size, Detail(value))
            trace = _load(entry, content, str(path))
            if trace is not None:
                return trace
    return None


def _load(entry: Path, content: str, source: str) -> Trace | None:
    try:
        data = entry.read_bytes()
        if not data.startswith(_MAGIC) or hashlib.sha256(data[:-_HASH_BYTES]).digest() != data[-_HASH_BYTES:]:
            return None
        at = len(_MAGIC) + 8
        end = at + int.from_bytes(data[len(_MAGIC) : at], "little")
        head = msgspec.json.decode(data[at:end], type=_Head)
        if head.format != FORMAT or head.content != content:
            return None
        columns = dict(_columns(head, data, end))
        events = Events(**{f.name: columns.get(f.name, _nothing(columns)) for f in fields(Events)})
        os.utime(entry)  # used now: among the last to go
    except (OSError, msgspec.DecodeError, ValueError, KeyError, TypeError):
        return None
    return Trace(
        source=source,
        events=events,
        names=tuple(head.names),
        categories=tuple(head.categories),
        tracks=tuple(head.tracks),
        shapes=tuple(head.shapes),
        call_stacks=tuple(head.call_stacks),
        hierarchies=tuple(head.hierarchies),
        flow_records=tuple(head.flow_records),
        resolution_ns=head.resolution_ns,
        base_ns=head.base_ns,
        dialect=head.dialect,
        devices=head.devices,
        other_events=head.other_events,
        metadata=msgspec.json.decode(head.metadata),
        repairs=head.repairs,
    )


def _columns(head: _Head, data: bytes, at: int) -> Iterator[tuple[str, np.ndarray]]:
    for column in head.columns:
        dtype = np.dtype(column.dtype)
        yield column.name, np.frombuffer(data, dtype, column.length, at)
        at += dtype.itemsize * column.length


def _nothing(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.broadcast_to(np.int64(-1), len(columns["start_ns"]))


def store(trace: Trace, content: str, detail: Detail) -> None:
    """Keep ``trace``, read with ``detail``; a cache that cannot be written is none, and no error."""
    columns = {f.name: getattr(trace.events, f.name) for f in fields(Events)}
    columns = {name: column for name, column in columns.items() if column.strides != (0,)}  # what was not asked for
    head = _Head(
        format=FORMAT,
        content=content,
        columns=[_Column(name, column.dtype.str, len(column)) for name, column in columns.items()],
        names=list(trace.names),
        categories=list(trace.categories),
        tracks=list(trace.tracks),
        shapes=list(trace.shapes),
        call_stacks=list(trace.call_stacks),
        hierarchies=list(trace.hierarchies),
        flow_records=list(trace.flow_records),
        resolution_ns=trace.resolution_ns,
        base_ns=trace.base_ns,
        dialect=trace.dialect,
        devices=trace.devices,
        other_events=dict(trace.other_events),
        metadata=msgspec.Raw(msgspec.json.encode(trace.metadata)),
        repairs=dict(trace.repairs),
    )
    entry = _entry(content, Path(trace.source).stat().st_size, detail)
    part = entry.with_name(f".{entry.name}.part-{os.getpid()}")
    try:
        text = msgspec.json.encode(head)
        entry.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with part.open("wb") as stream:
            contents = [np.ascontiguousarray(column).data for column in columns.values()]
            for piece in (_MAGIC, len(text).to_bytes(8, "little"), text, *contents):
                digest.update(piece)  # type: ignore[arg-type]  # an array's memory is a buffer of bytes
                stream.write(piece)  # type: ignore[arg-type]  # an array's memory is a buffer of bytes
            stream.write(digest.digest())
        part.replace(entry)
        keep_bound()
    except (OSError, UnicodeEncodeError):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
