"""What the operators of a trace are, worked out again in the plainest way: Python's json, decimals, one stack a track.

A trace that profkit reads without a word, no repair and no anomaly, must have exactly these numbers. A trace that has
something to be said about, such as an operator without a start, must not be read without a word.
"""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.fuzz.bases import events_of
from tests.fuzz.check import Fault
from tests.fuzz.json_text import Members, Raw, parse

OPERATOR = ("cpu_op", "operator")
LEGACY = "CPU functions"
STEP = "ProfilerStep#"
INDEX = ("Ev Idx", "Profiler Event Index")
FARTHEST_US = Decimal(1 << 61) / 1000  # what profkit can hold
LONGEST_US = Decimal(365 * 86_400 * 10**6)  # a longer span is an anomaly
Track = tuple[object, object]
Mark = tuple[int, Members]
"""A begin or an end, and its time in ns."""
NO_MATTER = ("unattributed",)  # anomalies that do not change host times


@dataclass(slots=True)
class Span:
    """An operator: its track, times in ns, and the index that orders spans of one start."""

    name: str
    track: Track
    start: int
    duration: int
    index: int
    inside: int = 0

    @property
    def end(self) -> int:
        return self.start + self.duration


@dataclass
class Expected:
    """Calls, self and total host time (ns) per operator. ``odd`` is what must be said about the trace, or empty.

    ``tolerance``: ns that rounding may add, if times have digits below a nanosecond.
    """

    rows: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    tolerance: int = 0
    odd: str = ""


class NotComparableError(Exception):
    """The trace is not of the types that its format allows: what profkit makes of it is its own decision."""


class OddError(Exception):
    """The trace has something that must be reported."""


def expected(data: bytes) -> Expected | None:
    """Return what ``profkit ops`` must show for the file's content; None if that cannot be said."""
    try:
        document = parse(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)
        events = events_of(document)
        if not events:
            return None
        if isinstance(document, Members) and sum(_is_list_of_events(*member) for member in document) > 1:
            return Expected(odd="two lists of events")
        finer = [0]
        spans = list(_operators(events, finer))
    except OddError as odd:
        return Expected(odd=str(odd))
    except (ValueError, RecursionError, OSError, EOFError, zlib.error, NotComparableError, OverflowError):
        return None
    return Expected(_rows(spans), finer[0])


def _is_list_of_events(key: str, value: Any) -> bool:
    return key == "traceEvents" and isinstance(value, list) and not isinstance(value, Members)


def _operators(events: list[Any], finer: list[int]) -> Iterator[Span]:
    """Yield the operators; ``finer`` counts times with digits below a nanosecond."""
    marks: dict[Track, list[Mark]] = defaultdict(list)
    for event in events:
        if not isinstance(event, Members):
            raise OddError("an event that is not an object")
        phase, track = _text(event, "ph"), (_id(event, "pid"), _id(event, "tid"))
        if phase in ("B", "E"):
            marks[track].append((_time(event, "ts", finer), event))
        elif phase == "X" and _is_operator(event):
            yield _span(event, track, _time(event, "dur", finer), finer)
    for track, records in marks.items():
        for begin, end in _pairs(records):
            if _is_operator(begin[1]):
                yield _span(begin[1], track, end[0] - begin[0], finer)


def _pairs(records: list[Mark]) -> list[tuple[Mark, Mark]]:
    """Return each begin with its end, by time; raises NotComparableError if the order of the file says otherwise."""
    by_time = _matched(sorted(records, key=lambda mark: mark[0]))
    try:
        by_place = _matched(records)
    except OddError:
        raise NotComparableError from None
    if {(id(a), id(b)) for a, b in by_time} != {(id(a), id(b)) for a, b in by_place}:
        raise NotComparableError
    return by_time


def _matched(records: list[Mark]) -> list[tuple[Mark, Mark]]:
    begun: list[Mark] = []
    found = []
    for mark in records:
        if mark[1].get("ph") == "B":
            begun.append(mark)
        elif begun:
            found.append((begun.pop(), mark))
        else:
            raise OddError("an end without a begin")
    if begun:
        raise OddError("a begin without an end")
    return found


def _is_operator(event: Members) -> bool:
    known = _text(event, "cat").lower() in OPERATOR or event.get("pid") == LEGACY
    return known and not _text(event, "name").startswith(STEP)


def _span(event: Members, track: Track, duration: int, finer: list[int]) -> Span:
    start = _time(event, "ts", finer)
    if duration < 0 or duration > LONGEST_US * 1000:
        raise OddError("a negative or absurd duration")
    return Span(_text(event, "name"), track, start, duration, _index(event))


def _text(event: Members, key: str) -> str:
    value = event.get(key)
    if value is None and all(name != key for name, _ in event):
        return ""
    if not isinstance(value, str) or isinstance(value, Raw) or any("\ud800" <= c <= "\udfff" for c in value):
        raise NotComparableError
    return value


def _id(event: Members, key: str) -> object:
    value = event.get(key)
    if isinstance(value, Raw):
        return _decimal(value)
    if isinstance(value, str):
        return value
    if value is None and all(name != key for name, _ in event):
        return Decimal(0)
    raise NotComparableError


def _index(event: Members) -> int:
    args = event.get("args")
    if args is None:
        return -1
    if not isinstance(args, Members):
        raise NotComparableError
    found = [value for key in INDEX for name, value in args if name == key]
    if not found:
        return -1
    if len(found) > 1 or not isinstance(found[0], Raw) or not found[0].removeprefix("-").isdigit():
        raise NotComparableError
    return int(_decimal(found[0]))


def _time(event: Members, key: str, finer: list[int]) -> int:
    """Return a time in ns; raises OddError if the event has none."""
    value = event.get(key)
    if not isinstance(value, Raw):
        raise OddError(f"an operator whose {key} is {'absent' if value is None else 'not a number'}")
    us = _decimal(value)
    if not us.is_finite() or abs(us) >= FARTHEST_US:
        raise OddError(f"an operator whose {key} is beyond every clock")
    ns = us.scaleb(3)
    if ns != ns.to_integral_value():
        finer[0] += 1
    return int(ns.to_integral_value())


def _decimal(text: Raw) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise NotComparableError from None


def _rows(spans: list[Span]) -> dict[str, tuple[int, int, int]]:
    by_track: dict[Track, list[Span]] = defaultdict(list)
    for span in spans:
        by_track[span.track].append(span)
    indexed = all(span.index >= 0 for span in spans)
    for on_track in by_track.values():
        # spans of one number and one start: the longer one is the caller
        on_track.sort(key=lambda span: (span.start, span.index if indexed else 0, -span.duration))
        open_spans: list[Span] = []
        for span in on_track:
            while open_spans and open_spans[-1].end <= span.start:
                open_spans.pop()
            if open_spans:
                open_spans[-1].inside += min(span.end, open_spans[-1].end) - span.start
            open_spans.append(span)
    rows: dict[str, tuple[int, int, int]] = {}
    for span in spans:
        calls, self_ns, total_ns = rows.get(span.name, (0, 0, 0))
        rows[span.name] = (calls + 1, self_ns + span.duration - span.inside, total_ns)
    for on_track in by_track.values():
        for name, ns in _covered(on_track).items():
            calls, self_ns, total_ns = rows[name]
            rows[name] = (calls, self_ns, total_ns + ns)
    return rows


def _covered(spans: list[Span]) -> dict[str, int]:
    """Return the ns during which each operator was on the stack of one track; ``spans`` are sorted by start."""
    covered: dict[str, int] = defaultdict(int)
    until: dict[str, int] = {}
    for span in spans:
        begin = max(span.start, until.get(span.name, span.start))
        covered[span.name] += max(0, span.end - begin)
        until[span.name] = max(span.end, until.get(span.name, span.end))
    return covered


def check_reference(data: bytes, document: dict[str, Any]) -> Iterator[Fault]:
    """Compare the JSON of ``profkit ops`` with what the file's content says, unless profkit says that it is odd."""
    reported = [n for name, n in document["anomalies"].items() if n and name not in NO_MATTER]
    if reported or document["repairs"] or document["warnings"]:
        return
    wanted = expected(data)
    if wanted is None:
        return
    if wanted.odd:
        yield Fault(f"not a word about: {wanted.odd}", str(document["operators"])[:300])
        return
    found = {row["name"]: (row["calls"], row["self_host_ns"], row["total_host_ns"]) for row in document["operators"]}
    for name in dict.fromkeys((*wanted.rows, *found)):
        right, shown = wanted.rows.get(name), found.get(name)
        if right is None or shown is None:
            yield Fault("an operator too many or too few", f"{name[:100]!r}: {shown} instead of {right}")
            return
        if right[0] != shown[0] or any(abs(a - b) > wanted.tolerance for a, b in zip(right, shown, strict=True)):
            yield Fault("calls or times that the file does not have", f"{name[:100]!r}: {shown} instead of {right}")
            return
