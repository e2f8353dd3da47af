"""Decoded chunks → :class:`Trace`: the columns of all chunks joined, their texts numbered in common tables."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from profkit.arrays import Ids
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.reading.begin_end import close_spans
from profkit.trace.reading.decode import FAR_NS, Columns
from profkit.trace.reading.event_types import INT64

# not the last number of a text that was cut inside it
_EXTERNAL_ID = re.compile(rb'"external id":\s*([1-9][0-9]{0,18})(?=[^0-9])', re.IGNORECASE)
_MOST_RANKS = 1 << 31
_YEAR_NS = 365 * 86_400 * 10**9  # no profile lasts a year: a longer duration is a damaged number
_MOST_NS = 1 << 58  # of all durations of a file together: the sums over a hundred files fit 64 bits


def assemble(parts: Sequence[Columns], source: str, repairs: Mapping[str, int] | None = None) -> Trace:
    """Join the chunks of one file, in order, into its trace. The chunks are emptied on the way, to save memory.

    ``source`` names the file, ``repairs`` counts the defects mended in its text.
    """
    closed, odd = close_spans([part.marks for part in parts if part.marks is not None])
    parts = [*parts, *closed]
    anomalies = _count_anomalies(parts, odd)
    signatures: dict[Any, int] = {}
    signature = _renumber([(p.signature, p.signatures) for p in parts], signatures)
    coarse = all(part.coarse for part in parts)
    start_ns = _join([_ns(_taken(p, "start"), p.coarse) for p in parts])
    duration_ns = _join([_ns(_taken(p, "duration"), p.coarse) for p in parts])
    anomalies["negative"] = _no_negative(duration_ns)
    anomalies["implausible"] = _bound(start_ns, duration_ns)
    index = _join([_column(_taken(p, "index")) for p in parts])
    # signatures that only records other than spans have are left out of the tables
    used = np.bincount(signature, minlength=len(signatures)) > 0
    signature = (np.cumsum(used) - 1)[signature]
    kept = [s for s, is_used in zip(signatures, used.tolist(), strict=True) if is_used]
    names, name_of = _distinct([s[2] for s in kept])
    categories, category_of = _distinct([s[1] for s in kept])
    tracks, track_of = _distinct([(_stored(s[3]), _stored(s[4])) for s in kept])
    extra: dict[str, Any] = {}
    tables: dict[str, tuple[str, ...]] = {}
    for name in parts[0].extra if parts else ():
        extra[name], tables[name] = _extra(parts, name)
    others, head, flows = _around(parts)
    return Trace(
        source=source,
        events=Events.of(
            start_ns=start_ns,
            duration_ns=duration_ns,
            name=name_of[signature],
            category=category_of[signature],
            track=track_of[signature],
            index=index,
            **extra,
        ),
        names=tuple(names),
        categories=tuple(categories),
        tracks=tuple(tracks),
        shapes=tables.get("shape", ()),
        call_stacks=tables.get("call_stack", ()),
        hierarchies=tables.get("module", ()),
        resolution_ns=dialect.RESOLUTION_COARSE_NS if coarse else dialect.RESOLUTION_FINE_NS,
        flow_records=tuple(flows),
        base_ns=head.get("base_ns", 0),
        dialect=dialect.recognise(head.get("beginning", b""), not coarse),
        devices=head.get("devices", 0),
        other_events=dict(others),
        metadata=head.get("profkit", {}),
        repairs=dict(repairs or {}),
        anomalies={name: count for name, count in anomalies.items() if count},
        rank=_distributed(head, "rank"),
        world_size=_distributed(head, "world_size"),
        host=host if isinstance(host := head.get("host"), str) else None,
        first_external_id=min(map(int, _EXTERNAL_ID.findall(head.get("beginning", b""))), default=None),
    )


def _around(parts: Sequence[Columns]) -> tuple[Counter[str], dict[str, Any], list[Any]]:
    """Return what is beside the spans: other records by phase, the file's own fields, and the flow records."""
    others: Counter[str] = Counter()
    head: dict[str, Any] = {}
    flows: list[Any] = []
    for part in parts:
        others.update(part.others)
        flows += [(f[0], f[1], *map(_stored, f[2:5]), f[5]) for f in part.head.pop("flows", ())]
        head.update({key: value for key, value in part.head.items() if value})
    return others, head, flows


def _count_anomalies(parts: Sequence[Columns], odd: Mapping[str, int]) -> Counter[str]:
    """Count the records that are left out of all times, and those of a phase that is not known."""
    found = Counter(odd)
    for part in parts:
        for counts in (part.untimed, {} if part.marks is None else part.marks.untimed):
            found.update(counts)
        found["no_phase"] += part.others.get("", 0) - part.empty
        found["unknown_phase"] += sum(n for phase, n in part.others.items() if phase and phase not in dialect.PHASES)
    return found


def _no_negative(duration_ns: Any) -> int:
    """Set negative durations to 0, in place: they add nothing to any time. Return how many there are."""
    if not len(duration_ns) or duration_ns.min() >= 0:
        return 0
    negative = duration_ns < 0
    duration_ns[negative] = 0
    return int(negative.sum())


def _bound(start_ns: Any, duration_ns: Any) -> int:
    """Clip durations that are damaged numbers, in place, so that no sum exceeds 64 bits.

    Return the number of spans that have one, or a start that was clipped before (FAR_NS).
    """
    if not len(start_ns):
        return 0
    far = FAR_NS // 1_000 * 1_000
    if (
        int(duration_ns.max()) * len(duration_ns) <= _MOST_NS
        and -far < int(start_ns.min())
        and int(start_ns.max()) < far
    ):
        return 0
    implausible = (duration_ns > _YEAR_NS) | (np.abs(start_ns) >= far)
    np.minimum(duration_ns, _YEAR_NS, out=duration_ns)
    if float(duration_ns.sum(dtype=np.float64)) > _MOST_NS:
        most = _MOST_NS // len(duration_ns)
        implausible |= duration_ns > most
        np.minimum(duration_ns, most, out=duration_ns)
    return int(implausible.sum())


def _stored(identifier: int | str) -> int | str:
    """Return an id that the cache can hold: a number beyond 64 bits as text."""
    return str(identifier) if isinstance(identifier, int) and identifier not in INT64 else identifier


def _distributed(head: Mapping[str, Any], name: str) -> int | None:
    """Return a number of ``distributedInfo``; None if the file does not have it, or as something else."""
    found = head.get("distributed")
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_RANKS else None


def _extra(parts: Sequence[Columns], name: str) -> tuple[Any, tuple[str, ...]]:
    """Join a column that some detail adds, and its table if it has one."""
    if name not in parts[0].tables:
        return _join([_column(p.extra[name]) for p in parts]), ()
    table: dict[Any, int] = {}
    known: dict[str, str] = {}
    is_json = name == "shape"
    texts = [_normalised(p.tables[name], known) if is_json else p.tables[name] for p in parts]
    column = _renumber([(p.extra[name], text) for p, text in zip(parts, texts, strict=True)], table)
    return column.astype(np.int64), tuple(table)


def _normalised(texts: Sequence[str], known: dict[str, str]) -> list[str]:
    """Return JSON texts in one spelling, as ``json.dumps`` has it: spacing never tells two shapes apart.

    ``known`` keeps the spelling of each text, so that one that many chunks have is normalised once.
    """
    for text in texts:
        if text not in known:
            known[text] = msgspec.json.format(text, indent=0)
    return [known[text] for text in texts]


def _taken(part: Columns, name: str) -> array[int]:
    """Return a column of a chunk and remove it from the chunk: two copies of a large file take too much memory."""
    column: array[int] = getattr(part, name)
    setattr(part, name, array(column.typecode))
    return column


def _column(values: array[int]) -> Any:
    """Return an array's values as a NumPy array that shares its memory."""
    return np.frombuffer(values, dtype=np.int32 if values.typecode == "i" else np.int64)


def _ns(values: array[int], coarse: bool) -> Any:
    column = _column(values)
    if not coarse:
        return column
    far = FAR_NS // 1_000
    if len(column) and (column.max() > far or column.min() < -far):
        column = np.clip(column, -far, far)
    return column * 1_000


def _join(columns: Sequence[Any]) -> Any:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _renumber(columns: Sequence[tuple[Any, Sequence[Any]]], known: dict[Any, int]) -> Ids:
    """Join columns that hold positions in tables of their own; ``known`` becomes the common table."""
    joined = []
    for values, table in columns:
        column = _column(values)
        moved = np.array([known.setdefault(value, len(known)) for value in table] or [-1], dtype=np.int32)
        joined.append(np.where(column < 0, -1, moved[column]).astype(np.int32))
    result: Ids = _join(joined)
    return result


def _distinct(values: Sequence[Any]) -> tuple[list[Any], Ids]:
    """Return the distinct values in order of appearance, and each value's position among them."""
    positions: dict[Any, int] = {}
    ids = [positions.setdefault(value, len(positions)) for value in values]
    return list(positions), np.array(ids, dtype=np.int32)
