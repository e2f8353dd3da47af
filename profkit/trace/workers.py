"""Shares the pieces of a trace between two processes, where the platform forks; else one does them all.

Pieces are handed out one by one through a pipe of numbers, whichever process is free taking the next, so that a
busy core slows down only itself. The child sends its columns back at its end.
"""

from __future__ import annotations

import itertools
import os
import pickle
import struct
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from profkit.trace.decode import Columns, Detail, Flavour, decode, no_collector
from profkit.trace.pieces import PIECE_BYTES, CannotCutError, Pieces, is_gzip

_NUMBER = struct.Struct("<I")
_TURNS = 8_192  # numbers that fit a pipe's buffer of 64 KiB, with room to spare
_PACKED_RATIO = 64  # a gzipped trace does not unpack to more than this many times its size
SMALL_BYTES = 24 << 20  # below this, one process is done before a second has started

Numbered = tuple[int, Columns]


def may_fork() -> bool:
    """Whether a child process can be forked: not beside other threads, nor where forking is unsafe or unknown."""
    return hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Job(NamedTuple):
    """What both processes do; ``check`` is told how far into the text a piece begins, in bytes."""

    path: Path
    detail: Detail
    flavour: Flavour
    check: Callable[[int], None]


def decode_pieces(job: Job) -> list[Columns]:
    """Decode every piece of a trace, in order.

    Raises what decoding raises: msgspec's errors, CannotCutError, OSError.
    """
    size, packed = job.path.stat().st_size, is_gzip(job.path)
    if size * (8 if packed else 1) < SMALL_BYTES or processors() < 2 or not may_fork():
        found = list(_decode_claimed(job, itertools.count()))
    else:
        turn = size * (_PACKED_RATIO if packed else 1) // PIECE_BYTES // _TURNS + 1
        found = _decode_in_two(job, turn)
    return [columns for _, columns in sorted(found, key=lambda numbered: numbered[0])]


def _decode_claimed(job: Job, numbers: Iterator[int]) -> Iterator[Numbered]:
    pieces = Pieces(job.path)
    try:
        with no_collector():
            for number in numbers:
                piece = pieces.piece(number)
                if piece is None:
                    return
                job.check(number * PIECE_BYTES)
                yield number, decode(piece, job.detail, job.flavour)
                if piece.place in ("whole", "last"):
                    return
    finally:
        pieces.close()


def _decode_in_two(job: Job, turn: int) -> list[Numbered]:
    """Decode in this process and a child, each taking ``turn`` neighbouring pieces at a time."""
    numbers_read, numbers_write = os.pipe()
    os.write(numbers_write, b"".join(_NUMBER.pack(n) for n in range(_TURNS)))
    os.close(numbers_write)
    back_read, back_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # NumPy's libraries keep threads of their own, which the child never wakes
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_the_child(job, turn, numbers_read, back_write)
    os.close(back_write)
    try:
        mine = list(_decode_claimed(job, _claim(numbers_read, turn)))
        theirs = _receive(back_read)
    finally:
        os.close(numbers_read)
        os.close(back_read)
        os.waitpid(child, 0)
    if isinstance(theirs, BaseException):
        raise theirs
    return [*mine, *theirs]


def _claim(descriptor: int, turn: int) -> Iterator[int]:
    """Yield piece numbers for as long as there are some; a pipe gives each turn to one reader only."""
    while taken := os.read(descriptor, _NUMBER.size):
        first = _NUMBER.unpack(taken)[0] * turn
        yield from range(first, first + turn)
    raise CannotCutError  # a file beyond all turns


def _be_the_child(job: Job, turn: int, numbers: int, back: int) -> None:
    """Decode what is claimed, send it back, and end this process without running anything of the parent's."""
    status = 0
    try:
        result: Any
        try:
            result = list(_decode_claimed(job, _claim(numbers, turn)))
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
