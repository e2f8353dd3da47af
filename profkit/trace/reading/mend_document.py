"""Reads what is around the events of a damaged trace: the members before and behind their list, and what follows."""

from __future__ import annotations

import re

import msgspec

from profkit.trace.reading.event_types import LIST_KEY, decoder
from profkit.trace.reading.mend_text import CUT_OFF, BrokenError, Defects, Mender, UnfinishedError, as_utf8
from profkit.trace.reading.mend_types import SECOND_LIST, Object, coerce_members
from profkit.trace.reading.window import Window

_BOM = b"\xef\xbb\xbf"
_S = rb"[ \t\r\n]*"
_OPENS_EVENTS = re.compile(rb"%b%b:%b\[" % (LIST_KEY, _S, _S))
_OPENS_EVENTS_OR_NULL = re.compile(rb"%b%b:%b(?:\[|null)" % (LIST_KEY, _S, _S))
_BEGUN = re.compile(rb"%b%b(?::%b(?:nul?)?)?\Z" % (LIST_KEY, _S, _S))  # such a text that goes on behind the window
_OVERLAP = 1 << 7  # bytes that are searched again, in which the longest spelling of the key fits
_STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_NOT_STRICT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_OPENING = b'{"traceEvents":['


def _open_brackets(text: bytes) -> list[int]:
    """Return where the brackets are that are open at the end of a text."""
    open_: list[int] = []
    for token in _STRUCTURE.finditer(text):
        if token[0] in (b"{", b"["):
            open_.append(token.start())
        elif token[0] in (b"}", b"]") and open_:
            open_.pop()
    return open_


def _own_list(text: bytes) -> int | None:
    """Return where a file names its own list of events, not one inside an object; None if it is damaged before that."""
    depth = 0
    for token in _STRUCTURE.finditer(text):
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and (found := _OPENS_EVENTS.match(text, token.start())) is not None:
            try:
                decoder(msgspec.Raw).decode(text[: found.end()] + b"]}")
            except _NOT_STRICT:
                return None
            return found.start()
    return None


class Document:
    """The text around the list of events, read through ``window``; what is mended is added to ``defects``.

    ``has_no_list`` is whether there is null in its place.
    """

    def __init__(self, window: Window, defects: Defects) -> None:
        self._window = window
        self._defects = defects
        self.has_no_list = False  # null is in its place
        self._is_array = False
        self._outside = 0  # objects that are open around the one with the list
        self._members: Object = {}

    def head(self) -> bytes | None:
        """Read up to the first event; return the text before it as strict JSON, None if there is no list of events."""
        window = self._window
        if window.has(len(_BOM)) and window.text.startswith(_BOM, window.at):
            self._defects["byte order mark"] += 1
            window.at += len(_BOM)
        if window.skip_space() == b"[":
            window.at += 1
            self._is_array = True
            return _OPENING
        found = self._list_begin()
        if found is None:
            return None
        text = window.text[window.at : found.end()]
        window.at = found.end()
        self.has_no_list = text.endswith(b"l")
        if self.has_no_list:
            self._defects["null instead of the list of events"] += 1
            text = text[: -len(b"null")] + b"["
        self._members = self._before(as_utf8(text, self._defects))
        inside = msgspec.json.encode(self._members)[1:-1]
        return b"{%b%b" % (inside + b"," if inside else b"", _OPENING[1:])

    def _list_begin(self) -> re.Match[bytes] | None:
        """Read up to where the list begins, or null in its place; None if there is no list in the whole text."""
        window, searched, opens = self._window, 0, _OPENS_EVENTS_OR_NULL
        while True:
            found = opens.search(window.text, window.at + searched)
            if found is not None:
                text = window.text[window.at :]
                is_own = len(_open_brackets(text[: found.start() - window.at])) == 1
                # Of an object in the file? The file's own list may follow. Looked at once, so that the work is linear.
                own = None if is_own or opens is _OPENS_EVENTS else _own_list(text)
                if own is not None:
                    return _OPENS_EVENTS.match(window.text, window.at + own)
                if is_own or found[0].endswith(b"["):
                    return found
                searched, opens = found.end() - window.at, _OPENS_EVENTS
                continue
            begun = _BEGUN.search(window.text, window.at + searched)
            at = len(window.text) - _OVERLAP if begun is None else begun.start()
            searched = max(searched, at - window.at)
            if not window.more():
                return None

    def members(self) -> bytes:
        """Return the members read so far as a JSON object, with an empty list of events."""
        return msgspec.json.encode({**self._members, "traceEvents": []})

    def tail(self) -> bytes:
        """Read all that follows the list; return the members behind it, and the closing brackets, as strict JSON."""
        behind = {} if self._is_array else self._behind()
        self._members |= behind
        self._ignore_rest()
        inside = msgspec.json.encode(behind)[1:-1]
        return b"]%b}" % (b"," + inside if inside else b"")

    def _before(self, text: bytes) -> Object:
        """Return the members before the list; ``text`` ends with the bracket that opens it."""
        found = self._strict(text + b"]}")
        if found is None and (inner := self._innermost(text)) is not None:
            self._defects["list of events inside another object"] += 1
            found = inner
        if found is None:
            mender = Mender(text + b"]}", 0, ended=True)
            try:
                found = self._strict(mender.value())
                self._defects.update(mender.defects)
            except (BrokenError, UnfinishedError):
                pass
        if found is None:
            self._defects["unreadable members before the events, left out"] += 1
        return found or {}

    def _strict(self, document: bytes) -> Object | None:
        try:
            members, has_second = coerce_members(document, self._defects)
        except _NOT_STRICT:
            return None
        self._defects[SECOND_LIST] += has_second
        return members

    def _innermost(self, text: bytes) -> Object | None:
        """Return the members of the object that holds the list, if that object is inside another one."""
        open_ = _open_brackets(text[:-1])
        if len(open_) < 2:
            return None
        self._outside = len(open_) - 1
        return self._strict(text[open_[-1] :] + b"]}")

    def _behind(self) -> Object:
        """Return the members behind the list."""
        window = self._window
        while True:
            mender = Mender(window.text, window.at, ended=window.ended)
            try:
                rest = mender.rest_of_object()
                window.at = mender.at
            except UnfinishedError as error:
                if not window.ended:
                    window.more()
                    continue
                self._defects[CUT_OFF] += 1
                rest = error.complete
                window.at = len(window.text)
            except BrokenError:
                return {}  # what is there is ignored, and counted
            break
        self._defects.update(mender.defects)
        found = self._strict(b'{"traceEvents":[]' + as_utf8(rest, self._defects))
        if found is None:
            self._defects["unreadable members behind the events, left out"] += 1
        return found or {}

    def _ignore_rest(self) -> None:
        """Read to the end of the file, and count what is ignored."""
        window = self._window
        while self._outside and window.skip_space() == b"}":
            window.at += 1
            self._outside -= 1
        window.skip_space()
        count = kept = 0
        before = b""
        while True:
            text = window.text[window.at :]
            ends = (match.end() for match in _OPENS_EVENTS.finditer(before + text))
            self._defects[SECOND_LIST] += sum(end > len(before) for end in ends)
            kept = count + len(text.rstrip()) if text.strip() else kept
            count += len(text)
            before = (before + text)[-_OVERLAP:]
            window.at = len(window.text)
            if not window.more():
                break
        self._defects["byte after the end of the trace, ignored"] += kept
