"""The text of a trace file, unpacked, through a window that moves forward: memory is bounded by the longest event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from profkit.errors import InputError
from profkit.files import GZIP_MAGIC, Unpacker, open_regular, refused_in_words
from profkit.trace.reading.budget import TooLargeError

BLOCK_BYTES = 1 << 20
_PACKED_BYTES = 1 << 13  # read at a time from a gzip: it may unpack to a thousand times as much
_NO_LIMIT = 1 << 62
_NOT_SPACE = re.compile(rb"[^ \t\r\n]")


class Blocks:
    """The text of a file in blocks, unpacked if it is gzip. ``cut_short`` is known once all are read.

    Iterating raises InputError when the file cannot be read or its gzip is damaged: a wrong bit gives wrong text long
    before the checksum at the end shows it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.cut_short = False

    def __iter__(self) -> Iterator[bytes]:
        with open_regular(self._path) as stream, refused_in_words(self._path):
            packed = stream.read(2) == GZIP_MAGIC
            stream.seek(0)
            unpack = Unpacker() if packed else None
            while block := stream.read(_PACKED_BYTES if packed else BLOCK_BYTES):
                yield block if unpack is None else unpack(block, _NO_LIMIT)
                if unpack is not None and unpack.damaged:
                    hint = "Copy it again from the machine that wrote it."
                    raise InputError(f"the gzip is damaged ({unpack.damaged})", where=self._path, hint=hint)
            self.cut_short = unpack is not None and not unpack.complete


class Window:
    """A part of a text: ``text`` from ``at`` on is what is to be read next.

    ``ended`` is whether the text of the file ends with it. Positions in ``text`` are valid until :meth:`more`.
    """

    def __init__(self, blocks: Iterator[bytes], limit: int) -> None:
        self._blocks = blocks
        self._limit = limit
        self.text = b""
        self.at = 0
        self.ended = False

    def more(self) -> bool:
        """Drop what is before ``at``, and at least double the rest; return whether there was more.

        By doubling, the work of looking at a long event again, each time that there is more of it, stays linear. Raises
        TooLargeError if the window would be larger than its limit, and what reading the file raises.
        """
        if self.ended:
            return False
        parts = [self.text[self.at :]]
        length = len(parts[0])
        enough = length + max(BLOCK_BYTES, length)
        while length < enough:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
                break
            parts.append(block)
            length += len(block)
            if length > self._limit:
                raise TooLargeError
        self.text, self.at = b"".join(parts), 0
        return len(parts) > 1

    def has(self, count: int) -> bool:
        """Read on until there are ``count`` bytes from ``at`` on; return whether there are."""
        while len(self.text) - self.at < count:
            if not self.more():
                return False
        return True

    def skip_space(self) -> bytes:
        """Move ``at`` to the next byte that is not white space of JSON; return that byte, empty at the end."""
        while (found := _NOT_SPACE.search(self.text, self.at)) is None:
            self.at = len(self.text)
            if not self.more():
                return b""
        self.at = found.start()
        return found[0]
