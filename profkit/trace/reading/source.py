"""The text of a trace file that the strict way cannot read: unpacked, taken out of an archive, and in UTF-8."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from profkit.files import OversizeError, read_bounded
from profkit.trace.reading.budget import TooLargeError
from profkit.trace.reading.foreign import BEGINNING, recognise
from profkit.trace.reading.window import BLOCK_BYTES, Blocks

CUT_SHORT = "gzip cut short"
_TEXT_SHARE = 3  # what is packed twice is unpacked whole: it may take a third of the memory limit


class SourceText:
    """The blocks of one text, to be iterated once. ``defects`` counts what was mended to get it, when all is read.

    A plain file and a gzip are read as :class:`Blocks` does, block by block. Raises InputError if it is the file of
    another program, and as Blocks and :func:`profkit.trace.reading.wrapped.unwrap` do; TooLargeError if what is packed
    twice takes more than a third of ``memory_limit`` (bytes).
    """

    def __init__(self, path: Path, memory_limit: int) -> None:
        from profkit.trace.reading.wrapped import is_wrapped  # imports zipfile and lzma, which sound files do not need

        self.defects: Counter[str] = Counter()
        self._file = Blocks(path)
        blocks = iter(self._file)
        beginning = b""
        while len(beginning) < BEGINNING and (block := next(blocks, None)) is not None:
            beginning += block
        if (found := recognise(beginning[:BEGINNING])) is not None:  # before it is read: a model may exceed the limit
            raise found.refusal(path)
        self._blocks: Iterator[bytes]
        if is_wrapped(beginning[:BEGINNING]):
            self._blocks = _cut(self._unwrapped(path, memory_limit // _TEXT_SHARE))
        else:
            self._blocks = chain([beginning], blocks)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._blocks
        if self._file.cut_short:
            self.defects[CUT_SHORT] += 1

    def _unwrapped(self, path: Path, limit: int) -> bytes:
        from profkit.trace.reading.wrapped import unwrap

        try:
            content = read_bounded(path, limit)
            text, defects = unwrap(content.data, limit, path)
        except OversizeError:
            raise TooLargeError from None
        self.defects.update(defects)
        if content.cut_short:
            self.defects[CUT_SHORT] += 1
        return text


def _cut(text: bytes) -> Iterator[bytes]:
    for at in range(0, len(text), BLOCK_BYTES):
        yield text[at : at + BLOCK_BYTES]
