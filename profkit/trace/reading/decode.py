"""A chunk of a trace's JSON → columns: typed msgspec structs with only the wanted fields, then plain arrays.

Times are exact: whole microseconds as they are; microseconds with decimals from the nearest float64 if that
determines the nanosecond, else from their decimal text.
"""

from __future__ import annotations

import gc
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from profkit.trace.options import Detail
from profkit.trace.reading.chunks import LIST_MARK, Chunk
from profkit.trace.reading.event_types import (
    GENERAL,
    ExactEvent,
    ExactFile,
    Flavour,
    count_list_keys,
    decoder,
    types_of,
)

# The nearest float64 to a time with three decimals lies within half a nanosecond of it below this many µs
# (2**43 µs is 101 days; its spacing there is 0.98 ns), so rounding float * 1000 gives the exact nanosecond.
EXACT_FLOAT_US = float(1 << 43)
# Longer times are clipped to this, so that the sum of two fits 64 bits.
FAR_NS = 1 << 61  # 73 years, and beyond the epoch times of this century
_FAR_DIGITS = 16  # a number of µs with more digits before the point is beyond FAR_NS
_BEGINNING = 1 << 16  # bytes from which the dialect is recognised: the head and some hundred events
_SPANS = frozenset({"X"})
_FLOWS = frozenset({"s", "t", "f"})
_MARKS = frozenset({"B", "E"})
_TWO_LISTS = "it does not hold one list of events"

Signature = tuple[str, str, str, int | str, int | str]
"""The part of an event that repeats: phase, category, name, pid, tid."""

NO_RECORD: Signature = ("", "", "", 0, 0)
"""The signature of ``{}``."""


class ListsError(ValueError):
    """The text does not hold one list of events: it holds two, or the list that was cut is another one."""


@dataclass(slots=True)
class Columns:
    """The spans of one chunk in file order; texts are interned per chunk.

    All columns have one value per span. ``start`` and ``duration`` are whole microseconds if ``coarse``, else
    nanoseconds. ``signature`` holds positions in ``signatures``; each column of ``extra`` that has a table in
    ``tables`` holds positions in it, the others hold ids; -1 means none. ``others`` counts the records that are not
    spans, by phase, and ``empty`` those of them that have no field at all. ``untimed`` counts the records that are left
    out because they have no start or no duration, by what is missing. ``marks`` holds the records that begin or end a
    span (B and E), with durations of 0. ``head`` holds the members of the file around the events, and its flow records.
    """

    start: array[int]
    duration: array[int]
    signature: array[int]
    index: array[int]
    signatures: list[Signature]
    coarse: bool
    others: dict[str, int] = field(default_factory=dict)
    empty: int = 0
    untimed: dict[str, int] = field(default_factory=dict)
    extra: dict[str, array[int]] = field(default_factory=dict)
    tables: dict[str, list[str]] = field(default_factory=dict)
    marks: Columns | None = None
    head: dict[str, Any] = field(default_factory=dict)


class _Intern(dict[Any, int]):
    """Gives each new key the next number."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


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
    """Decode one chunk of a file.

    Raises msgspec's errors, ValueError (ListsError is one) or OverflowError if it is not strict JSON of the expected
    types with one list of events.
    """
    found = decode_events(chunk, detail, flavour)
    if chunk.place == "middle" or _is_array(chunk):
        if holds_lists(chunk.text, found):
            raise ListsError(_TWO_LISTS)
    elif count_list_keys(bytes(chunk.text)) != 1:
        raise ListsError(_TWO_LISTS)  # msgspec would take the last of two lists
    return found


def holds_lists(text: memoryview | bytes, found: Columns) -> bool:
    """Whether one of the events of a list may be a document with a list of events of its own."""
    return bool(found.others.get("")) and count_list_keys(bytes(text)) > 0


def decode_events(chunk: Chunk, detail: Detail, flavour: Flavour = GENERAL) -> Columns:
    """Decode one chunk as :func:`decode` does, without a look at the number of its lists."""
    try:
        return _decode(chunk, detail, flavour)
    except msgspec.ValidationError:
        if flavour is GENERAL:
            raise
        return _decode(chunk, detail, GENERAL)


def _decode(chunk: Chunk, detail: Detail, flavour: Flavour) -> Columns:
    types = types_of(detail, flavour)
    head: dict[str, Any] = {}
    if _is_array(chunk):
        events = decoder(types.events).decode(chunk.text)
    else:
        file = decoder(types.file).decode(chunk.text)
        events = file.events
        head = {"base_ns": file.base_ns, "profkit": file.profkit, "devices": len(file.devices)}
        head |= {"distributed": file.distributed, "host": file.host}
    if chunk.place == "first" and (not events or events.pop().name != LIST_MARK):
        raise ListsError(_TWO_LISTS)
    if chunk.place in ("whole", "first"):
        head["beginning"] = bytes(chunk.text[:_BEGINNING])
    return _columns(events, chunk, detail, types.arguments(), head)


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
    empty, marks = 0, None
    if any(phase != "X" for phase in phases):
        others = Counter(phase for phase in map(phases.__getitem__, signature) if phase not in ("X", "B", "E"))
        empty = signature.count(intern[NO_RECORD]) if NO_RECORD in intern else 0
        if Detail.FLOWS in detail:
            head["flows"] = _flows(events, chunk)
        if not _MARKS.isdisjoint(phases):
            rows = [(event, code) for event, code in zip(events, signature, strict=True) if phases[code] in _MARKS]
            times = _times([event for event, _ in rows], chunk, _MARKS, lasting=False)
            marks = _table([e for e, _ in rows], [c for _, c in rows], signatures, times, detail, nothing)
        events = [event for event in events if event.ph == "X"]
        signature = [code for code in signature if phases[code] == "X"]
    found = _table(events, signature, signatures, _times(events, chunk, _SPANS), detail, nothing)
    found.others, found.empty, found.marks, found.head = dict(others), empty, marks, head
    return found


class _Times(NamedTuple):
    """Start and duration of events, in whole µs if ``coarse``, else in ns; ``rows`` are the events that have them.

    ``rows`` is None if all have. ``untimed`` counts the others, by what is missing.
    """

    start: array[int]
    duration: array[int]
    coarse: bool
    rows: list[int] | None = None
    untimed: dict[str, int] = {}


def _table(
    events: Sequence[Any], codes: list[int], signatures: list[Signature], times: _Times, detail: Detail, nothing: Any
) -> Columns:
    if times.rows is not None:
        events, codes = [events[row] for row in times.rows], [codes[row] for row in times.rows]
    arguments = [event.args or nothing for event in events]
    extra, tables = _details(arguments, detail)
    index = [a.index_0 for a in arguments]
    if hasattr(nothing, "index_1"):
        index = _either(index, [a.index_1 for a in arguments])
    return Columns(
        start=times.start,
        duration=times.duration,
        signature=array("i", codes),
        index=array("q", index),
        signatures=signatures,
        coarse=times.coarse,
        untimed=times.untimed,
        extra=extra,
        tables=tables,
    )


def _flows(events: Sequence[Any], chunk: Chunk) -> list[tuple[Any, ...]]:
    """Return the ends of flows that have a time: phase, category, id, pid, tid, ns."""
    ends = [event for event in events if event.ph in _FLOWS]
    if not ends:
        return []
    times = _times(ends, chunk, _FLOWS, lasting=False)
    timed = ends if times.rows is None else [ends[row] for row in times.rows]
    factor = 1_000 if times.coarse else 1
    at = [max(-FAR_NS, min(FAR_NS, value * factor)) for value in times.start]
    return [(e.ph, e.cat, e.id, e.pid, e.tid, ns) for e, ns in zip(timed, at, strict=True)]


def _either(newer: list[int], older: list[int]) -> list[int]:
    """Return the value under the newer key, or under the older one if the newer is missing."""
    return [b if a < 0 else a for a, b in zip(newer, older, strict=True)]


def _times(events: Sequence[Any], chunk: Chunk, phases: frozenset[str], *, lasting: bool = True) -> _Times:
    """Return the times of ``events``: those of the chunk whose phase is in ``phases``.

    Events that are not ``lasting`` have no duration.
    """
    ts = [e.ts for e in events]
    dur = [e.dur for e in events] if lasting else [0] * len(ts)
    try:
        found = _numbers(ts, dur)
    except TypeError:  # some have no time: others do not pay for the search
        found = None
    rows, untimed = None, {}
    if found is None and (None in ts or None in dur):
        rows = [row for row, (a, b) in enumerate(zip(ts, dur, strict=True)) if a is not None and b is not None]
        starts = ts.count(None)
        untimed = {"no_start": starts, "no_duration": len(ts) - len(rows) - starts}
        found = _numbers([ts[row] for row in rows], [dur[row] for row in rows])
    start, duration, coarse = found or _exact_times(chunk, phases, lasting)
    return _Times(start, duration, coarse, rows, untimed)


def _numbers(ts: list[Any], dur: list[Any]) -> tuple[array[int], array[int], bool] | None:
    """Return times as :class:`_Times` holds them; None if float64 or int64 do not determine each of them.

    Raises TypeError if one is None.
    """
    try:
        return array("q", ts), array("q", dur), True
    except TypeError:  # not all are integers
        pass
    except OverflowError:
        return None
    if max(map(abs, ts), default=0) >= EXACT_FLOAT_US or max(map(abs, dur), default=0) >= EXACT_FLOAT_US:
        return None
    return array("q", [round(v * 1_000.0) for v in ts]), array("q", [round(v * 1_000.0) for v in dur]), False


def _exact_times(chunk: Chunk, phases: frozenset[str], lasting: bool) -> tuple[array[int], array[int], bool]:
    """Decode the chunk again, for the decimal text of the times of the events that have them."""
    kind: Any = list[ExactEvent] if _is_array(chunk) else ExactFile
    found = decoder(kind).decode(chunk.text)
    exact = [e for e in (found if _is_array(chunk) else found.events) if e.ph in phases and e.ts is not None]
    if not lasting:
        return array("q", [_exact_ns(e.ts) for e in exact]), array("q", bytes(8 * len(exact))), False
    exact = [e for e in exact if e.dur is not None]
    return array("q", [_exact_ns(e.ts) for e in exact]), array("q", [_exact_ns(e.dur) for e in exact]), False


def _exact_ns(microseconds: Decimal) -> int:
    if microseconds and microseconds.adjusted() >= _FAR_DIGITS:  # the exponent may be huge: never make it an integer
        return -FAR_NS if microseconds < 0 else FAR_NS
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
