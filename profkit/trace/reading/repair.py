"""The trace doctor: the tolerant path for damaged files. It runs only after the strict parse has failed.

The text is cut at the separators between events; whatever parses strictly is taken as it is, and only the events
that do not are mended character by character: an object is kept whole or reported as lost. What was done is counted
by defect, with the byte where the first one stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

_BOM = b"\xef\xbb\xbf"
_OPENS_EVENTS = re.compile(rb'"traceEvents"\s*:\s*\[')
# as PyTorch indents events, or any brace that opens what looks like one
_SEPARATOR = re.compile(rb'(?<=\n  \}),\n  (?=\{)|(?<=\})\s*,\s*(?=\{\s*"(?:ph|name|cat|pid|ts|args)")')
_CUT_OFF = "file ends in mid-event"
_BATCH = 512  # events tried at once; a batch that fails is halved until the bad ones stand alone

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


@dataclass
class Defects:
    """What was wrong: how often, and the byte at which the first one stands."""

    counts: dict[str, int] = field(default_factory=dict)
    first_at: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, at: int, count: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + count
        self.first_at.setdefault(what, at)


@dataclass(frozen=True)
class Repaired:
    """A mended trace: ``text`` is strict JSON with every event that could be saved."""

    text: bytes
    defects: Defects


def repair(text: bytes) -> Repaired | None:
    """Mend the JSON text of a trace; None where there is no event to be found in it."""
    defects = Defects()
    if text.startswith(_BOM):
        defects.add("byte order mark", 0)
        text = text[len(_BOM) :]
    text = _as_utf8(text, defects)
    if text.lstrip().startswith(b"["):
        begin, head = text.index(b"[") + 1, b'{"traceEvents":['
    elif (found := _OPENS_EVENTS.search(text)) is not None:
        begin, head = found.end(), _head(text[: found.end()], defects)
    else:
        return None
    return Repaired(head + _events(text, begin, defects), defects)


def _as_utf8(text: bytes, defects: Defects) -> bytes:
    try:
        text.decode()
        return text
    except UnicodeDecodeError as error:
        mended = text.decode("utf-8", "replace")
        defects.add("invalid UTF-8", error.start, max(1, mended.count("\ufffd")))
        return mended.encode()


def _head(head: bytes, defects: Defects) -> bytes:
    """Return what stands before the events, mended, up to the bracket that opens them."""
    try:
        msgspec.json.decode(head + b"]}")
        return head
    except (msgspec.DecodeError, UnicodeDecodeError):
        mended = mend(head.decode("utf-8", "replace") + "]}", 0, defects)
        if mended is None:
            defects.add("unreadable head", 0)
            return b'{"traceEvents":['
        return mended.encode().rstrip()[:-2]


def _events(text: bytes, begin: int, defects: Defects) -> bytes:
    """Return the text of the events from ``begin`` on, and what closes the file."""
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
    """Yield the events of neighbouring chunks, mended where they need it."""
    begin, stop = chunks[0][0], chunks[-1][1]
    whole = text[begin:stop]
    if _is_json(b"[" + whole + b"]"):
        yield whole.strip()
    elif len(chunks) == 1:
        mended = mend(whole.decode("utf-8", "replace"), begin, defects)
        if mended is None or not _is_json(mended.encode()):
            defects.add("unreadable event, left out", begin)
        else:
            yield mended.strip().encode()
    else:
        middle = len(chunks) // 2
        yield from _batch(text, chunks[:middle], defects)
        yield from _batch(text, chunks[middle:], defects)


def _last(text: bytes, begin: int, defects: Defects) -> bytes:
    """Return the last event, if it is whole, and what follows the events, or a plain close."""
    is_array = text.lstrip().startswith(b"[")
    opening = b"[" if is_array else b'{"traceEvents":['
    closing = opening + text[begin:]
    if not _is_json(closing):
        cut_before = _CUT_OFF in defects.counts
        mended = mend(closing.decode("utf-8", "replace"), begin - len(opening), defects)
        if mended is None or not _is_json(mended.encode()):
            if cut_before == (_CUT_OFF in defects.counts):
                defects.add("unreadable event, left out", begin)
            return b"]}"
        closing = mended.encode()
    return closing[len(opening) :] + (b"}" if is_array else b"")


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def mend(text: str, offset: int, defects: Defects) -> str | None:
    """Return ``text`` as strict JSON; None where its brackets make no sense.

    A text that ends in mid-event is cut after the last event that is whole, and closed.
    """
    return _Mender(text, offset, defects).run()


class _Mender:
    """One pass over a text, token by token, writing what is right and mending what is not."""

    def __init__(self, text: str, offset: int, defects: Defects) -> None:
        self._text = text
        self._offset = offset
        self._defects = defects
        self._out: list[str] = []
        self._open: list[str] = []
        self._is_key = False  # a string here would be a member's name
        self._whole = 0  # length of the output after the last whole event
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
                    return self._cut_off(match.start())
                at = end
            elif not self._token(token, match.start(), at):
                return None
        if self._open:
            return self._cut_off(len(self._text))
        return "".join(self._out)

    def _note(self, what: str, at: int) -> None:
        self._defects.add(what, self._offset + at)

    def _token(self, token: str, start: int, end: int) -> bool:
        """Take a token that is no string; False where it closes what is not open."""
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
                self._note("trailing comma", start)
                return True
            self._out.append(token)
            self._is_key = self._open[-1:] == ["{"]
        elif token == ":":
            self._out.append(token)
            self._is_key = False
        else:
            self._out.append(token if token.isspace() else self._value(token, start))
        return True

    def _value(self, token: str, start: int) -> str:
        """Return a number or word as JSON has it; what is neither becomes null."""
        if token in _LITERALS:
            return token
        if _INTEGER.fullmatch(token) and int(token) not in _INT64:
            self._note("integer beyond 64 bits", start)
            return "null"
        if _NUMBER.fullmatch(token):
            return token
        self._note("value that is no JSON, such as inf or nan", start)
        return "null"

    def _string(self, begin: int) -> int | None:
        """Take the string whose text begins at ``begin``; return where it ends, None where it does not."""
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
                self._note("unescaped quote in a string", stop.start())
                out.append('\\"')
            elif character == "\\":
                escape = _ESCAPE.match(text, stop.start())
                if escape is None:
                    self._note("unescaped backslash in a string", stop.start())
                    out.append("\\\\")
                else:
                    lone = _LONE_SURROGATE.fullmatch(escape[0]) is not None
                    out.append("\\ufffd" if lone else escape[0])
                    at = escape.end()
            else:
                self._note(
                    "raw newline in a string" if character in "\r\n" else "control byte in a string", stop.start()
                )
                out.append(f"\\u{ord(character):04x}")
        return None

    def _cut_off(self, at: int) -> str | None:
        """Close the text after the last whole event; None where there is none."""
        self._note(_CUT_OFF, at)
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
    """Return a trace whose fields have the types they must have: numbers out of texts, texts out of numbers.

    ``text`` is strict JSON. What cannot be a number is left out of its event. None where this is no trace.
    """
    document = msgspec.json.decode(text)
    if isinstance(document, list):
        document = {"traceEvents": document}
    if not isinstance(document, dict) or not isinstance(document.get("traceEvents"), list):
        return None
    events = [event for event in document["traceEvents"] if isinstance(event, dict)]
    if lost := len(document["traceEvents"]) - len(events):
        defects.add("record that is no event, left out", 0, lost)
    if not events:
        return None
    for event in events:
        _coerce_event(event, defects)
    document["traceEvents"] = events
    for name, kind in (("baseTimeNanoseconds", int), ("profkit", dict), ("deviceProperties", list)):
        if name in document and not isinstance(document[name], kind):
            defects.add(f"{name} of another type, left out", 0)
            del document[name]
    return msgspec.json.encode(document)


def _coerce_event(event: dict[str, Any], defects: Defects) -> None:
    for name in _TEXTS:
        if name in event and not isinstance(event[name], str):
            event[name] = "" if event[name] is None else str(event[name])
            defects.add("number where a text belongs", 0)
    for name in _IDS:
        if name in event and (isinstance(event[name], bool) or not isinstance(event[name], int | str)):
            event[name] = str(event[name])
            defects.add("id of another type", 0)
    for name in _NUMBERS:
        _coerce_number(event, name, defects)
    arguments = event.get("args")
    if arguments is None or isinstance(arguments, dict):
        for name in _ARGUMENT_NUMBERS:
            _coerce_number(arguments or {}, name, defects, whole=True)
        for name in _ARGUMENT_TEXTS:
            if arguments and name in arguments and not isinstance(arguments[name], str):
                del arguments[name]
                defects.add("number where a text belongs", 0)
    else:
        del event["args"]
        defects.add("args that are no object, left out", 0)


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
        defects.add("integer beyond 64 bits", 0)
        return
    if not math.isfinite(number) or abs(number) >= 2**63:
        defects.add("no number where one belongs, left out", 0)
        return
    holder[name] = int(number) if number == int(number) else number
    if whole:
        holder[name] = int(number)
    defects.add("text where a number belongs", 0)
