"""oneDNN's verbose log → columns: which primitive, when, how long. Records that cannot be read are counted.

A model of fifty layers prints the same few hundred records again and again; only time stamp and duration differ. Each
distinct record is parsed once (:mod:`profkit.onednn.grammar`) and then found in a table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from profkit.arrays import Integers, Mask
from profkit.errors import InputError
from profkit.files import OversizeError, read_bounded
from profkit.onednn.grammar import Primitive, parse_record
from profkit.trace.options import MEMORY_LIMIT

_MARK = re.compile(rb"(?:onednn|dnnl)_verbose,")
_VERSION = re.compile(r"(?:oneDNN|DNNL|MKL-DNN) v?(\d[\w.]*)")
_UNKNOWN = -1
LONGEST_MS = 86_400_000.0  # a day: a longer duration is a damaged number
_DIGITS = 13  # of a time stamp's whole milliseconds: more do not fit int64 ns, which ends in the year 2262


@dataclass(frozen=True)
class Log:
    """The records of one log in file order; the arrays have the shape ``(records,)``.

    ``start_ns`` is the epoch time of each record in ns, -1 if the log has no time stamps; ``duration_ns`` comes from
    decimal milliseconds; ``primitive`` is a position in ``primitives``. ``version``, ``isa`` and ``threads`` are
    oneDNN's, None if the log does not say. ``skipped`` counts records that could not be read.
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

    def where(self, wanted: Sequence[bool]) -> Mask:
        """Return the mask of records, shape ``(records,)``, whose primitive is ``wanted`` (one flag per primitive)."""
        flags = np.array(wanted, dtype=bool)
        return flags[self.primitive] if len(flags) else np.zeros(0, dtype=bool)


def read_log(path: Path, memory_limit: int = MEMORY_LIMIT) -> Log:
    """Read a verbose log, plain or gzipped; a gzip that is cut short gives what is there. The log may have no record.

    ``memory_limit`` is in bytes. Raises InputError if the file cannot be read, or takes more than half of the limit:
    the text and its records, split, are in memory at the same time.
    """
    try:
        return parse_log(read_bounded(path, memory_limit // 2).data, str(path))
    except OversizeError:
        hint = "Raise --memory-limit if the file is what you expect it to be."
        what = f"would take more than {memory_limit >> 20} MiB, the memory limit"
        raise InputError(what, where=path, hint=hint) from None


def parse_log(data: bytes, source: str = "") -> Log:
    """Parse the text of a log; other output between its records is ignored. ``source`` names the log."""
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
            # a record without the end of its line may lack the last digits of its duration
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
    """Return decimal milliseconds as ns; oneDNN prints six decimals, which are exact ns. Raises ValueError."""
    whole, _, decimals = stamp.partition(b".")
    if len(whole) > _DIGITS or not (whole + decimals).isdigit():
        raise ValueError
    return int(whole + (decimals + b"000000")[:6])


def _whole_ns(milliseconds: list[float]) -> Integers:
    return np.rint(np.array(milliseconds, dtype=np.float64) * 1e6).astype(np.int64)


def _is_information(record: bytes) -> bool:
    return record.startswith((b"info,", b"primitive,info", b"graph,info")) or record.endswith(b",exec_time")


def _facts(text: str) -> dict[str, Any]:
    """Return version, instruction set and thread count from the informational lines at the head of the log."""
    version = _VERSION.search(text)
    isa = re.search(r"^info,cpu,isa:(.*)$", text, re.MULTILINE)
    threads = re.search(r"nthr:(\d{1,6})\b", text)
    return {
        "version": version[1] if version else None,
        "isa": isa[1].strip() if isa else None,
        "threads": int(threads[1]) if threads else None,
    }
