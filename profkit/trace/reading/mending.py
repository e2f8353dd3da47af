"""Reads damaged traces, and sound ones that cannot be cut into chunks: piece by piece, mending what needs it.

The text is cut at what looks like the end of an event. A piece that decodes strictly is taken as it is; a shorter one
is tried if it does not, down to a single event, whose text is mended token by token. So a sound part of a file costs
what it costs in a sound file, and the memory is bounded by the longest event. Every defect is counted by its kind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from profkit.trace.options import Detail
from profkit.trace.reading.budget import Budget
from profkit.trace.reading.chunks import Chunk
from profkit.trace.reading.decode import Columns, decode_events, holds_lists
from profkit.trace.reading.event_types import Flavour, decoder
from profkit.trace.reading.mend_document import Document
from profkit.trace.reading.mend_errors import mend_at_errors
from profkit.trace.reading.mend_text import CUT_OFF, BrokenError, Defects, Mender, UnfinishedError, as_utf8
from profkit.trace.reading.mend_types import coerce_events
from profkit.trace.reading.window import Window

_PIECE_BYTES = 1 << 20
_LEAST_BYTES = 1 << 10  # a shorter piece is a single event
_MOST_SINGLE = 2_000  # single events that are decoded at once
_SHORT = 1 << 16  # bytes: the text up to a cut farther away is probably not one event
# Between two objects of an array. It cannot occur in a valid string: behind a quote that ends a string there is no
# letter, and a quote in a string has a backslash before it.
_BETWEEN = re.compile(rb'\}[ \t\r\n]*,[ \t\r\n]*(?=\{[ \t\r\n]*"[A-Za-z_])')
# Before an event, in the middle of damage: as PyTorch indents events, or by the keys that events begin with.
_INDENTED = re.compile(rb"\r?\n  \{")
_BEFORE_INDENTED = re.compile(rb",\r?\n  (?=\{)")
_BEFORE_EVENT = re.compile(rb',[ \t\r\n]*(?=\{[ \t\r\n]*"(?:ph|name|cat|pid|tid|ts|args)"[ \t\r\n]*:)')
_FAR = 1 << 20  # bytes: a break found so far from the beginning of its event cost a long search
_MOST_SEARCHES = 16  # such searches, after which the rest of the file is given up: the work stays linear
_UNREADABLE = "unreadable event, left out"
_NOT_STRICT = (msgspec.DecodeError, UnicodeDecodeError)


class Piece(NamedTuple):
    """Neighbouring events as strict JSON, without the brackets around them, and their columns."""

    text: bytes
    columns: Columns


class _Single(NamedTuple):
    """The text of one element of the list, empty if it is left out; whether it needed no mending."""

    text: bytes
    is_sound: bool


_LEFT_OUT = _Single(b"", is_sound=False)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class Mending:
    """The reading of one text: :meth:`begin`, then all :meth:`pieces`, then :meth:`end`.

    ``defects`` counts what was mended; ``reason`` is an error of what was left out, ``records`` counts what was read.
    """

    def __init__(self, window: Window, detail: Detail, flavour: Flavour, memory_limit: int) -> None:
        self.defects: Defects = Counter()
        self.reason: Exception | None = None
        self.records = 0
        self._window = window
        self._detail = detail
        self._flavour = flavour
        self._budget = Budget(memory_limit)
        self._document = Document(window, self.defects)
        self._before_event = _BEFORE_EVENT
        self._searches = 0
        self._list_ended = False
        self._gave_up = False
        # a text, from where on it was searched, and what was found there
        self._known: tuple[bytes, int, re.Match[bytes] | None] = (b"", 0, None)

    def begin(self) -> bytes | None:
        """Read up to the list of events; return the text before it as strict JSON, None if there is no list.

        Raises TooLargeError, as all methods do.
        """
        head = self._document.head()
        if head is not None:
            self._list_ended = self._document.has_no_list
            self._window.has(4)
            if _INDENTED.match(self._window.text, self._window.at):
                self._before_event = _BEFORE_INDENTED
        return head

    def end(self) -> bytes:
        """Return the text behind the list of events as strict JSON."""
        return self._document.tail() if self._list_ended else b"]}"

    def members(self) -> bytes:
        """Return the members of the file around its events as a JSON object, with an empty list of events."""
        return self._document.members()

    def pieces(self) -> Iterator[Piece]:
        """Yield the events up to the end of the list."""
        size, wait, held = _PIECE_BYTES, 0, 0
        single: list[bytes] = []
        while self._is_at_event():
            cut = self._cut(size)
            piece = None
            if size and cut is not None:
                piece = self._decoded(self._window.text[self._window.at : cut.start() + 1])
            if piece is not None and cut is not None:
                yield from self._flushed(single)
                single, held = [], 0
                yield self._counted(piece)
                self._window.at, size = cut.end(), min(_PIECE_BYTES, size * 2)
            elif size > _LEAST_BYTES:
                size //= 4
            elif size:  # single events follow for as long as what was tried in vain: the work stays linear
                size, wait = 0, 0 if cut is None else cut.end() - self._window.at
            else:
                taken, is_sound = self._usual(single, wait)
                if not taken:
                    event = self._unusual()
                    single += [event.text] if event.text else []
                    taken, is_sound = len(event.text), event.is_sound
                wait -= taken
                held += taken
                size = _LEAST_BYTES if is_sound and wait <= 0 else 0
                if len(single) > _MOST_SINGLE or held > _PIECE_BYTES:
                    yield from self._flushed(single)
                    single, held = [], 0
        yield from self._flushed(single)

    def _counted(self, piece: Piece) -> Piece:
        found = piece.columns
        marks = 0 if found.marks is None else len(found.marks.start) + sum(found.marks.untimed.values())
        self.records += len(found.start) + sum(found.others.values()) + sum(found.untimed.values()) + marks
        self._budget.spend(found)
        return piece

    def _flushed(self, events: list[bytes]) -> Iterator[Piece]:
        """Yield single events as one piece; without those that cannot be decoded together with others.

        An event that is nested as deeply as the decoder allows is one level too deep inside a list.
        """
        piece = self._decoded(b",\n".join(events)) if events else None
        if piece is not None:
            yield self._counted(piece)
        elif len(events) > 1:
            half = len(events) // 2
            yield from self._flushed(events[:half])
            yield from self._flushed(events[half:])
        elif events:
            self.defects[_UNREADABLE] += 1

    def _is_at_event(self) -> bool:
        """Move to the next element of the list; return whether there is one."""
        if self._gave_up or self._list_ended:
            return False
        window = self._window
        while (byte := window.skip_space()) == b",":
            self.defects["trailing comma"] += 1
            window.at += 1
        if byte == b"]":
            window.at += 1
            self._list_ended = True
        elif not byte:
            self.defects[CUT_OFF] += 1
        return byte not in (b"", b"]")

    def _cut(self, size: int) -> re.Match[bytes] | None:
        """Return the text between two objects at least ``size`` bytes on; None if there is none."""
        window = self._window
        text, begin, found = self._known
        start = window.at + size
        if text is window.text and begin <= start and (found is None or start <= found.start()):
            return found
        while (found := _BETWEEN.search(window.text, window.at + size)) is None and window.more():
            pass
        self._known = (window.text, window.at + size, found)
        return found

    def _decoded(self, text: bytes) -> Piece | None:
        """Decode events, after giving their fields the right types if needed; None if it is not strict JSON."""
        defects: Defects = Counter()
        if not _is_utf8(text):
            return None
        try:
            try:
                found = self._decode(text)
                if holds_lists(text, found):
                    text = coerce_events(text, defects)
                    found = self._decode(text)
            except (msgspec.ValidationError, OverflowError) as error:
                self.reason = self.reason or error
                text = coerce_events(text, defects)
                found = self._decode(text)
        except RecursionError as error:
            self.reason = error
            return None
        except _NOT_STRICT as error:
            self.reason = self.reason or error
            return None
        self.defects.update(defects)
        return Piece(text, found)

    def _decode(self, text: bytes) -> Columns:
        return decode_events(Chunk("middle", b"[%b]" % text), self._detail, self._flavour)

    def _usual(self, single: list[bytes], wait: int) -> tuple[int, bool]:
        """Append the next short events that can be mended at their errors to ``single``.

        Stop at a sound one behind ``wait`` bytes. Return how many bytes were taken, and whether the last one was sound.
        """
        window, taken, is_sound = self._window, 0, False
        text, at = window.text, window.at
        while len(single) <= _MOST_SINGLE and taken <= _PIECE_BYTES and not (is_sound and taken >= wait):
            cut = _BETWEEN.search(text, at, at + _SHORT)
            if cut is None:
                break
            event = text[at : cut.start() + 1]
            mended = mend_at_errors(event)
            if mended is None or not _is_utf8(event):
                break
            single.append(mended[0])
            for defect in mended[1]:
                self.defects[defect] += 1
            is_sound = not mended[1]
            taken += len(event)
            at = cut.end()
        window.at = at
        return taken, is_sound

    def _unusual(self) -> _Single:
        """Read one element of any kind, and what is between it and the next."""
        found = self._mended()
        if not self._gave_up and found is not _LEFT_OUT:
            self._pass_comma()
        return found

    def _is_json(self, text: bytes) -> bool:
        try:
            decoder(msgspec.Raw).decode(text)
        except RecursionError as error:
            self.reason = error
            return False
        except _NOT_STRICT as error:
            self.reason = self.reason or error
            return False
        return True

    def _mended(self) -> _Single:
        """Mend the element at the beginning of the window, and move behind it, or to the next if it is left out."""
        window = self._window
        while True:
            mender = Mender(window.text, window.at, ended=window.ended, holds_event=self._holds_event)
            try:
                event = mender.value()
            except UnfinishedError:
                if window.ended:
                    self._leave_out(len(window.text), CUT_OFF)
                    return _LEFT_OUT
                window.more()
                continue
            except BrokenError:
                self._leave_out(mender.at, _UNREADABLE)
                return _LEFT_OUT
            break
        window.at = mender.at
        event = as_utf8(event, mender.defects)
        if not self._is_json(event):
            self.defects[_UNREADABLE] += 1
            return _Single(b"", is_sound=False)
        self.defects.update(mender.defects)
        return _Single(event, is_sound=not mender.defects and event.startswith(b"{"))

    def _holds_event(self, begin: int, end: int) -> bool:
        """Whether a sound event begins between two positions."""
        found = self._before_event.search(self._window.text, begin, end + 1)
        if found is None:
            return False
        mender = Mender(self._window.text, found.end(), ended=True)
        try:
            mender.value()
        except (BrokenError, UnfinishedError):
            return False
        return not mender.defects

    def _leave_out(self, stop: int, last: str) -> None:
        """Leave the text out that begins here and cannot be read up to ``stop``; move to the next event.

        If there is no other event, the rest of the file is given up, and ``last`` is the defect.
        """
        window = self._window
        self._searches += stop - window.at > _FAR
        found = None
        while self._searches <= _MOST_SEARCHES:
            found = self._before_event.search(window.text, window.at + 1)
            if found is not None or not window.more():
                break
        if found is None:
            self.defects[last if self._searches <= _MOST_SEARCHES else "unreadable rest of the file, left out"] += 1
            self._gave_up = True
        else:
            self.defects[_UNREADABLE] += 1
            window.at = found.end()

    def _pass_comma(self) -> None:
        """Move behind the comma after an element, if there is one."""
        window = self._window
        byte = window.skip_space()
        if byte == b",":
            window.at += 1
            if window.skip_space() == b"]":
                self.defects["trailing comma"] += 1
        elif byte == b"{":
            self.defects["missing comma between events"] += 1
        elif byte not in (b"", b"]"):
            self._leave_out(window.at, _UNREADABLE)
