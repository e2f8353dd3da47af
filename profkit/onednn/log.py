"""oneDNN's verbose log → columns: which primitive, when, how long. Every line of the log is accounted for.

A model of fifty layers prints the same few hundred records again and again; only time stamp and duration differ. Each
distinct record is parsed once (:mod:`profkit.onednn.grammar`) and then found in a table. Other lines are messages
(:mod:`profkit.onednn.messages`) or belong to the header; what is neither is a record that cannot be read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from profkit.arrays import Integers, Mask
from profkit.errors import InputError
from profkit.files import OversizeError, read_bounded
from profkit.onednn.grammar import Primitive, parse_record
from profkit.onednn.messages import Message, is_information, is_message, parse_message
from profkit.trace.options import MEMORY_LIMIT

# mkldnn: up to 1.0; dnnl: 1.1 to 1.8; onednn: later; ..._graph: oneDNN Graph before it was a part of oneDNN
_MARK = re.compile(rb"(?:onednn|dnnl|mkldnn|onednn_graph|dnnl_graph)_verbose,")
_WIDE_MARK = "_verbose,".encode("utf-16-le")[:-1]  # big-endian text contains it too
_VERSION = re.compile(r"(?:oneDNN|DNNL|MKL-DNN) v?(\d[\w.]*)")
# 1.2 and later; 0.20 to 1.1; 0.18 and 0.19, behind the version
_ISA = re.compile(r"^info,(?:cpu,isa:|Detected ISA is |Intel\(R\) MKL-DNN v[^,\n]*,)(.{1,200})$", re.MULTILINE)
_THREADS = re.compile(r"nthr:(\d{1,6})\b")
_UNKNOWN = -1
_NO_RECORD = -2
LONGEST_MS = 86_400_000.0  # a day: a longer duration is a damaged number
LONGEST_LINE = 1 << 20  # bytes: records of partitions with hundreds of tensors have tens of thousands
_DIGITS = 13  # of a time stamp's whole milliseconds: more do not fit int64 ns, which ends in the year 2262


class Log(msgspec.Struct, frozen=True):
    """The records of one log in file order; the arrays have the shape ``(records,)``.

    ``start_ns`` is the epoch time of each record in ns, -1 if the log has no time stamps; ``duration_ns`` comes from
    decimal milliseconds; ``primitive`` is a position in ``primitives``. ``version``, ``isa`` and ``threads`` are
    oneDNN's, None if the log does not say. Of the other lines, ``messages`` says how often oneDNN printed each message,
    ``information`` counts the lines of its header, and ``skipped`` the records that could not be read.
    """

    source: str
    start_ns: Integers
    duration_ns: Integers
    primitive: Integers
    primitives: tuple[Primitive, ...]
    version: str | None = None
    isa: str | None = None
    threads: int | None = None
    messages: Mapping[Message, int] = msgspec.field(default_factory=dict)
    information: int = 0
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
    """Parse the text of a log; other output between its lines is ignored. ``source`` names the log.

    Each mark begins a line, so that two of them in one line of text are two. The text may be UTF-16, as the redirection
    of Windows PowerShell writes it.
    """
    starts: list[int] = []
    durations: list[float] = []
    which: list[int] = []
    lines = _Lines()
    known = lines.known
    skipped = 0
    for piece in _MARK.split(_narrow(data))[1:]:
        line, newline, _ = piece.partition(b"\n")
        record = line.removeprefix(b"v1,")
        if record[:1] == b"v":
            record = _without_version(record)
        stamp = b""
        if record[:1].isdigit():
            stamp, _, record = record.partition(b",")
        body, _, length = record.rpartition(b",")
        number = known.get(body)
        if number is None:
            number = lines.add(record, body)
            if number == _NO_RECORD:
                continue
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
        primitives=tuple(lines.primitives),
        messages=lines.messages(),
        information=len(lines.facts),
        skipped=skipped,
        **_facts(b"\n".join(lines.facts).decode("utf-8", "replace")),
    )


class _Lines:
    """The distinct lines of a log: records by their text without time stamp and duration, messages, the header."""

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}
        self.primitives: list[Primitive] = []
        self.facts: list[bytes] = []
        self._messages: Counter[bytes] = Counter()

    def add(self, line: bytes, body: bytes) -> int:
        """Add a line whose ``body``, the part before its last field, is not yet known.

        Return the position of its primitive, _NO_RECORD, or _UNKNOWN for a record that cannot be read.
        """
        if len(line) > LONGEST_LINE:
            return _UNKNOWN
        if is_message(line):
            self._messages[line] += 1
            return _NO_RECORD
        if is_information(line):
            self.facts.append(line)
            return _NO_RECORD
        primitive = parse_record(body.decode("utf-8", "replace"))
        number = _UNKNOWN
        if primitive is not None:
            number = len(self.primitives)
            self.primitives.append(primitive)
        self.known[body] = number
        return number

    def messages(self) -> dict[Message, int]:
        """Count the messages; they differ in less than the lines do."""
        counts: Counter[Message] = Counter()
        for line, count in self._messages.items():
            counts[parse_message(line.decode("utf-8", "replace"))] += count
        return dict(counts)


def _narrow(data: bytes) -> bytes:
    """Return a text with lines in UTF-16 as ASCII, which is all that oneDNN prints; another text unchanged."""
    return data.replace(b"\0", b"") if b"\0" in data and _WIDE_MARK in data else data


def _without_version(record: bytes) -> bytes:
    """Return a record without the version of its format (``v1,``)."""
    version, _, rest = record.partition(b",")
    return rest if version[1:].isdigit() else record


def _nanoseconds(stamp: bytes) -> int:
    """Return decimal milliseconds as ns; oneDNN prints six decimals, which are exact ns. Raises ValueError."""
    whole, _, decimals = stamp.partition(b".")
    if len(whole) > _DIGITS or not (whole + decimals).isdigit():
        raise ValueError
    return int(whole + (decimals + b"000000")[:6])


def _whole_ns(milliseconds: list[float]) -> Integers:
    return np.rint(np.array(milliseconds, dtype=np.float64) * 1e6).astype(np.int64)


def _facts(text: str) -> dict[str, Any]:
    """Return version, instruction set and thread count from the informational lines at the head of the log."""
    version, isa, threads = _VERSION.search(text), _ISA.search(text), _THREADS.search(text)
    return {
        "version": version[1] if version else None,
        "isa": isa[1].strip() if isa else None,
        "threads": int(threads[1]) if threads else None,
    }
