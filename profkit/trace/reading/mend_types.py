"""Gives the fields of strict JSON the types that a trace has. A number keeps its decimal text: no digit is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from profkit.trace.options import Detail
from profkit.trace.reading.event_types import (
    ARGUMENT_NUMBERS,
    ARGUMENT_TEXTS,
    GENERAL,
    count_list_keys,
    decoder,
    types_of,
)
from profkit.trace.reading.mend_text import Defects

SECOND_LIST = "second list of events, ignored"
_TEXTS = ("ph", "name", "cat")
_TIMES = ("ts", "dur")
_IDS = ("pid", "tid", "id")
_HEAD_TYPES = {"baseTimeNanoseconds": b"-0123456789", "profkit": b"{", "deviceProperties": b"["}
_INT64 = range(-(1 << 63), 1 << 63)
_INTEGER = re.compile(rb"-?[0-9]+")
_SHORT_INTEGER = re.compile(rb"-?[0-9]{1,18}")  # fits 64 bits
_INTEGER_DIGITS = 19  # of 64 bits
_MOST_DIGITS = 4_000  # of an integer that is decoded: Python's own limit is 4,300
_LONGEST_NUMBER = 400  # characters of a text that may be a number: float64 has at most 309 digits before the point
_LARGEST = Decimal(10) ** 308  # of float64, about
_NO_NUMBER = "value that is not a number, left out"
_HUGE = "integer beyond 64 bits"
_NOT_TEXT = "number instead of a text"
_TEXT_FOR_NUMBER = "text instead of a number"

_TYPES = types_of(Detail.ALL, GENERAL)

Object = dict[str, msgspec.Raw]


def coerce_events(text: bytes, defects: Defects) -> bytes:
    """Return events (``text`` is strict JSON if it is put into brackets) whose fields have the right types.

    Texts that hold a number become numbers, and the reverse; a value that cannot be converted is removed. Records that
    are not events are left out. Raises msgspec.DecodeError if the text is not strict JSON.
    """
    kept: list[bytes] = []
    for raw in decoder(list[msgspec.Raw]).decode(b"[%b]" % text):
        record = bytes(raw)
        if not record.startswith(b"{"):
            defects["record that is not an event, left out"] += 1
        elif count_list_keys(record) and "traceEvents" in decoder(Object).decode(record):
            defects[SECOND_LIST] += 1
        elif _is_right(record):
            kept.append(record)
        else:
            kept.append(_coerce_event(record, defects))
    return b",\n".join(kept)


def _is_right(record: bytes) -> bool:
    try:
        event = decoder(_TYPES.event).decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    ids = (i for i in (event.pid, event.tid, event.id) if isinstance(i, int))
    return all(number in _INT64 for number in ids) and (event.args is None or _fits(event.args))


def _fits(arguments: Any) -> bool:
    """Whether the numbers of an event's arguments fit 64 bits."""
    a = arguments
    numbers = (a.index_0, a.index_1, a.external_id, a.external_id_1_8, a.correlation)
    return min(numbers) in _INT64 and max(numbers) in _INT64


def _coerce_event(record: bytes, defects: Defects) -> bytes:
    event: Object = decoder(Object).decode(record)
    _apply(event, _TEXTS, _text, defects)
    _apply(event, _IDS, _identifier, defects)
    _apply(event, _TIMES, _number, defects)
    if "args" in event:
        arguments = bytes(event["args"])
        if arguments.startswith(b"{"):
            event["args"] = msgspec.Raw(_coerce_arguments(arguments, defects))
        elif arguments != b"null":
            del event["args"]
            defects["args that are not an object, left out"] += 1
    return msgspec.json.encode(event)


def _coerce_arguments(text: bytes, defects: Defects) -> bytes:
    try:
        if _fits(decoder(_TYPES.arguments).decode(text)):
            return text
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    arguments: Object = decoder(Object).decode(text)
    _apply(arguments, ARGUMENT_NUMBERS, _whole_number, defects)
    _apply(arguments, ARGUMENT_TEXTS, _only_text, defects)
    return msgspec.json.encode(arguments)


def _apply(
    holder: Object, names: Iterable[str], convert: Callable[[bytes, Defects], bytes | None], defects: Defects
) -> None:
    """Convert some members; one that cannot be converted is removed."""
    for name in names:
        if name in holder:
            old = bytes(holder[name])
            new = convert(old, defects)
            if new is None:
                del holder[name]
            elif new != old:
                holder[name] = msgspec.Raw(new)


def _text(value: bytes, defects: Defects) -> bytes | None:
    if value.startswith(b'"'):
        return value
    defects[_NOT_TEXT] += 1
    return None if value == b"null" else msgspec.json.encode(value.decode("utf-8", "replace"))


def _only_text(value: bytes, defects: Defects) -> bytes | None:
    if value.startswith(b'"'):
        return value
    defects[_NOT_TEXT] += 1
    return None


def _identifier(value: bytes, defects: Defects) -> bytes | None:
    """Return a text or an integer of 64 bits; anything else becomes the text of its JSON, 7.0 the integer 7."""
    if value.startswith(b'"') or _is_int64(value):
        return value
    defects["id of another type"] += 1
    if value == b"null":
        return None
    whole = _decimal(value)
    if whole is not None and whole == whole.to_integral_value() and int(whole) in _INT64:
        return b"%d" % int(whole)
    return msgspec.json.encode(value.decode("utf-8", "replace"))


def _is_int64(value: bytes) -> bool:
    if _SHORT_INTEGER.fullmatch(value):
        return True
    return _INTEGER.fullmatch(value) is not None and len(value) <= _INTEGER_DIGITS + 1 and int(value) in _INT64


def _decimal(value: bytes) -> Decimal | None:
    """Return the number that a JSON number, or the text in a JSON text, stands for; None if there is none.

    Its absolute value is less than 10**308, the limit of float64: larger ones would take much memory as integers.
    """
    if len(value) > _LONGEST_NUMBER:
        return None
    try:
        text = msgspec.json.decode(value, type=str) if value.startswith(b'"') else value.decode()
        number = Decimal(text.strip().replace("_", "?"))  # Python's own separator of digits is no part of a number
    except (InvalidOperation, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return number if number.is_finite() and abs(number) < _LARGEST else None


def _number(value: bytes, defects: Defects) -> bytes | None:
    """Return a JSON number that can be decoded, with the digits that it has; null is left out."""
    if value == b"null":
        return None
    if value.startswith(b'"'):
        found = _decimal(value)
        if found is not None:
            defects[_TEXT_FOR_NUMBER] += 1
            return _plain(found)
    elif _INTEGER.fullmatch(value):
        if len(value) <= _MOST_DIGITS:
            return value
        defects[_HUGE] += 1
        return None
    elif _decimal(value) is not None:
        return value
    defects[_NO_NUMBER] += 1
    return None


def _plain(number: Decimal) -> bytes:
    """Return the JSON text of a number, without an exponent: an integer if it has no decimals."""
    return f"{number:f}".encode() if number.adjusted() > -_LONGEST_NUMBER else b"0"


def _whole_number(value: bytes, defects: Defects) -> bytes | None:
    """Return a JSON integer of 64 bits, without its fraction if it has one; null is left out."""
    if value == b"null" or _is_int64(value):
        return None if value == b"null" else value
    if _INTEGER.fullmatch(value):
        defects[_HUGE] += 1
        return None
    found = _decimal(value)
    if found is None or int(found) not in _INT64:
        defects[_NO_NUMBER] += 1
        return None
    defects[_TEXT_FOR_NUMBER if value.startswith(b'"') else "fraction instead of a whole number"] += 1
    return b"%d" % int(found)


def coerce_members(document: bytes, defects: Defects) -> tuple[Object, bool]:
    """Return the members of a file around its events, with the right types; whether there was another list of events.

    ``document`` is a strict JSON object with an empty list ``traceEvents``, which is left out. Raises
    msgspec.DecodeError if it is not strict JSON.
    """
    members: Object = decoder(Object).decode(document)
    second = bytes(members.pop("traceEvents", b"[]")) != b"[]"
    for name, first in _HEAD_TYPES.items():
        value = bytes(members.get(name, b""))
        if value and (value[0] not in first or (name == "baseTimeNanoseconds" and not _is_int64(value))):
            defects[f"{name} of another type, left out"] += 1
            del members[name]
    return members, second
