"""Mends a short JSON text where the strict decoder says that it is wrong: fast, for the usual kinds of damage.

The decoder's messages name a position. If one does not, or the damage there is of another kind, nothing is mended.
:mod:`mend_text` then reads the text token by token; what both mend they mend to the same text.
"""

from __future__ import annotations

import re

import msgspec

from profkit.trace.reading.event_types import decoder
from profkit.trace.reading.mend_text import (
    BACKSLASH,
    CONTROL_BYTE,
    NOT_JSON,
    QUOTE,
    RAW_NEWLINE,
    TRAILING_COMMA,
)

_MOST_DEFECTS = 16  # of one text: it is decoded from its beginning after each
_AT_BYTE = " (byte "  # before the position, at the end of the decoder's messages
_BARE_BYTES = bytes(set(range(256)) - set(b' \t\r\n,:{}[]"'))
_BARE_END = re.compile(rb'[^ \t\r\n,:{}\[\]"]*')
_LITERAL_BEGINS = frozenset(word[:length] for word in (b"null", b"true", b"false", b"-") for length in range(1, 5))
_LONGEST_BARE = 64  # bytes of a word such as inf
_LEAST_PRINTABLE = 0x20

Change = tuple[int, int, bytes, str]
"""From where to where in the text, the new text, and the defect."""


def mend_at_errors(text: bytes) -> tuple[bytes, list[str]] | None:
    """Return ``text`` as strict JSON, and its defects; None if it has others than the usual ones, or too many."""
    defects: list[str] = []
    for _ in range(_MOST_DEFECTS + 1):
        try:
            decoder(msgspec.Raw).decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            before, _, place = str(error).rpartition(_AT_BYTE)
            at = place.rstrip(")")
            change = _change(text, before.rpartition(": ")[2], int(at)) if before and at.isdecimal() else None
        except RecursionError:
            return None
        else:
            return text, defects
        if change is None:
            return None
        begin, end, new, defect = change
        text = text[:begin] + new + text[end:]
        defects.append(defect)
    return None


def _change(text: bytes, kind: str, at: int) -> Change | None:
    if kind == "invalid escaped character" and text[at - 1 : at] == b"\\":
        return at - 1, at, b"\\\\", BACKSLASH
    if kind in ("trailing comma in object", "trailing comma in array"):
        comma = text.rindex(b",", 0, at)
        return comma, comma + 1, b"", TRAILING_COMMA
    if kind in ("expected ',' or '}'", "expected ',' or ']'") and text[at - 1 : at] == b'"':
        return at - 1, at, b'\\"', QUOTE
    if kind in ("invalid character", "invalid number") and at < len(text):
        return _change_character(text, at)
    return None


def _change_character(text: bytes, at: int) -> Change | None:
    """Mend a control byte in a string, or a word that is not JSON: no other byte is wrong in a string."""
    before = text[max(0, at - _LONGEST_BARE) : at]
    begin = at - len(before) + len(before.rstrip(_BARE_BYTES))
    if text[at] in b"\r\n\t":  # wrong between two values only behind the beginning of a literal
        if text[begin:at] in _LITERAL_BEGINS:
            return None
        return at, at + 1, b"\\u%04x" % text[at], CONTROL_BYTE if text[at] == ord("\t") else RAW_NEWLINE
    match = _BARE_END.match(text, at)
    end = at if match is None else match.end()
    is_value = text[:begin].rstrip(b" \t\r\n")[-1:] in (b":", b",", b"[") and begin > at - _LONGEST_BARE
    return (begin, end, b"null", NOT_JSON) if is_value and begin < end and text[at] >= _LEAST_PRINTABLE else None
