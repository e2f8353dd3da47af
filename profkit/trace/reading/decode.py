"""A chunk of a trace's JSON → columns: typed msgspec structs with only the wanted fields, then plain arrays.

Times are exact: whole microseconds as they are; microseconds with decimals from the nearest float64 if that
determines the nanosecond, else from their decimal text.
"""

from __future__ import annotations

import gc
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec

from profkit.trace.options import Detail
from profkit.trace.reading.chunks import Chunk

# The nearest float64 to a time with three decimals lies within half a nanosecond of it below this many µs
# (2**43 µs is 101 days; its spacing there is 0.98 ns), so rounding float * 1000 gives the exact nanosecond.
EXACT_FLOAT_US = float(1 << 43)

Signature = tuple[str, str, str, int | str, int | str]
"""The part of an event that repeats: phase, category, name, pid, tid."""


@dataclass(slots=True)
class Columns:
    """The spans of one chunk in file order; texts are interned per chunk.

    All columns have one value per span. ``start`` and ``duration`` are whole microseconds if ``coarse``, else
    nanoseconds. ``signature`` holds positions in ``signatures``; each column of ``extra`` that has a table in
    ``tables`` holds positions in it, the others hold ids; -1 means none. ``others`` counts the records that are not
    spans, by phase. ``head`` holds the members of the file around the events, and its flow records.
    """

    start: array[int]
    duration: array[int]
    signature: array[int]
    index: array[int]
    signatures: list[Signature]
    coarse: bool
    others: dict[str, int]
    extra: dict[str, array[int]] = field(default_factory=dict)
    tables: dict[str, list[str]] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)


class _Intern(dict[Any, int]):
    """Gives each new key the next number."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


_RAW = msgspec.Raw(b"")
# Longer times are clipped to this, so that the sum of two fits 64 bits.
FAR_NS = 1 << 61  # 73 years, and beyond the epoch times of this century
_BEGINNING = 1 << 16  # bytes from which the dialect is recognised: the head and some hundred events
_SPAN = frozenset({"X"})
_FLOW_PHASES = frozenset({"s", "t", "f"})
_INDEX_KEYS = ("Ev Idx", "Profiler Event Index")
_DECIMALS = re.compile(rb'"ts":\s*-?[0-9]+\.')
# Decoding a Literal returns the one string object of the type: no string is made, and its hash is cached.
_PHASES = Literal["X", "M", "i", "s", "f", "t", "C", "n", "b", "e"]
_CATEGORIES = Literal[
    "",
    "cpu_op",
    "user_annotation",
    "python_function",
    "cuda_runtime",
    "cuda_driver",
    "kernel",
    "gpu_memcpy",
    "gpu_memset",
    "gpu_user_annotation",
    "ac2g",
    "fwdbwd",
    "cpu_instant_event",
    "overhead",
    "cuda_sync",
    "Trace",
    "Operator",
    "Runtime",
    "Kernel",
    "Memcpy",
    "Memset",
    "async",
    "async_gpu",
    "async_cpu_to_gpu",
]
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


class Flavour(NamedTuple):
    """A guess at how a file is written, which allows faster types; a chunk that differs is decoded by general types.

    ``time`` is the type of all its times, ``index_key`` the name of the event index.
    """

    time: Any = int | float
    index_key: str | None = None


GENERAL = Flavour()


def sniff(beginning: bytes) -> Flavour:
    """Guess the flavour of a file from its first bytes."""
    keys = [key for key in _INDEX_KEYS if key.encode() in beginning]
    if len(keys) != 1:
        return GENERAL
    return Flavour(float if _DECIMALS.search(beginning) else int, keys[0])


@cache
def _types(detail: Detail, flavour: Flavour) -> tuple[type, Any, type]:
    """Return the types of a file, of a list of events and of an event's arguments, with the fields of ``detail``."""
    keys = [flavour.index_key] if flavour.index_key else _INDEX_KEYS
    fields: list[tuple[str, Any, Any]] = [
        (f"index_{place}", int, msgspec.field(name=key, default=-1)) for place, key in enumerate(keys)
    ]
    for flag, extra in _DETAIL_FIELDS.items():
        if flag in detail:
            fields += [(name, kind, msgspec.field(name=key, default=default)) for name, kind, key, default in extra]
    arguments = msgspec.defstruct("Arguments", fields, gc=False)
    event = msgspec.defstruct(
        "Event",
        [
            ("ph", _PHASES if flavour.index_key else str, ""),
            ("name", str, ""),
            ("cat", _CATEGORIES if flavour.index_key else str, ""),
            ("pid", int | str, 0),
            ("tid", int | str, 0),
            ("ts", flavour.time, 0),
            ("dur", flavour.time, 0),
            ("args", arguments | None, None),
            *([("id", int | str, -1)] if Detail.FLOWS in detail else []),
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
            ("distributed", Any, msgspec.field(name="distributedInfo", default=None)),
            ("host", Any, msgspec.field(name="host_name", default=None)),
        ],
        gc=False,
    )
    return file, list[event], arguments  # type: ignore[valid-type]


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


class _ExactEvent(msgspec.Struct, gc=False):
    """The times of a record as exact decimals, for times at which a float64 loses nanoseconds."""

    ph: str = ""
    ts: Decimal = Decimal(0)
    dur: Decimal = Decimal(0)


class _ExactFile(msgspec.Struct, gc=False):
    events: list[_ExactEvent] = msgspec.field(name="traceEvents")


@contextmanager
def no_collector() -> Iterator[None]:
    """Disable the cyclic garbage collector: it would visit every event repeatedly, and none is in a cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def decode(chunk: Chunk, detail: Detail, flavour: Flavour = GENERAL) -> Columns:
    """Decode one chunk; raises msgspec's errors or OverflowError if it is not strict JSON of the expected types."""
    try:
        return _decode(chunk, detail, flavour)
    except msgspec.ValidationError:
        if flavour is GENERAL:
            raise
        return _decode(chunk, detail, GENERAL)


def _decode(chunk: Chunk, detail: Detail, flavour: Flavour) -> Columns:
    file_type, events_type, arguments_type = _types(detail, flavour)
    head: dict[str, Any] = {}
    if _is_array(chunk):
        events = _decoder(events_type).decode(chunk.text)
    else:
        file = _decoder(file_type).decode(chunk.text)
        events = file.events
        head = {"base_ns": file.base_ns, "profkit": file.profkit, "devices": len(file.devices)}
        head |= {"distributed": file.distributed, "host": file.host}
    if chunk.place in ("whole", "first"):
        head["beginning"] = bytes(chunk.text[:_BEGINNING])
    return _columns(events, chunk, detail, arguments_type(), head)


def _is_array(chunk: Chunk) -> bool:
    """Whether the chunk is a JSON array: from the middle of a file, or a whole file of the exporter before kineto."""
    return chunk.place == "middle" or (chunk.place == "whole" and bytes(chunk.text[:64]).lstrip().startswith(b"["))


def _columns(events: Sequence[Any], chunk: Chunk, detail: Detail, nothing: Any, head: dict[str, Any]) -> Columns:
    intern = _Intern()
    number = intern.__getitem__
    signature = [number((e.ph, e.cat, e.name, e.pid, e.tid)) for e in events]
    signatures: list[Signature] = list(intern)
    phases = [s[0] for s in signatures]
    others: dict[str, int] = {}
    if any(phase != "X" for phase in phases):
        if Detail.FLOWS in detail:
            head["flows"] = _flows(events, chunk)
        others = Counter(phase for phase in map(phases.__getitem__, signature) if phase != "X")
        events = [event for event in events if event.ph == "X"]
        signature = [code for code in signature if phases[code] == "X"]
    arguments = [event.args or nothing for event in events]
    start, duration, coarse = _times(events, chunk)
    extra, tables = _details(arguments, detail)
    index = [a.index_0 for a in arguments]
    if hasattr(nothing, "index_1"):
        index = _either(index, [a.index_1 for a in arguments])
    return Columns(
        start=start,
        duration=duration,
        signature=array("i", signature),
        index=array("q", index),
        signatures=signatures,
        coarse=coarse,
        others=dict(others),
        extra=extra,
        tables=tables,
        head=head,
    )


def _flows(events: Sequence[Any], chunk: Chunk) -> list[tuple[Any, ...]]:
    """Return the ends of flows: phase, category, id, pid, tid, ns."""
    ends = [event for event in events if event.ph in _FLOW_PHASES]
    if not ends:
        return []
    times, _, coarse = _times(ends, chunk, only=_FLOW_PHASES)
    factor = 1_000 if coarse else 1
    return [(e.ph, e.cat, e.id, e.pid, e.tid, ns * factor) for e, ns in zip(ends, times, strict=True)]


def _either(newer: list[int], older: list[int]) -> list[int]:
    """Return the value under the newer key, or under the older one if the newer is missing."""
    return [b if a < 0 else a for a, b in zip(newer, older, strict=True)]


def _times(events: Sequence[Any], chunk: Chunk, only: frozenset[str] = _SPAN) -> tuple[array[int], array[int], bool]:
    """Return start and duration, and whether they are whole µs (all values are integers) rather than ns.

    ``events`` are those of the chunk whose phase is in ``only``.
    """
    ts, dur = [e.ts for e in events], [e.dur for e in events]
    try:
        return array("q", ts), array("q", dur), True
    except TypeError:  # not all are integers
        pass
    except OverflowError:
        near = [[max(-FAR_NS, min(FAR_NS, int(v) * 1_000)) for v in values] for values in (ts, dur)]
        return array("q", near[0]), array("q", near[1]), False
    if max(map(abs, ts), default=0) < EXACT_FLOAT_US and max(map(abs, dur), default=0) < EXACT_FLOAT_US:
        return array("q", [round(v * 1_000.0) for v in ts]), array("q", [round(v * 1_000.0) for v in dur]), False
    kind: Any = list[_ExactEvent] if _is_array(chunk) else _ExactFile
    found = _decoder(kind).decode(chunk.text)
    exact = [e for e in (found if _is_array(chunk) else found.events) if e.ph in only]
    return array("q", [_exact_ns(e.ts) for e in exact]), array("q", [_exact_ns(e.dur) for e in exact]), False


def _exact_ns(microseconds: Any) -> int:
    return max(-FAR_NS, min(FAR_NS, int(microseconds.scaleb(3).to_integral_value())))


def _details(arguments: Sequence[Any], detail: Detail) -> tuple[dict[str, array[int]], dict[str, list[str]]]:
    """Return the columns of ``detail``, and the tables of the interned ones; -1 means none."""
    extra: dict[str, array[int]] = {}
    tables: dict[str, list[str]] = {}
    if Detail.SHAPES in detail:
        shapes = (bytes(a.input_dims) or bytes(a.input_dims_1_8) for a in arguments)
        extra["shape"], tables["shape"] = _intern_texts(s.decode() for s in shapes)
    if Detail.DEVICE in detail:
        external = _either([a.external_id for a in arguments], [a.external_id_1_8 for a in arguments])
        extra["external_id"] = array("q", external)
        extra["correlation"] = array("q", [a.correlation for a in arguments])
    if Detail.STACKS in detail:
        extra["call_stack"], tables["call_stack"] = _intern_texts(a.call_stack for a in arguments)
        extra["module"], tables["module"] = _intern_texts(a.module_hierarchy for a in arguments)
    return extra, tables


def _intern_texts(texts: Iterable[str]) -> tuple[array[int], list[str]]:
    """Return each text's position in the table of distinct ones, -1 for an empty text, and the table."""
    intern: dict[str, int] = {"": -1}
    column = array("q", [_number(intern, text) for text in texts])
    return column, [text for text in intern if text]


def _number(intern: dict[str, int], text: str) -> int:
    number = intern.get(text)
    if number is None:
        intern[text] = number = len(intern) - 1
    return number
