"""Shares the pieces of a trace between two processes, where the platform forks; else one does them all.

Pieces are handed out one by one through a pipe of numbers, whichever process is free taking the next, so that a
busy core slows down only itself. The child sends its columns back at its end.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from profkit.trace.decode import Columns, Detail, decode, no_collector
from profkit.trace.pieces import PIECE_BYTES, Pieces, is_gzip

_NUMBER = struct.Struct("<I")
_PIPE_PIECES = 8_192  # numbers that fit a pipe's buffer of 64 KiB, with room to spare
SMALL_BYTES = 24 << 20  # below this, one process is done before a second has started

Numbered = tuple[int, Columns]


def may_fork() -> bool:
    """Whether a child process can be forked: not beside other threads, nor where forking is unsafe or unknown."""
    return hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_pieces(path: Path, detail: Detail, check: Callable[[int], None]) -> list[Columns]:
    """Decode every piece of the trace at ``path``, in order; ``check`` is told the number of bytes read so far.

    Raises what decoding raises: msgspec's errors, CannotCutError, OSError.
    """
    size = path.stat().st_size * (8 if is_gzip(path) else 1)  # a trace packs to a tenth or less
    if size < SMALL_BYTES or processors() < 2 or not may_fork():
        found = list(_decode_claimed(path, detail, iter(range(1 << 32)), check))
    else:
        found = _decode_in_two(path, detail, check)
    return [columns for _, columns in sorted(found, key=lambda numbered: numbered[0])]


def _decode_claimed(
    path: Path, detail: Detail, numbers: Iterator[int], check: Callable[[int], None]
) -> Iterator[Numbered]:
    pieces = Pieces(path)
    try:
        with no_collector():
            for number in numbers:
                piece = pieces.piece(number)
                if piece is None:
                    return
                check(number * PIECE_BYTES)
                yield number, decode(piece, detail)
                if piece.place in ("whole", "last"):
                    return
    finally:
        pieces.close()


def _decode_in_two(path: Path, detail: Detail, check: Callable[[int], None]) -> list[Numbered]:
    numbers_read, numbers_write = os.pipe()
    os.write(numbers_write, b"".join(_NUMBER.pack(n) for n in range(_PIPE_PIECES)))
    os.close(numbers_write)
    back_read, back_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # NumPy's libraries keep threads of their own, which the child never wakes
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_the_child(path, detail, numbers_read, back_write, check)
    os.close(back_write)
    try:
        mine = list(_decode_claimed(path, detail, _claim(numbers_read), check))
        theirs = _receive(back_read)
    finally:
        os.close(numbers_read)
        os.close(back_read)
        os.waitpid(child, 0)
    if isinstance(theirs, BaseException):
        raise theirs
    return [*mine, *theirs]


def _claim(descriptor: int) -> Iterator[int]:
    """Yield piece numbers for as long as there are some; a pipe gives each to one reader only."""
    while taken := os.read(descriptor, _NUMBER.size):
        yield _NUMBER.unpack(taken)[0]


def _be_the_child(path: Path, detail: Detail, numbers: int, back: int, check: Callable[[int], None]) -> None:
    """Decode what is claimed, send it back, and end this process without running anything of the parent's."""
    status = 0
    try:
        result: Any
        try:
            result = list(_decode_claimed(path, detail, _claim(numbers), check))
        except Exception as error:  # whatever it is, the parent raises it
            result = error
        with os.fdopen(back, "wb") as stream:
            pickle.dump(result, stream, protocol=5)
    except BaseException:  # the parent sees the pipe end early, and decodes alone
        status = 1
    finally:
        os._exit(status)


def _receive(descriptor: int) -> Any:
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        try:
            return pickle.load(stream)
        except (EOFError, pickle.UnpicklingError):
            return ChildLostError()


class ChildLostError(Exception):
    """The second process ended before it sent its columns, killed for memory perhaps."""
