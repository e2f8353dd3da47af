"""Pairs the records that begin a span (B) with those that end it (E).

On each track an E ends the latest B that is open, in order of time and, at one time, of the file. Its name need not be
given: that of the B counts, as do the arguments of the B. Source: "Trace Event Format" (Google, 2016), duration events.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from profkit.trace.reading.decode import Columns

_NS_PER_US = 1_000


def close_spans(marks: Sequence[Columns]) -> tuple[list[Columns], dict[str, int]]:
    """Return the spans of the B and E records of all chunks, and the number of records without a counterpart.

    The spans of one chunk are those that begin in it. They are in whole microseconds if all records are.
    """
    coarse = all(part.coarse for part in marks)
    tracks: dict[tuple[Any, Any], list[tuple[int, int, int, bool]]] = defaultdict(list)
    for number, part in enumerate(marks):
        factor = _NS_PER_US if part.coarse and not coarse else 1
        for row, (start, code) in enumerate(zip(part.start, part.signature, strict=True)):
            phase, _, _, pid, tid = part.signatures[code]
            tracks[pid, tid].append((start * factor, number, row, phase == "B"))
    ends: list[dict[int, tuple[int, int]]] = [{} for _ in marks]  # of each B that has an E: its row → start, duration
    odd: Counter[str] = Counter()
    for records in tracks.values():
        records.sort(key=lambda record: record[0])  # stable: at one time the order of the file
        open_: list[tuple[int, int, int]] = []
        for time, number, row, begins in records:
            if begins:
                open_.append((time, number, row))
            elif open_:
                start, at, begun = open_.pop()
                ends[at][begun] = (start, time - start)
            else:
                odd["end_without_begin"] += 1
        odd["begin_without_end"] += len(open_)
    return [_rows(part, found, coarse) for part, found in zip(marks, ends, strict=True)], dict(odd)


def _rows(part: Columns, found: dict[int, tuple[int, int]], coarse: bool) -> Columns:
    """Return the records of one chunk that begin a span, with its duration."""
    rows = sorted(found)
    return Columns(
        start=array("q", [found[row][0] for row in rows]),
        duration=array("q", [found[row][1] for row in rows]),
        signature=array("i", [part.signature[row] for row in rows]),
        index=array("q", [part.index[row] for row in rows]),
        signatures=part.signatures,
        coarse=coarse,
        extra={name: array("q", [column[row] for row in rows]) for name, column in part.extra.items()},
        tables=part.tables,
    )
