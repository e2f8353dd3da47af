"""oneDNN's verbose log → columns: which primitive, when, how long; what cannot be read is counted, not guessed.

A log repeats itself: a model of fifty layers prints the same few hundred records over and over, but for time stamp and
duration. Each distinct record is parsed once (:mod:`profkit.onednn.grammar`), the others are found in a table.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from profkit.arrays import Integers, Mask
from profkit.errors import InputError
from profkit.onednn.grammar import Primitive, parse_record

SIZE_LIMIT = 4 << 30  # bytes of a log, unpacked
_GZIP = b"\x1f\x8b"
_MARK = re.compile(rb"(?:onednn|dnnl)_verbose,")
_VERSION = re.compile(r"(?:oneDNN|DNNL|MKL-DNN) v?(\d[\w.]*)")
_UNKNOWN = -1
LONGEST_MS = 86_400_000.0  # a day: what took longer is no duration
_DIGITS = 13  # of a time stamp's whole milliseconds, at most: int64 ns and the year 2262


@dataclass(frozen=True)
class Log:
    """The records of one log in file order.

    ``start_ns`` is the epoch time of each record, -1 where the log has no time stamps; ``duration_ns`` its length;
    ``primitive`` a position in ``primitives``. Durations come from decimal milliseconds. ``skipped`` counts records
    that could not be read.
    """

    source: str
    start_ns: Integers
    duration_ns: Integers
    primitive: Integers
    primitives: tuple[Primitive, ...]
    version: str | None = None
    isa: str | None = None
    threads: int | None = None
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.primitive)

    @property
    def has_times(self) -> bool:
        return bool(len(self) and (self.start_ns >= 0).all())

    def where(self, wanted: Sequence[bool]) -> Mask:
        """Return the mask of records whose primitive is ``wanted`` (one flag per primitive)."""
        flags = np.array(wanted, dtype=bool)
        return flags[self.primitive] if len(flags) else np.zeros(0, dtype=bool)


def read_log(path: Path) -> Log:
    """Read a verbose log, plain or gzipped; raises InputError where it cannot be read. It may hold no record."""
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP):
            data = _unpack(data, path)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path) from None
    return parse_log(data, str(path))


def _unpack(data: bytes, path: Path) -> bytes:
    """Return the text of a gzip, of all its members; one that is cut short gives what is there."""
    texts: list[bytes] = []
    left = SIZE_LIMIT
    while data.startswith(_GZIP):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            texts.append(unpacker.decompress(data, left))
        except zlib.error as error:
            raise InputError(f"is damaged: {error}", where=path, hint="Capture it again.") from None
        left -= len(texts[-1])
        if unpacker.unconsumed_tail or left <= 0:
            raise InputError(f"is larger than {SIZE_LIMIT >> 30} GiB unpacked", where=path)
        data = unpacker.unused_data
    return b"".join(texts)


def parse_log(data: bytes, source: str = "") -> Log:
    """Parse the bytes of a log, whatever else stands between its records."""
    starts: list[int] = []
    durations: list[float] = []
    which: list[int] = []
    known: dict[bytes, int] = {}
    primitives: list[Primitive] = []
    facts: list[bytes] = []
    skipped = 0
    for piece in _MARK.split(data)[1:]:
        line, newline, _ = piece.partition(b"\n")
        record = line.removeprefix(b"v1,")
        stamp = b""
        if record[:1].isdigit():
            stamp, _, record = record.partition(b",")
        body, _, length = record.rpartition(b",")
        number = known.get(body)
        if number is None:
            if _is_information(record):
                facts.append(record)
                continue
            primitive = parse_record(body.decode("utf-8", "replace"))
            number = len(primitives) if primitive is not None else _UNKNOWN
            if primitive is not None:
                primitives.append(primitive)
            known[body] = number
        try:
            # without its line's end a record may lack the last digits of its duration
            if number == _UNKNOWN or not newline or b"_" in length:
                raise ValueError
            duration = float(length)
            if not 0.0 <= duration < LONGEST_MS:
                raise ValueError
            start = _nanoseconds(stamp) if stamp else _UNKNOWN
        except ValueError:
            skipped += 1
            continue
        starts.append(start)
        durations.append(duration)
        which.append(number)
    return Log(
        source=source,
        start_ns=np.array(starts, dtype=np.int64),
        duration_ns=_whole_ns(durations),
        primitive=np.array(which, dtype=np.int64),
        primitives=tuple(primitives),
        skipped=skipped,
        **_facts(b"\n".join(facts).decode("utf-8", "replace")),
    )


def _nanoseconds(stamp: bytes) -> int:
    """Return decimal milliseconds as ns; six decimals, as oneDNN prints them, are ns as they stand."""
    whole, _, decimals = stamp.partition(b".")
    if len(whole) > _DIGITS or not (whole + decimals).isdigit():
        raise ValueError
    return int(whole + (decimals + b"000000")[:6])


def _whole_ns(milliseconds: list[float]) -> Integers:
    return np.rint(np.array(milliseconds, dtype=np.float64) * 1e6).astype(np.int64)


def _is_information(record: bytes) -> bool:
    return record.startswith((b"info,", b"primitive,info", b"graph,info")) or record.endswith(b",exec_time")


def _facts(text: str) -> dict[str, Any]:
    """Return what the log's head says of the library and the machine."""
    version = _VERSION.search(text)
    isa = re.search(r"^info,cpu,isa:(.*)$", text, re.MULTILINE)
    threads = re.search(r"nthr:(\d{1,6})\b", text)
    return {
        "version": version[1] if version else None,
        "isa": isa[1].strip() if isa else None,
        "threads": int(threads[1]) if threads else None,
    }
