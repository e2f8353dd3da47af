"""A piece of a trace's JSON → columns. Typed msgspec structs of just the fields wanted; NumPy from there on.

Times are made exact: whole microseconds as they are, and microseconds with decimals from the nearest float64 where
that determines the nanosecond, else from their decimal text.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Flag, auto
from functools import cache
from typing import Any

import msgspec
import numpy as np

from profkit.trace.pieces import Piece
from profkit.trace.table import Ids, Integers

# The nearest float64 to a time with three decimals lies within half a nanosecond of it below this many µs
# (2**43 µs is 101 days; its spacing there is 0.98 ns), so rounding float * 1000 gives the exact nanosecond.
EXACT_FLOAT_US = float(1 << 43)

Signature = tuple[str, str, str, int | str, int | str]
"""What events share: phase, category, name, pid, tid."""


class Detail(Flag):
    """What is read beyond names, times, tracks and the event index; each costs a little time."""

    NONE = 0
    SHAPES = auto()
    DEVICE = auto()
    STACKS = auto()
    ALL = SHAPES | DEVICE | STACKS


@dataclass(slots=True)
class Columns:
    """The spans of one piece, or of several joined, in file order; texts interned by each piece for itself.

    ``signature``, ``shape`` and ``stack`` are positions in ``signatures``, ``shapes`` and ``stacks``. Times are
    integer ns. ``others`` counts the records that are no spans by phase; ``head`` is what stood around the events.
    """

    start_ns: Integers
    duration_ns: Integers
    signature: Ids
    index: Integers
    signatures: list[Signature]
    coarse: bool
    others: dict[str, int]
    extra: dict[str, Integers] = field(default_factory=dict)
    tables: dict[str, list[str]] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)


class _Intern(dict[Any, int]):
    """Gives each new key the next number."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


_RAW = msgspec.Raw(b"")
_FAR_NS = 1 << 61  # 73 years, and beyond the epoch times of this century
_BEGINNING = 1 << 16  # bytes that the dialect is recognised by
_INDEX_FIELDS = [("ev_idx", int, "Ev Idx"), ("profiler_event_index", int, "Profiler Event Index")]
_DETAIL_FIELDS: dict[Detail, list[tuple[str, Any, str, Any]]] = {
    Detail.SHAPES: [
        ("input_dims", msgspec.Raw, "Input Dims", _RAW),
        ("input_dims_1_8", msgspec.Raw, "Input dims", _RAW),
    ],
    Detail.DEVICE: [
        ("external_id", int, "External id", -1),
        ("external_id_1_8", int, "external id", -1),
        ("correlation", int, "correlation", -1),
    ],
    Detail.STACKS: [
        ("call_stack", str, "Call stack", ""),
        ("module_hierarchy", str, "Module Hierarchy", ""),
    ],
}


@cache
def _types(detail: Detail) -> tuple[type, type, type]:
    """Return the types of a file, of a list of events and of an event's arguments, with the fields of ``detail``."""
    fields: list[tuple[str, Any, Any]] = [
        (name, kind, msgspec.field(name=key, default=-1)) for name, kind, key in _INDEX_FIELDS
    ]
    for flag, extra in _DETAIL_FIELDS.items():
        if flag in detail:
            fields += [(name, kind, msgspec.field(name=key, default=default)) for name, kind, key, default in extra]
    arguments = msgspec.defstruct("Arguments", fields, gc=False)
    event = msgspec.defstruct(
        "Event",
        [
            ("ph", str, ""),
            ("name", str, ""),
            ("cat", str, ""),
            ("pid", int | str, 0),
            ("tid", int | str, 0),
            ("ts", int | float, 0),
            ("dur", int | float, 0),
            ("args", arguments | None, None),
        ],
        gc=False,
    )
    file = msgspec.defstruct(
        "File",
        [
            ("events", list[event], msgspec.field(name="traceEvents")),  # type: ignore[valid-type]  # made just above
            ("base_ns", int, msgspec.field(name="baseTimeNanoseconds", default=0)),
            ("profkit", dict[str, Any], msgspec.field(default_factory=dict)),
            ("devices", list[Any], msgspec.field(name="deviceProperties", default_factory=list)),
        ],
        gc=False,
    )
    return file, list[event], arguments  # type: ignore[valid-type]


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


class _ExactEvent(msgspec.Struct, gc=False):
    """The times of a record as exact decimals, for files in which a float64 loses nanoseconds."""

    ph: str = ""
    ts: Decimal = Decimal(0)
    dur: Decimal = Decimal(0)


class _ExactFile(msgspec.Struct, gc=False):
    events: list[_ExactEvent] = msgspec.field(name="traceEvents")


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cyclic collector still: it would walk every event over and over, and none is in a cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def decode(piece: Piece, detail: Detail) -> Columns:
    """Decode one piece; raises msgspec's errors where it is not what a trace must be."""
    file_type, events_type, arguments_type = _types(detail)
    head: dict[str, Any] = {}
    if _is_array(piece):
        events = _decoder(events_type).decode(piece.text)
    else:
        file = _decoder(file_type).decode(piece.text)
        events = file.events
        head = {"base_ns": file.base_ns, "profkit": file.profkit, "devices": len(file.devices)}
    if piece.place in ("whole", "first"):
        head["beginning"] = bytes(piece.text[:_BEGINNING])
    return _columns(events, piece, detail, arguments_type(), head)


def _is_array(piece: Piece) -> bool:
    """A piece from the middle of a file is one, and so is a whole file of the exporter before kineto."""
    return piece.place == "middle" or (piece.place == "whole" and bytes(piece.text[:64]).lstrip().startswith(b"["))


def _columns(events: Sequence[Any], piece: Piece, detail: Detail, nothing: Any, head: dict[str, Any]) -> Columns:
    intern = _Intern()
    number = intern.__getitem__
    signature = np.array([number((e.ph, e.cat, e.name, e.pid, e.tid)) for e in events], dtype=np.int32)
    signatures: list[Signature] = list(intern)
    is_span = np.array([s[0] == "X" for s in signatures], dtype=bool)[signature] if len(events) else np.zeros(0, bool)
    others: dict[str, int] = {}
    if not is_span.all():
        for code, count in zip(*np.unique(signature[~is_span], return_counts=True), strict=True):
            phase = signatures[code][0]
            others[phase] = others.get(phase, 0) + int(count)
        events = [event for event, keep in zip(events, is_span.tolist(), strict=True) if keep]
        signature = signature[is_span]
    arguments = [event.args or nothing for event in events]
    start_ns, duration_ns, coarse = _times(events, piece)
    extra, tables = _details(arguments, detail)
    return Columns(
        start_ns=start_ns,
        duration_ns=duration_ns,
        signature=signature,
        index=_first_given([a.ev_idx for a in arguments], lambda: [a.profiler_event_index for a in arguments]),
        signatures=signatures,
        coarse=coarse,
        others=others,
        extra=extra,
        tables=tables,
        head=head,
    )


def _first_given(values: list[int], otherwise: Any) -> Integers:
    """Return the column of the newer of two names for one thing, of the older one where that is not used."""
    column = np.array(values, dtype=np.int64)
    absent = column < 0
    if absent.any():
        other = np.array(otherwise(), dtype=np.int64)
        return other if absent.all() else np.where(absent, other, column)
    return column


def _times(events: Sequence[Any], piece: Piece) -> tuple[Integers, Integers, bool]:
    """Return start and duration in ns, and whether they are whole microseconds."""
    ts = np.array([event.ts for event in events] or [0])[: len(events)]
    dur = np.array([event.dur for event in events] or [0])[: len(events)]
    if ts.dtype.kind == "i" and dur.dtype.kind == "i":
        return _bounded(ts) * 1_000, _bounded(dur) * 1_000, True
    if max(np.abs(ts).max(initial=0), np.abs(dur).max(initial=0)) < EXACT_FLOAT_US:
        start_ns, duration_ns = (np.rint(v * 1_000.0).astype(np.int64) for v in (ts, dur))
    else:
        kind: Any = list[_ExactEvent] if _is_array(piece) else _ExactFile
        found = _decoder(kind).decode(piece.text)
        exact = [e for e in (found if _is_array(piece) else found.events) if e.ph == "X"]
        start_ns, duration_ns = (
            np.array(
                [max(-_FAR_NS, min(_FAR_NS, int(v.scaleb(3).to_integral_value()))) for v in values], dtype=np.int64
            )
            for values in ([e.ts for e in exact], [e.dur for e in exact])
        )
    return start_ns, duration_ns, False


def _bounded(microseconds: Integers) -> Integers:
    """Keep times of centuries within what nanoseconds in 64 bits, and sums of two, can hold."""
    bounded: Integers = np.clip(microseconds, -_FAR_NS // 1_000, _FAR_NS // 1_000)
    return bounded


def _details(arguments: Sequence[Any], detail: Detail) -> tuple[dict[str, Integers], dict[str, list[str]]]:
    """Return the columns of ``detail``, and the tables that the interned ones point into; -1 is nothing."""
    extra: dict[str, Integers] = {}
    tables: dict[str, list[str]] = {}
    if Detail.SHAPES in detail:
        shapes = (bytes(a.input_dims) or bytes(a.input_dims_1_8) for a in arguments)
        extra["shape"], tables["shape"] = _intern_texts(s.decode() for s in shapes)
    if Detail.DEVICE in detail:
        external = [a.external_id for a in arguments]
        extra["external_id"] = _first_given(external, lambda: [a.external_id_1_8 for a in arguments])
        extra["correlation"] = np.array([a.correlation for a in arguments], dtype=np.int64)
    if Detail.STACKS in detail:
        extra["call_stack"], tables["call_stack"] = _intern_texts(a.call_stack for a in arguments)
        extra["module"], tables["module"] = _intern_texts(a.module_hierarchy for a in arguments)
    return extra, tables


def _intern_texts(texts: Iterable[str]) -> tuple[Integers, list[str]]:
    """Return each text's position in the table of distinct ones, -1 for an empty text, and the table."""
    intern = _Intern({"": -1})
    column = np.array([_number(intern, text) for text in texts], dtype=np.int64)
    return column, [text for text in intern if text]


def _number(intern: dict[Any, int], text: str) -> int:
    number = intern.get(text)
    if number is None:
        intern[text] = number = len(intern) - 1
    return number
