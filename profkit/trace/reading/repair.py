"""Mends damaged traces. It runs only after the strict decoding has failed.

The text is cut at the separators between events. Events that parse strictly are kept as they are; the others are
mended character by character, and one that still does not parse is left out. Every defect is counted by its kind.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

_BOM = b"\xef\xbb\xbf"
_OPENS_EVENTS = re.compile(rb'"traceEvents"\s*:\s*\[')
# as PyTorch indents events, or any brace that opens what looks like one
_SEPARATOR = re.compile(rb'(?<=\n  \}),\n  (?=\{)|(?<=\})\s*,\s*(?=\{\s*"(?:ph|name|cat|pid|ts|args)")')
_CUT_OFF = "file ends in mid-event"
_BATCH = 512  # events parsed at once; a batch that fails is halved until the bad events are alone

_TOKEN = re.compile(r'\s+|[{}\[\]:,"]|[^\s{}\[\]:,"]+')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_INTEGER = re.compile(r"-?\d+")
_NEEDLESS_COMMA = re.compile(r"\s*[}\],]")
_IN_STRING = re.compile(r'["\\\x00-\x1f]')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_AFTER_KEY = re.compile(r"\s*:")
_AFTER_MEMBER = re.compile(r'\s*(?:\}|$|,\s*(?:\}|"(?:[^"\\]|\\.)*"\s*:))')
_AFTER_ELEMENT = re.compile(r'\s*(?:\]|$|,\s*(?:[\]"\[{\-\d]|true|false|null))')
_LITERALS = frozenset({"true", "false", "null"})
_INT64 = range(-(1 << 63), 1 << 63)


Defects = Counter[str]
"""How often each kind of defect was found."""


def repair(text: bytes, defects: Defects) -> bytes | None:
    """Return the JSON text of a trace as strict JSON with every event that can be saved; None if there is no event.

    What was done is added to ``defects``. Raises RecursionError if it is nested too deeply.
    """
    if text.startswith(_BOM):
        defects["byte order mark"] += 1
        text = text[len(_BOM) :]
    text = _as_utf8(text, defects)
    if text.lstrip().startswith(b"["):
        begin, head = text.index(b"[") + 1, b'{"traceEvents":['
    elif (found := _OPENS_EVENTS.search(text)) is not None:
        begin, head = found.end(), _head(text[: found.end()], defects)
    else:
        return None
    return head + _events(text, begin, defects)


def _as_utf8(text: bytes, defects: Defects) -> bytes:
    try:
        text.decode()
        return text
    except UnicodeDecodeError:
        mended = text.decode("utf-8", "replace")
        defects["invalid UTF-8"] += max(1, mended.count("\ufffd"))
        return mended.encode()


def _head(head: bytes, defects: Defects) -> bytes:
    """Return the text before the events, mended, up to the bracket that opens them."""
    try:
        msgspec.json.decode(head + b"]}")
        return head
    except (msgspec.DecodeError, UnicodeDecodeError):
        mended = mend(head.decode("utf-8", "replace") + "]}", defects)
        if mended is None:
            defects["unreadable head"] += 1
            return b'{"traceEvents":['
        return mended.encode().rstrip()[:-2]


def _events(text: bytes, begin: int, defects: Defects) -> bytes:
    """Return the text of the events from ``begin`` on, and of the rest of the file."""
    cuts = [match.span() for match in _SEPARATOR.finditer(text, begin)]
    starts = [begin, *(end for _, end in cuts)]
    stops = [*(stop for stop, _ in cuts), len(text)]
    *inner, last = zip(starts, stops, strict=True)
    events: list[bytes] = []
    for first in range(0, len(inner), _BATCH):
        events += _batch(text, inner[first : first + _BATCH], defects)
    tail = _last(text, last[0], defects)
    if events and not tail.lstrip().startswith(b"]"):
        events.append(tail)
        return b",\n".join(events)
    return b",\n".join(events) + tail


def _batch(text: bytes, chunks: list[tuple[int, int]], defects: Defects) -> Iterator[bytes]:
    """Yield the events of neighbouring pieces of the text, mended if they need it."""
    begin, stop = chunks[0][0], chunks[-1][1]
    whole = text[begin:stop]
    if _is_json(b"[" + whole + b"]"):
        yield whole.strip()
    elif len(chunks) == 1:
        mended = mend(whole.decode("utf-8", "replace"), defects)
        if mended is None or not _is_json(mended.encode()):
            defects["unreadable event, left out"] += 1
        else:
            yield mended.strip().encode()
    else:
        middle = len(chunks) // 2
        yield from _batch(text, chunks[:middle], defects)
        yield from _batch(text, chunks[middle:], defects)


def _last(text: bytes, begin: int, defects: Defects) -> bytes:
    """Return the last event, if it is complete, and the rest of the file, or closing brackets."""
    is_array = text.lstrip().startswith(b"[")
    opening = b"[" if is_array else b'{"traceEvents":['
    closing = opening + text[begin:]
    if not _is_json(closing):
        cut_before = _CUT_OFF in defects
        mended = mend(closing.decode("utf-8", "replace"), defects)
        if mended is None or not _is_json(mended.encode()):
            if cut_before == (_CUT_OFF in defects):
                defects["unreadable event, left out"] += 1
            return b"]}"
        closing = mended.encode()
    return closing[len(opening) :] + (b"}" if is_array else b"")


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def mend(text: str, defects: Defects) -> str | None:
    """Return ``text`` as strict JSON; None if its brackets do not match.

    A text that ends in mid-event is cut after its last complete event, and closed.
    """
    return _Mender(text, defects).run()


class _Mender:
    """One pass over a text, token by token: valid tokens are copied, others are replaced by valid ones."""

    def __init__(self, text: str, defects: Defects) -> None:
        self._text = text
        self._defects = defects
        self._out: list[str] = []
        self._open: list[str] = []
        self._is_key = False  # whether a string at this point is the key of a member
        self._whole = 0  # length of the output after the last complete event
        self._open_then: list[str] = []

    def run(self) -> str | None:
        at = 0
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            if match is None:
                return None
            token, at = match[0], match.end()
            if token == '"':
                end = self._string(at)
                if end is None:
                    return self._cut_off()
                at = end
            elif not self._token(token, at):
                return None
        if self._open:
            return self._cut_off()
        return "".join(self._out)

    def _token(self, token: str, end: int) -> bool:
        """Copy or mend a token other than a string; False if it closes a bracket that is not open."""
        if token in "{[":
            self._open.append(token)
            self._out.append(token)
            self._is_key = token == "{"
        elif token in "}]":
            if not self._open or self._open.pop() != {"}": "{", "]": "["}[token]:
                return False
            self._out.append(token)
            if len(self._open) <= 2 and token == "}" and self._open[-1:] == ["["]:
                self._whole, self._open_then = len(self._out), list(self._open)
        elif token == ",":
            if _NEEDLESS_COMMA.match(self._text, end):
                self._defects["trailing comma"] += 1
                return True
            self._out.append(token)
            self._is_key = self._open[-1:] == ["{"]
        elif token == ":":
            self._out.append(token)
            self._is_key = False
        else:
            self._out.append(token if token.isspace() else self._value(token))
        return True

    def _value(self, token: str) -> str:
        """Return a JSON number or literal; anything else becomes null."""
        if token in _LITERALS:
            return token
        if _INTEGER.fullmatch(token) and int(token) not in _INT64:
            self._defects["integer beyond 64 bits"] += 1
            return "null"
        if _NUMBER.fullmatch(token):
            return token
        self._defects["value that is not JSON, such as inf or nan"] += 1
        return "null"

    def _string(self, begin: int) -> int | None:
        """Copy or mend the string whose text begins at ``begin``; return where it ends, None if it does not."""
        text, out, at = self._text, ['"'], begin
        in_object = self._open[-1:] == ["{"]
        follows = _AFTER_KEY if self._is_key else _AFTER_MEMBER if in_object else _AFTER_ELEMENT
        while (stop := _IN_STRING.search(text, at)) is not None:
            out.append(text[at : stop.start()])
            character, at = stop[0], stop.end()
            if character == '"':
                if follows.match(text, at):
                    self._out.append("".join(out) + '"')
                    return at
                self._defects["unescaped quote in a string"] += 1
                out.append('\\"')
            elif character == "\\":
                escape = _ESCAPE.match(text, stop.start())
                if escape is None:
                    self._defects["unescaped backslash in a string"] += 1
                    out.append("\\\\")
                else:
                    lone = _LONE_SURROGATE.fullmatch(escape[0]) is not None
                    out.append("\\ufffd" if lone else escape[0])
                    at = escape.end()
            else:
                self._defects["raw newline in a string" if character in "\r\n" else "control byte in a string"] += 1
                out.append(f"\\u{ord(character):04x}")
        return None

    def _cut_off(self) -> str | None:
        """Close the text after the last complete event; None if there is none."""
        self._defects[_CUT_OFF] += 1
        if not self._open_then:
            return None
        closing = "".join({"{": "}", "[": "]"}[bracket] for bracket in reversed(self._open_then))
        return "".join(self._out[: self._whole]) + closing


_TEXTS = ("ph", "name", "cat")
_NUMBERS = ("ts", "dur")
_IDS = ("pid", "tid", "id")
_ARGUMENT_NUMBERS = ("Ev Idx", "Profiler Event Index", "External id", "external id", "correlation")
_ARGUMENT_TEXTS = ("Call stack", "Module Hierarchy")


def coerce(text: bytes, defects: Defects) -> bytes | None:
    """Return a trace whose fields have the right types: texts that hold a number become numbers, and the reverse.

    ``text`` is strict JSON. A value that cannot be converted is removed from its event. None if it is not a trace.
    """
    document = msgspec.json.decode(text)
    if isinstance(document, list):
        document = {"traceEvents": document}
    if not isinstance(document, dict) or not isinstance(document.get("traceEvents"), list):
        return None
    events = [event for event in document["traceEvents"] if isinstance(event, dict)]
    if lost := len(document["traceEvents"]) - len(events):
        defects["record that is not an event, left out"] += lost
    if not events:
        return None
    for event in events:
        _coerce_event(event, defects)
    document["traceEvents"] = events
    for name, kind in (("baseTimeNanoseconds", int), ("profkit", dict), ("deviceProperties", list)):
        if name in document and not isinstance(document[name], kind):
            defects[f"{name} of another type, left out"] += 1
            del document[name]
    return msgspec.json.encode(document)


def _coerce_event(event: dict[str, Any], defects: Defects) -> None:
    for name in _TEXTS:
        if name in event and not isinstance(event[name], str):
            event[name] = "" if event[name] is None else str(event[name])
            defects["number instead of a text"] += 1
    for name in _IDS:
        if name in event and (isinstance(event[name], bool) or not isinstance(event[name], int | str)):
            event[name] = str(event[name])
            defects["id of another type"] += 1
    for name in _NUMBERS:
        _coerce_number(event, name, defects)
    arguments = event.get("args")
    if arguments is None or isinstance(arguments, dict):
        for name in _ARGUMENT_NUMBERS:
            _coerce_number(arguments or {}, name, defects, whole=True)
        for name in _ARGUMENT_TEXTS:
            if arguments and name in arguments and not isinstance(arguments[name], str):
                del arguments[name]
                defects["number instead of a text"] += 1
    else:
        del event["args"]
        defects["args that are not an object, left out"] += 1


def _fits(value: object, whole: bool) -> bool:
    if isinstance(value, bool):
        return False
    return value in _INT64 if isinstance(value, int) else isinstance(value, float) and not whole


def _coerce_number(holder: dict[str, Any], name: str, defects: Defects, *, whole: bool = False) -> None:
    value = holder.get(name)
    if name not in holder:
        return
    if _fits(value, whole):
        return
    del holder[name]
    if value is None:
        return
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, int) and not isinstance(value, bool):
        defects["integer beyond 64 bits"] += 1
        return
    if not math.isfinite(number) or abs(number) >= 2**63:
        defects["value that is not a number, left out"] += 1
        return
    holder[name] = int(number) if number == int(number) else number
    if whole:
        holder[name] = int(number)
    defects["text instead of a number"] += 1
