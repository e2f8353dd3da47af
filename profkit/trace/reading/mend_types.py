"""Gives the fields of strict JSON the types that a trace has. A number keeps its decimal text: no digit is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec

from profkit.trace.reading.event_types import (
    ARGUMENT_NUMBERS,
    ARGUMENT_TEXTS,
    HEAD_TYPES,
    INT64,
    bounded_types,
    count_list_keys,
    decoder,
)
from profkit.trace.reading.mend_text import Defects

SECOND_LIST = "second list of events, ignored"
_INTEGER = re.compile(rb"-?[0-9]+")
_USUAL_NUMBER = re.compile(rb"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_SHORT_INTEGER = re.compile(rb"-?[0-9]{1,18}")  # fits 64 bits
_INTEGER_DIGITS = 19  # of 64 bits
_MOST_DIGITS = 4_000  # of an integer that is decoded: Python's own limit is 4,300
_LONGEST_NUMBER = 400  # characters of a text that may be a number: float64 has at most 309 digits before the point
_LONGEST_KNOWN = 40  # bytes of an id whose conversion is remembered
_MOST_PLACES = 308  # before the point, of a float64
_NO_NUMBER = "value that is not a number, left out"
_HUGE = "integer beyond 64 bits"
_AT_FIELD = "`$."  # before the name of a field, at the end of the decoder's messages
_ODD_ID = "id of another type"
_NUMBER_FOR_TEXT = "number instead of a text"
_NO_TEXT = "value that is not a text"
_NUMBER_BEGINS = b"-0123456789"
_TEXT_FOR_NUMBER = "text instead of a number"

_NOT_RIGHT = (msgspec.DecodeError, UnicodeDecodeError)

Object = dict[str, msgspec.Raw]
Converted = tuple[bytes | None, str]
"""The JSON of a value of the right type, None if the member is removed; and the defect, empty if there is none."""


def coerce_events(text: bytes, defects: Defects) -> bytes:
    """Return events (``text`` is strict JSON if it is put into brackets) whose fields have the right types.

    Texts that hold a number become numbers, and the reverse; a value that cannot be converted is removed. Records that
    are not events are left out. Raises msgspec.DecodeError if the text is not strict JSON.
    """
    kept: list[bytes] = []
    may_hold_list = count_list_keys(text) > 0
    is_right = decoder(bounded_types().event).decode
    for raw in decoder(list[msgspec.Raw]).decode(b"[%b]" % text):
        record = bytes(raw)
        if may_hold_list and record.startswith(b"{") and "traceEvents" in decoder(Object).decode(record):
            defects[SECOND_LIST] += 1
            continue
        try:
            is_right(record)
        except _NOT_RIGHT as error:
            if not record.startswith(b"{"):
                defects["record that is not an event, left out"] += 1
                continue
            record = _coerce_event(record, str(error), defects)
        kept.append(record)
    return b",\n".join(kept)


def _coerce_event(record: bytes, error: str, defects: Defects) -> bytes:
    """Convert the field that the decoder's ``error`` names; all fields if that is not enough."""
    event: Object = decoder(Object).decode(record)
    field = error.rpartition(_AT_FIELD)[2].rstrip("`")
    if field in _OF_EVENT:
        _apply(event, {field: _OF_EVENT[field]}, defects)
        mended = msgspec.json.encode(event)
        try:
            decoder(bounded_types().event).decode(mended)
        except _NOT_RIGHT:
            pass
        else:
            return mended
    _apply(event, _OF_EVENT, defects)
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
        decoder(bounded_types().arguments).decode(text)
    except _NOT_RIGHT:
        arguments: Object = decoder(Object).decode(text)
        _apply(arguments, _OF_ARGUMENTS, defects)
        return msgspec.json.encode(arguments)
    return text


def _apply(holder: Object, conversions: Mapping[str, Callable[[bytes], Converted]], defects: Defects) -> None:
    """Convert some members; one that cannot be converted is removed."""
    for name, convert in conversions.items():
        raw = holder.get(name)
        if raw is not None:
            old = bytes(raw)
            new, defect = convert(old)
            if defect:
                defects[defect] += 1
            if new is None:
                del holder[name]
            elif new is not old:
                holder[name] = msgspec.Raw(new)


def _text(value: bytes) -> Converted:
    if value.startswith(b'"'):
        return value, ""
    if value[0] in _NUMBER_BEGINS:
        return msgspec.json.encode(value.decode()), _NUMBER_FOR_TEXT
    return None if value == b"null" else msgspec.json.encode(value.decode("utf-8", "replace")), _NO_TEXT


def _only_text(value: bytes) -> Converted:
    return (value, "") if value.startswith(b'"') else (None, f"{_NO_TEXT}, left out")


def _identifier(value: bytes) -> Converted:
    """Return a text or an integer of 64 bits; anything else becomes the text of its JSON, 7.0 the integer 7."""
    if value.startswith(b'"') or _SHORT_INTEGER.fullmatch(value):
        return value, ""
    return _other_identifier(value) if len(value) <= _LONGEST_KNOWN else _other_identifier.__wrapped__(value)


@lru_cache(maxsize=1 << 10)
def _other_identifier(value: bytes) -> Converted:
    if _is_int64(value):
        return value, ""
    if value == b"null":
        return None, _ODD_ID
    whole = _decimal(value)
    if whole is not None and whole == whole.to_integral_value() and int(whole) in INT64:
        return b"%d" % int(whole), _ODD_ID
    return msgspec.json.encode(value.decode("utf-8", "replace")), _ODD_ID


def _is_int64(value: bytes) -> bool:
    if _SHORT_INTEGER.fullmatch(value):
        return True
    return _INTEGER.fullmatch(value) is not None and len(value) <= _INTEGER_DIGITS + 1 and int(value) in INT64


def _decimal(value: bytes) -> Decimal | None:
    """Return the number that a JSON number, or the text in a JSON text, stands for; None if there is none.

    Its absolute value is less than 10**308, about the limit of float64: larger ones would take much memory as integers.
    """
    if len(value) > _LONGEST_NUMBER:
        return None
    try:
        text = msgspec.json.decode(value, type=str) if value.startswith(b'"') else value.decode()
        number = Decimal(text.strip().replace("_", "?"))  # Python's own separator of digits is no part of a number
    except (InvalidOperation, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not number.is_finite() or (number and number.adjusted() >= _MOST_PLACES):
        return None
    return number or Decimal(0)  # a zero may have a huge exponent too


def _number(value: bytes) -> Converted:
    """Return a JSON number that can be decoded, with the digits that it has; null is left out."""
    if _USUAL_NUMBER.fullmatch(value):
        return value, ""
    if value == b"null":
        return None, ""
    if value.startswith(b'"'):
        found = _decimal(value)
        if found is not None:
            return _plain(found), _TEXT_FOR_NUMBER
    elif _INTEGER.fullmatch(value):
        return (value, "") if len(value) <= _MOST_DIGITS else (None, _HUGE)
    elif _decimal(value) is not None:
        return value, ""
    return None, _NO_NUMBER


def _plain(number: Decimal) -> bytes:
    """Return the JSON text of a number, without an exponent: an integer if it has no decimals."""
    return f"{number:f}".encode() if number.adjusted() > -_LONGEST_NUMBER else b"0"


def _whole_number(value: bytes) -> Converted:
    """Return a JSON integer of 64 bits, without its fraction if it has one; null is left out."""
    if value == b"null":
        return None, ""
    if _is_int64(value):
        return value, ""
    if _INTEGER.fullmatch(value):
        return None, _HUGE
    found = _decimal(value)
    if found is None or int(found) not in INT64:
        return None, _NO_NUMBER
    return b"%d" % int(found), _TEXT_FOR_NUMBER if value.startswith(b'"') else "fraction instead of a whole number"


_OF_EVENT = {
    **dict.fromkeys(("ph", "name", "cat"), _text),
    **dict.fromkeys(("pid", "tid", "id"), _identifier),
    **dict.fromkeys(("ts", "dur"), _number),
}
_OF_ARGUMENTS = {
    **dict.fromkeys(ARGUMENT_NUMBERS, _whole_number),
    **dict.fromkeys(ARGUMENT_TEXTS, _only_text),
}


def coerce_members(document: bytes, defects: Defects) -> tuple[Object, bool]:
    """Return the members of a file around its events, with the right types; whether there was another list of events.

    ``document`` is a strict JSON object with an empty list ``traceEvents``, which is left out. Raises
    msgspec.DecodeError if it is not strict JSON.
    """
    members: Object = decoder(Object).decode(document)
    second = bytes(members.pop("traceEvents", b"[]")) != b"[]"
    for name, kind in HEAD_TYPES.items():
        if name in members and not _is_decodable(bytes(members[name]), kind):
            defects[f"{name} of another type, left out"] += 1
            del members[name]
    return members, second


def _is_decodable(value: bytes, kind: Any) -> bool:
    try:
        decoder(kind).decode(value)
    except _NOT_RIGHT:
        return False
    return True
