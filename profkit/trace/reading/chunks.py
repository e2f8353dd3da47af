"""Cuts the text of a trace into pieces that are JSON of their own, so that memory is bounded and cores share work.

A cut stands between two events, at a text that cannot occur inside a JSON string: it holds a raw newline or an
unescaped quote. So a piece is whole events, or the file's structure is not what it seems and a piece fails to parse.
Piece k holds the events that begin in the k-th stretch of ``size`` bytes; any process finds it by itself. The first
piece keeps the file's head, the last one its tail: both are closed into objects, the others into arrays.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

_open_gzip: Any = gzip.open
_gzip_error: type[Exception] = zlib.error
with contextlib.suppress(ImportError):  # no wheel for this platform: the standard library's, at half the speed
    from isal import igzip, isal_zlib

    _open_gzip, _gzip_error = igzip.open, cast("type[Exception]", isal_zlib.error)

# what unpacking may say of a gzip that is damaged, cut short, or followed by something else
GZIP_ERRORS: tuple[type[Exception], ...] = (zlib.error, _gzip_error, gzip.BadGzipFile, EOFError)
PIECE_BYTES = 1 << 20  # what a core's own cache holds
GZIP_MAGIC = b"\x1f\x8b"
# what stands between two events: as PyTorch writes them, and as json.dump does
_SEPARATORS = (b"\n  },\n  {", b'},{"ph"', b'}, {"ph"', b'},\n{"ph"', b'},{"name"', b'}, {"name"', b'},\n{"name"')
_WINDOW = 1 << 17  # bytes in which one event must end

Place = Literal["whole", "first", "middle", "last"]


class CannotCutError(Exception):
    """No event ends where one should: the file is of one piece."""


class Piece(NamedTuple):
    """A part of a trace as a JSON document; first, last and whole are objects with traceEvents, middle an array.

    The text is valid until the next piece is asked for.
    """

    place: Place
    text: memoryview | bytes


def is_gzip(path: Path) -> bool:
    """Tell gzip by content, not by name."""
    with path.open("rb") as stream:
        return stream.read(2) == GZIP_MAGIC


def open_text(path: Path) -> IO[bytes]:
    """Open the JSON text of a trace, unpacking it where it is gzipped."""
    if not is_gzip(path):
        return path.open("rb", buffering=0)
    return cast(IO[bytes], _open_gzip(path, "rb"))


class Unpacker:
    """Unpacks a gzip bit by bit: all of one that is cut short, and of one with something else behind it.

    ``damaged`` says what is wrong with one whose content cannot be trusted: a wrong bit gives wrong text for long
    before it is noticed, if it is before the checksum at the end.
    """

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self._begun = False
        self.damaged = ""

    @property
    def whole(self) -> bool:
        """Whether the last member has ended as it must."""
        return self._stream.eof or not self._begun

    def __call__(self, packed: bytes, limit: int) -> bytes:
        """Return what ``packed`` unpacks to, no more than about ``limit`` bytes."""
        parts: list[bytes] = []
        try:
            while packed and limit > 0:
                if self._stream.eof:
                    if not packed.startswith(GZIP_MAGIC):
                        break  # what follows is no member
                    self._stream = zlib.decompressobj(wbits=31)  # the next member
                self._begun = True
                parts.append(self._stream.decompress(packed, limit))
                limit -= len(parts[-1])
                packed = self._stream.unconsumed_tail or self._stream.unused_data
        except zlib.error as error:
            self.damaged = str(error)
        return b"".join(parts)


class Pieces:
    """The pieces of one trace; of a gzipped one they must be asked for in rising order."""

    def __init__(self, path: Path, size: int = PIECE_BYTES) -> None:
        self._size = size
        self._stream = open_text(path)
        self._seekable = not is_gzip(path)
        # one buffer serves all pieces: touching fresh memory costs more than reading into it
        self._buffer = bytearray(size + _WINDOW)
        self._next = 0  # the stretch whose beginning the stream, or the buffer's tail, is at
        self._overlap = b""

    def close(self) -> None:
        self._stream.close()

    def piece(self, k: int) -> Piece | None:
        """Return piece ``k``, None after the last; raises CannotCutError where no event ends in time."""
        length = self._fill(k)
        text, at_end = self._buffer, length < self._size + _WINDOW
        begin, end = (0, 0), _cut(text, self._size, length)
        if end is None and not at_end:
            raise CannotCutError
        if k:
            found = _cut(text, 0, length)
            if found is None:
                return None
            begin = found
        if end is None:
            view = memoryview(text)[begin[1] : length]
            return Piece("last", b'{"traceEvents":[' + view) if k else Piece("whole", view)
        # the comma behind the last event and what stands before the first one make room for the brackets
        text[end[0]] = ord("]")
        if k:
            text[begin[1] - 1] = ord("[")
            return Piece("middle", memoryview(text)[begin[1] - 1 : end[0] + 1])
        text[end[0] + 1] = ord("}")
        return Piece("first", memoryview(text)[: end[0] + 2])

    def _fill(self, k: int) -> int:
        """Read the stretch from ``k * size`` on, of ``size`` and a window, into the buffer; return its length."""
        if self._seekable:
            self._stream.seek(k * self._size)
            return _read_into(self._stream, memoryview(self._buffer))
        view = memoryview(self._buffer)
        while True:
            kept = len(self._overlap)
            view[:kept] = self._overlap
            length = kept + _read_into(self._stream, view[kept:])
            self._overlap = bytes(view[self._size : length])
            self._next += 1
            if self._next > k or length <= self._size:
                return length if self._next > k else 0


def _read_into(stream: IO[bytes], view: memoryview) -> int:
    """Fill ``view``, less only at the stream's end; return how much it is."""
    length = 0
    while length < len(view) and (more := stream.readinto(view[length:])):  # type: ignore[attr-defined]  # binary ones have it
        length += more
    return length


def _cut(text: bytearray, begin: int, length: int) -> tuple[int, int] | None:
    """Return where the first event ends from ``begin`` on, and where the next begins; None within the window."""
    for separator in _SEPARATORS:
        at = text.find(separator, begin, min(begin + _WINDOW, length))
        if at >= 0:
            brace = separator.index(b"}")
            return at + brace + 1, at + separator.index(b"{", brace)
    return None
