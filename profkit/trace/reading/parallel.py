"""Shares the pieces of a trace between two processes, where the platform forks; else one does them all.

Pieces are handed out one by one through a pipe of numbers, whichever process is free taking the next, so that a
busy core slows down only itself. The child sends its columns back at its end.
"""

from __future__ import annotations

import itertools
import os
import pickle
import re
import struct
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from profkit.trace.options import Detail
from profkit.trace.reading.decode import Columns, Flavour, decode, no_collector, sniff
from profkit.trace.reading.pieces import GZIP_ERRORS, PIECE_BYTES, CannotCutError, Pieces, is_gzip, open_text

_NUMBER = struct.Struct("<I")
_TURNS = 8_192  # numbers that fit a pipe's buffer of 64 KiB, with room to spare
_PACKED_RATIO = 64  # a gzipped trace does not unpack to more than this many times its size
_HEAD_BYTES = 1 << 16
_DEVICES = re.compile(rb'"deviceProperties":\s*\[\s*\{')
_EVENT_BYTES = 200  # of text, about, per event
_ROW_BYTES = 64  # of columns per event
SMALL_BYTES = 24 << 20  # below this, one process is done before a second has started

Numbered = tuple[int, Columns]


def may_fork() -> bool:
    """Whether a child process can be forked: not beside other threads, nor where forking is unsafe or unknown."""
    return hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Job(NamedTuple):
    """What both processes do. ``memory_limit`` is in bytes; beyond it reading is given up with TooLargeError."""

    path: Path
    detail: Detail
    flavour: Flavour
    memory_limit: int

    @classmethod
    def of(cls, path: Path, detail: Detail, memory_limit: int) -> Job:
        """Look at the beginning of the file: what is it like, and does it name devices?"""
        beginning = _read_beginning(path)
        if _DEVICES.search(beginning):
            detail |= Detail.DEVICE
        return cls(path, detail, sniff(beginning), memory_limit)

    def check(self, position: int) -> None:
        if position // _EVENT_BYTES * _ROW_BYTES > self.memory_limit:
            raise TooLargeError


class TooLargeError(Exception):
    """The columns of the file would take more than the memory limit."""


class _Child(NamedTuple):
    """The second process: where turns are claimed, how many pieces a turn has, and where its columns come from."""

    pid: int
    numbers: int
    turn: int
    back: int


_ahead: dict[Job, _Child] = {}  # children that were started before their columns were asked for


def start_ahead(job: Job) -> None:
    """Let the second process begin now, where there will be one; :func:`decode_pieces` joins in later.

    For a program that still has to load NumPy and more, which takes as long as a third of the decoding.
    """
    turn = _turn(job)
    if turn is not None:
        _ahead[job] = _start_child(job, turn)


def decode_pieces(job: Job) -> list[Columns]:
    """Decode every piece of a trace, in order.

    Raises what decoding raises: msgspec's errors, CannotCutError, TooLargeError, OSError.
    """
    child = _ahead.pop(job, None)
    if child is None and (turn := _turn(job)) is not None:
        child = _start_child(job, turn)
    found = list(_decode_claimed(job, itertools.count())) if child is None else _join_in(job, child)
    return [columns for _, columns in sorted(found, key=lambda numbered: numbered[0])]


def _turn(job: Job) -> int | None:
    """Return how many neighbouring pieces a process takes at a time, None where one process does them all."""
    size, packed = job.path.stat().st_size, is_gzip(job.path)
    if size * (8 if packed else 1) < SMALL_BYTES or processors() < 2 or not may_fork():
        return None
    return size * (_PACKED_RATIO if packed else 1) // PIECE_BYTES // _TURNS + 1


def _read_beginning(path: Path) -> bytes:
    with open_text(path) as stream:
        try:
            return stream.read(_HEAD_BYTES)
        except GZIP_ERRORS:  # the reading proper says what is wrong with it
            return b""


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


def _start_child(job: Job, turn: int) -> _Child:
    numbers_read, numbers_write = os.pipe()
    os.write(numbers_write, b"".join(_NUMBER.pack(n) for n in range(_TURNS)))
    os.close(numbers_write)
    back_read, back_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # NumPy's libraries keep threads of their own, which the child never wakes
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(back_read)
        _be_the_child(job, turn, numbers_read, back_write)
    os.close(back_write)
    return _Child(pid, numbers_read, turn, back_read)


def _join_in(job: Job, child: _Child) -> list[Numbered]:
    """Decode beside the child until no turn is left, then take what it has."""
    try:
        mine = list(_decode_claimed(job, _claim(child.numbers, child.turn)))
        theirs = _receive(child.back)
    finally:
        os.close(child.numbers)
        os.close(child.back)
        os.waitpid(child.pid, 0)
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
