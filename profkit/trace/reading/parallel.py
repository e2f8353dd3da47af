"""Decodes the chunks of a trace in two processes if the platform can fork, else in one.

The processes share a dynamic work queue: a pipe of chunk numbers, from which each takes the next when it is free. The
child sends its columns back through a second pipe when the queue is empty.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from profkit.files import gzip_errors, is_gzip, open_unpacked
from profkit.forked import may_fork, processors, receive_answer, start_answering
from profkit.trace.options import Detail
from profkit.trace.reading.budget import Budget
from profkit.trace.reading.chunks import CHUNK_BYTES, CannotCutError, Chunks
from profkit.trace.reading.decode import Columns, decode, no_collector
from profkit.trace.reading.event_types import Flavour, sniff

_NUMBER = struct.Struct("<I")
_TURNS = 8_192  # their numbers take 32 KiB: half of a pipe's buffer, so that filling it never blocks
_PACKED_RATIO = 64  # upper bound of text per gzipped byte; traces of 1.8 to 2.15 have 7 to 30
_USUAL_RATIO = 8  # text per gzipped byte, a low estimate (see above)
_HEAD_BYTES = 1 << 16  # the head of a file ends before this
_DEVICES = re.compile(rb'"deviceProperties":\s*\[\s*\{')
_OLD_DEVICES = b'"pid": "CUDA functions"'  # of the exporter before kineto, which ties kernels to operators by flows
SMALL_BYTES = 24 << 20  # of text; below this one process is done before forking a second pays

Numbered = tuple[int, Columns]


class Job(NamedTuple):
    """The task of both processes. ``memory_limit`` is in bytes; beyond it TooLargeError is raised."""

    path: Path
    detail: Detail
    flavour: Flavour
    memory_limit: int

    @classmethod
    def of(cls, path: Path, detail: Detail, memory_limit: int) -> Job:
        """Look at the beginning of the file: how it is written, and whether it names devices."""
        beginning = _read_beginning(path)
        if _DEVICES.search(beginning):
            detail |= Detail.DEVICE
        if _OLD_DEVICES in beginning:
            detail |= Detail.DEVICE | Detail.FLOWS
        return cls(path, detail, sniff(beginning), memory_limit)


class Decoding:
    """The decoding of one file, begun: a second process is at work if the file is large enough for one.

    It must end by :meth:`columns` or :meth:`close`; a forgotten one is closed when it is collected.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._child: _Child | None = None
        turn = _turn(job)
        if turn is not None:
            self._child = _start_child(job, turn)

    def columns(self) -> list[Columns]:
        """Decode what is left, beside the second process, and return the columns of every chunk in order.

        Raises what decoding raises: msgspec's errors, gzip errors, CannotCutError, ChildLostError, TooLargeError,
        InputError, OSError.
        """
        child, self._child = self._child, None
        if child is None:
            return [columns for _, columns in _decode_claimed(self.job, itertools.count())]
        found = sorted(_join_in(self.job, child), key=lambda numbered: numbered[0])
        budget = Budget(self.job.memory_limit)  # each process has checked its own part
        for _, columns in found:
            budget.spend(columns)
        return [columns for _, columns in found]

    def close(self) -> None:
        """End the second process, if it still runs, without a result."""
        child, self._child = self._child, None
        if child is not None:
            os.close(child.numbers)
            os.close(child.back)
            os.kill(child.pid, signal.SIGKILL)  # it may be blocked on the pipe that nobody reads
            os.waitpid(child.pid, 0)

    def __del__(self) -> None:
        self.close()


class _Child(NamedTuple):
    """The second process: its id, the queue of turns, the chunks per turn, and the pipe of its result."""

    pid: int
    numbers: int
    turn: int
    back: int


def _turn(job: Job) -> int | None:
    """Return how many neighbouring chunks a process takes at a time, None if one process decodes them all."""
    size, packed = job.path.stat().st_size, is_gzip(job.path)
    if size * (_USUAL_RATIO if packed else 1) < SMALL_BYTES or processors() < 2 or not may_fork():
        return None
    return size * (_PACKED_RATIO if packed else 1) // CHUNK_BYTES // _TURNS + 1


def _read_beginning(path: Path) -> bytes:
    with open_unpacked(path) as stream:
        try:
            return stream.read(_HEAD_BYTES)
        except gzip_errors():  # the decoding reports it
            return b""


def _decode_claimed(job: Job, numbers: Iterator[int]) -> Iterator[Numbered]:
    chunks, budget = Chunks(job.path), Budget(job.memory_limit)
    try:
        with no_collector():
            for number in numbers:
                chunk = chunks.chunk(number)
                if chunk is None:
                    return
                columns = decode(chunk, job.detail, job.flavour)
                budget.spend(columns)
                yield number, columns
                if chunk.place in ("whole", "last"):
                    return
    finally:
        chunks.close()


def _start_child(job: Job, turn: int) -> _Child:
    numbers_read, numbers_write = os.pipe()
    os.write(numbers_write, b"".join(_NUMBER.pack(n) for n in range(_TURNS)))
    os.close(numbers_write)
    pid, back = start_answering(lambda: list(_decode_claimed(job, _claim(numbers_read, turn))))
    return _Child(pid, numbers_read, turn, back)


def _join_in(job: Job, child: _Child) -> list[Numbered]:
    """Decode beside the child until the queue is empty, then receive its columns."""
    try:
        decoded = list(_decode_claimed(job, _claim(child.numbers, child.turn)))
        received: list[Numbered] = receive_answer(child.back)
    except BaseException:
        os.kill(child.pid, signal.SIGKILL)  # nobody waits for its answer any more
        raise
    finally:
        os.close(child.numbers)
        os.close(child.back)
        os.waitpid(child.pid, 0)
    return [*decoded, *received]


def _claim(descriptor: int, turn: int) -> Iterator[int]:
    """Yield chunk numbers while there are any; a pipe gives each turn to one reader only."""
    while taken := os.read(descriptor, _NUMBER.size):
        first = _NUMBER.unpack(taken)[0] * turn
        yield from range(first, first + turn)
    raise CannotCutError  # the file is larger than all turns
