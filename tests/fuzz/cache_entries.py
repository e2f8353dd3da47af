"""Mutated entries of the cache of columns: a damaged one must never change an answer.

An entry ends with the SHA-256 of all before it. Most mutations renew it, to reach what is behind that check.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz import hostile, mutate_bytes, mutate_json
from tests.fuzz.bases import trace_text
from tests.fuzz.check import Fault
from tests.fuzz.json_text import Members, Raw, dump, encode, parse
from tests.fuzz.trial import READING, Trial, differences

BASE = "2.0"
WORTHWHILE_BYTES = 4_300_000  # of a file: smaller ones are not cached
HASH_BYTES = 32
LENGTH_BYTES = 8
COLUMNS = ("name", "dtype", "length")


def resealed(entry: bytes) -> bytes:
    """Return the entry with the hash of what it now says."""
    body = entry[:-HASH_BYTES]
    return body + hashlib.sha256(body).digest()


def parts(entry: bytes) -> tuple[bytes, Any, bytes]:
    """Return the magic line, the parsed JSON head, and the bytes of the columns."""
    at = entry.index(b"\n") + 1
    end = at + LENGTH_BYTES + int.from_bytes(entry[at : at + LENGTH_BYTES], "little")
    return entry[:at], parse(entry[at + LENGTH_BYTES : end]), entry[end:-HASH_BYTES]


def joined(magic: bytes, head: Any, columns: bytes) -> bytes:
    """Put an entry together again, with its hash."""
    text = encode(dump(head))
    return resealed(magic + len(text).to_bytes(LENGTH_BYTES, "little") + text + columns + bytes(HASH_BYTES))


def _raw(entry: bytes, chance: random.Random) -> tuple[bytes, str]:
    changed, words = mutate_bytes.mutate(entry, chance)
    return changed, f"{words}, the hash as it was"


def _columns(entry: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Put wild integers into the columns."""
    magic, head, columns = parts(entry)
    changed = bytearray(columns)
    value = chance.choice((-1, -2, 2**31 - 1, 2**40, 2**63 - 1, -(2**63)))
    count = chance.choice((1, 1, 20))
    for _ in range(count):
        at = chance.randrange(len(columns) // 8) * 8
        changed[at : at + 8] = value.to_bytes(8, "little", signed=True)
    return joined(magic, head, bytes(changed)), f"{count} values {value}"


def _described_columns(entry: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Change what the head says of the columns: names, types, lengths."""
    magic, head, columns = parts(entry)
    described = head.get("columns")
    column, field = chance.choice(described), chance.choice(COLUMNS)
    values: dict[str, tuple[object, ...]] = {
        "name": ("start_ns", "fuzz", "", "__class__", None),
        "dtype": ("|O", "<f8", "<i4", ">i8", "|V8", "<U1000000", "<i8,<i8", "|S0", "fuzz", "<M8[ns]"),
        "length": tuple(map(Raw, ("0", "-1", "1", "99999999999", "9223372036854775807", "1.5"))),
    }
    value = chance.choice(values[field])
    column.set(field, value)
    if chance.random() < 0.2:
        described.remove(chance.choice(described))
    return joined(magic, head, columns), f"column {field} {value!r}"


def _head(entry: bytes, chance: random.Random) -> tuple[bytes, str]:
    magic, head, columns = parts(entry)
    words = mutate_json.mutate(head, chance)
    return joined(magic, head, columns), words


def _tables(entry: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Shorten, empty, or replace one of the tables that columns point into."""
    magic, head, columns = parts(entry)
    inner = head.get("head")
    if not isinstance(inner, Members):
        return _head(entry, chance)
    tables = [member for member in inner if isinstance(member[1], list) and not isinstance(member[1], Members)]
    member = chance.choice(tables)
    member[1] = chance.choice(([], member[1][:1], [*member[1], hostile.text(chance)], member[1][::-1]))
    return joined(magic, head, columns), f"table {member[0]} of {len(member[1])}"


def _lengths(entry: bytes, chance: random.Random) -> tuple[bytes, str]:
    at = entry.index(b"\n") + 1
    value = chance.choice((0, 1, 2**31, 2**63, 2**64 - 1))
    changed = entry[:at] + value.to_bytes(LENGTH_BYTES, "little") + entry[at + LENGTH_BYTES :]
    return resealed(changed), f"a head of {value} bytes"


def _cut(entry: bytes, chance: random.Random) -> tuple[bytes, str]:
    at = chance.choice((0, 10, HASH_BYTES, len(entry) // 2, len(entry) - HASH_BYTES - 8))
    return resealed(entry[:at] + bytes(HASH_BYTES)), f"cut at {at}"


CHANGES: tuple[Callable[[bytes, random.Random], tuple[bytes, str]], ...] = (
    *(_raw, _raw, _columns, _columns, _columns, _described_columns, _described_columns, _head, _tables, _lengths, _cut),
)


def large_trace(scratch: Path) -> Path:
    """Return a trace that is worth an entry: a small one with room behind its head."""
    path = scratch / "large.json"
    if not path.exists():
        text = trace_text(BASE)
        at = text.index(b'"traceEvents"')
        path.write_bytes(text[:at] + b'"room": "' + b"x" * WORTHWHILE_BYTES + b'",\n' + text[at:])
    return path


def mutated(trial: Trial) -> None:
    """Mutate the entry of a trace, and read the trace: unless the entry was believable, the answer stays."""
    chance = trial.chance
    trace = large_trace(trial.folder.parent)
    trial.base = f"the entry of {BASE}"
    trial.repeatable = False
    words = ("ops", trace, *READING, "--by", chance.choice(("name", "shape")))
    before = trial.document(*words)
    entry = _entry()
    if entry is None or before is None:
        trial.add([Fault("a trace that is not cached", str(entry))])
        return
    sound = entry.read_bytes()
    change = chance.choice(CHANGES)
    data, text = change(sound, chance)
    trial.changes.append(text)
    entry.write_bytes(data)
    (trial.folder / "entry").write_bytes(data)
    try:
        after = trial.document(*words)
        if after is None:
            trial.add(
                [Fault("a damaged entry refuses a sound trace", trial.outcomes[-1].err[:300])], trial.outcomes[-1]
            )
        elif change is _raw and (differing := differences(before, after)):
            trial.add([Fault("a damaged entry changes an answer", differing)], trial.outcomes[-1])
    finally:
        for path in entry.parent.iterdir():
            path.unlink()  # the next trial begins with a sound one


def _entry() -> Path | None:
    """Return the file of the entry: the largest of the cache's files, of which the others tell about it."""
    from profkit.files import cache_root

    found = [path for path in cache_root().rglob("*") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_size, default=None)
