"""Changes the bytes of a file: cut short, flipped, something behind the end, another encoding, a damaged gzip."""

from __future__ import annotations

import gzip
import itertools
import random
from collections.abc import Callable

WORDS = (b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x00", b"\xff", b"inf", b"-", b"1e999", b"null", b"\n")
TAILS = (b"}", b"]", b"]}", b",", b"\n", b"garbage", b"\x00" * 100, b"\x1a", b'{"traceEvents": []}', b'\n{"ph": "X"}\n')
LEVEL = 1  # of gzip: the campaign's time goes to profkit, not to packing


def cut(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    at = chance.randrange(len(data) + 1)
    return data[:at], f"cut at byte {at}"


def flip(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    changed, count = bytearray(data), chance.choice((1, 1, 3, 30))
    for _ in range(count if data else 0):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed), f"{count} bits flipped"


def insert(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    at, word = chance.randrange(len(data) + 1), chance.choice(WORDS)
    return data[:at] + word + data[at:], f"{word!r} at byte {at}"


def delete(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    at, count = chance.randrange(len(data) + 1), chance.choice((1, 10, 500))
    return data[:at] + data[at + count :], f"{count} bytes gone at {at}"


def double(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    at, count = chance.randrange(len(data) + 1), chance.choice((10, 500, 5_000))
    return data[: at + count] + data[at:], f"{count} bytes twice at {at}"


def behind(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    if chance.random() < 0.3:
        at = chance.randrange(len(data) + 1)
        return data + data[at:], f"the end from byte {at} on once more behind it"
    tail = chance.choice(TAILS)
    return data + tail, f"{tail[:20]!r} behind the end"


def several(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    between = chance.choice((b"", b"\n", b","))
    return data + between + data, f"the document twice with {between!r} between"


def encoding(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    name = chance.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp037", "utf-7"))
    return data.decode("utf-8", "replace").encode(name, "replace"), f"in {name}"


def damaged_gzip(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    packed = gzip.compress(data, LEVEL, mtime=0)
    match chance.randrange(5):
        case 0:
            return packed[: chance.randrange(len(packed))], "a gzip cut short"
        case 1:
            return flip(packed, chance)[0], "a gzip with wrong bits"
        case 2:
            return packed + chance.choice(TAILS), "a gzip with something behind it"
        case 3:
            return gzip.compress(packed, LEVEL, mtime=0), "a gzip in a gzip"
        case _:
            return packed + flip(packed, chance)[0], "two gzip members, the second with wrong bits"


CHANGES: tuple[Callable[[bytes, random.Random], tuple[bytes, str]], ...] = (
    *(cut, flip, insert, delete, double, behind, several, encoding, damaged_gzip),
    *(cut, flip, behind),  # the likely ones twice
)


def mutate(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Return changed bytes, and what was done in words."""
    return chance.choice(CHANGES)(data, chance)


def packed_in_some_way(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Return a sound gzip of ``data``: of one member, or of several."""
    if chance.random() < 0.5:
        return gzip.compress(data, LEVEL, mtime=0), "gzip"
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((1, 3))))
    edges = [0, *cuts, len(data)]
    members = [gzip.compress(data[a:b], LEVEL, mtime=0) for a, b in itertools.pairwise(edges)]
    return b"".join(members), f"gzip of {len(members)} members"
