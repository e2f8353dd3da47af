"""Cuts the JSON text of a trace into chunks, each a valid JSON document: memory is bounded, and cores share the work.

A cut is made between two events, at a text that cannot occur inside a JSON string because it contains a raw newline
or an unescaped quote. So a chunk holds whole events; if the file's structure is different, a chunk fails to parse and
the file is decoded another way. Chunk k holds the events that begin in the k-th ``size`` bytes, so any process finds it
without the others. The first chunk keeps the file's head and the last one its tail: both are closed into objects, the
others into arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Literal, NamedTuple

from profkit.files import is_gzip, open_unpacked

CHUNK_BYTES = 1 << 20  # fits a core's own cache
# the text between two events: as PyTorch writes it, and as json.dump does
_SEPARATORS = (b"\n  },\n  {", b'},{"ph"', b'}, {"ph"', b'},\n{"ph"', b'},{"name"', b'}, {"name"', b'},\n{"name"')
_WINDOW = 1 << 17  # bytes in which one event must end; events with long stacks take a few KiB

LIST_MARK = "end of the first chunk"
"""The name of the record that ends the first chunk: the list that was cut is the list of events if it is in that."""
_MARK = b',{"name":"' + LIST_MARK.encode() + b'"}]}'

Place = Literal["whole", "first", "middle", "last"]


class CannotCutError(Exception):
    """No event ends within the window: the file has to be decoded whole."""


class Chunk(NamedTuple):
    """Part of a trace as a JSON document: first, last and whole are objects with traceEvents, middle is an array.

    ``text`` is valid until the next chunk is read.
    """

    place: Place
    text: memoryview | bytes


class Chunks:
    """The chunks of one trace file; those of a gzipped file must be read in rising order."""

    def __init__(self, path: Path, size: int = CHUNK_BYTES) -> None:
        self._size = size
        self._stream = open_unpacked(path)
        self._seekable = not is_gzip(path)
        # one buffer for all chunks: touching new memory costs more than reading into it
        self._buffer = bytearray(size + _WINDOW)
        self._next = 0  # gzipped: the chunk that begins at the stream's position, less the overlap
        self._overlap = b""

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def chunk(self, k: int) -> Chunk | None:
        """Return chunk ``k``, None after the last; raises CannotCutError when no event ends within the window."""
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
            return Chunk("last", b'{"traceEvents":[' + view) if k else Chunk("whole", view)
        if not k:
            return Chunk("first", bytes(memoryview(text)[: end[0]]) + _MARK)
        # the brackets overwrite the comma after the last event and the byte before the first one
        text[end[0]], text[begin[1] - 1] = ord("]"), ord("[")
        return Chunk("middle", memoryview(text)[begin[1] - 1 : end[0] + 1])

    def _fill(self, k: int) -> int:
        """Read ``size`` bytes and a window from ``k * size`` on into the buffer; return how many there were."""
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
    """Fill ``view``, or less at the end of the stream; return how many bytes were read."""
    length = 0
    while length < len(view) and (more := stream.readinto(view[length:])):  # type: ignore[attr-defined]  # binary ones have it
        length += more
    return length


def _cut(text: bytearray, begin: int, length: int) -> tuple[int, int] | None:
    """Return where the first event from ``begin`` on ends and where the next begins; None if not within the window."""
    for separator in _SEPARATORS:
        at = text.find(separator, begin, min(begin + _WINDOW, length))
        if at >= 0:
            brace = separator.index(b"}")
            return at + brace + 1, at + separator.index(b"{", brace)
    return None
