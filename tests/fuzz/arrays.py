"""Mutated outputs of a model (outputs.npz), through the comparison of two runs."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tests.fuzz import hostile, mutate_bytes
from tests.fuzz.check import Fault
from tests.fuzz.runs import CANDIDATE, Pair
from tests.fuzz.trial import UNCACHED, Trial

DTYPES = (
    "|O",
    "<U5",
    "|S3",
    "<f2",
    "<f8",
    ">f4",
    "<c16",
    "|b1",
    "<i8",
    "<u8",
    "|V8",
    "<M8[ns]",
    "<f16",
    "|u1",
    "<q9",
    "",
)
SHAPES = (
    "()",
    "(0,)",
    "(-1,)",
    "(1, 1000)",
    "(1000000000000,)",
    "(99999999999999999999,)",
    "(1,)*40",
    "[1]",
    "None",
    "(True,)",
)
HEADERS = (
    "{}",
    "{'descr': '<f4'}",
    "[" * 2_000,
    "__import__('os')",
    "{'descr': [('a', '<f4'), ('a', '<f4')]}",
    "\xff",
    "1",
)
METHODS = (1, 8, 9, 12, 14, 93, 99)
HUGE = 300 << 20  # bytes of zeros, which pack to a thousandth: more than the memory limit of the campaign
OTHER_FILES = (b"", b"PK\x05\x06" + bytes(18), b"\x93NUMPY", b"\x80\x04N.", b"not a zip", bytes(1000))

Arrays = dict[str, bytes]


def _member(header: str, data: bytes, version: int = 1) -> bytes:
    """Return a .npy file with any header."""
    text = header.encode("latin-1", "replace")
    length = struct.pack("<H" if version == 1 else "<I", min(len(text), 65_535 if version == 1 else 1 << 31))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + data


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=array.dtype.kind == "O")
    return stream.getvalue()


def _zip(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in dict(members).items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def _array(original: Any, chance: random.Random) -> Any:
    """Return an array that is sound, but perhaps not comparable with the original."""
    match chance.randrange(10):
        case 0:
            return original.astype(chance.choice(("f2", "f8", "c8", "i4", "?")))
        case 1:
            changed = original.copy()
            changed.flat[0] = chance.choice((np.nan, np.inf, -np.inf, 3e38, 1e-45, -0.0))
            return changed
        case 2:
            return np.full(original.shape, chance.choice((0.0, 1e308, -1e308, 5e-324)))
        case 3:
            return original.reshape(-1)
        case 4:
            return np.array([], dtype=chance.choice(("f4", "U3", "?")))
        case 5:
            return np.array(chance.choice((1.5, "text", True, 1 + 2j)))
        case 6:
            return np.array([None, 1, "a"], dtype=object)
        case 7:
            return np.zeros(3, dtype=[("a", "f4"), ("b", "U3")])
        case 8:
            return np.asfortranarray(np.broadcast_to(original.reshape(-1)[:4], (3, 4)))
        case _:
            return np.array([2**63, 1, 0], dtype="u8")


def _sound(original: np.ndarray, chance: random.Random) -> tuple[bytes, str]:
    name = "0" if chance.random() < 0.7 else hostile.text(chance)[:200].encode("utf-8", "replace").decode()
    arrays = [(f"{name}{i or ''}.npy", _npy(_array(original, chance))) for i in range(chance.choice((1, 1, 2)))]
    return _zip(arrays, chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))), "other arrays"


def _header(original: np.ndarray, chance: random.Random) -> tuple[bytes, str]:
    dtype, shape = chance.choice(DTYPES), chance.choice(SHAPES)
    order = chance.choice(("False", "True", "1"))
    header = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}\n"
    if chance.random() < 0.3:
        header = chance.choice(HEADERS)
    member = _member(header, original.tobytes()[: chance.choice((0, 7, 4000))], chance.choice((1, 2, 3, 9)))
    return _zip([("0.npy", member)]), f"header {header[:60]!r}"


@cache
def _huge() -> bytes:
    stream = io.BytesIO()
    archive = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("0.npy", "w", force_zip64=True) as member:
        member.write(_member(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({HUGE // 4},), }}\n", b""))
        for _ in range(HUGE >> 20):
            member.write(bytes(1 << 20))
    return stream.getvalue()


def _zip_fields(original: np.ndarray, chance: random.Random) -> tuple[bytes, str]:
    """Change the numbers of the archive: sizes, checksum, method, flags, of the member or of the directory."""
    data = bytearray(_zip([("0.npy", _npy(original))], zipfile.ZIP_DEFLATED))
    directory = data.index(b"PK\x01\x02")
    base, offset = (0, 0) if chance.random() < 0.5 else (directory, 2)  # the directory has one more version number
    field = chance.choice(("flags", "method", "checksum", "packed size", "size", "name length"))
    at = (
        base
        + offset
        + {"flags": 6, "method": 8, "checksum": 14, "packed size": 18, "size": 22, "name length": 26}[field]
    )
    value = chance.choice(METHODS) if field == "method" else chance.choice((0, 1, 0x7FFF, 0xFFFF))
    data[at : at + 2] = struct.pack("<H", value)
    return bytes(data), f"{field} {value} in the {'directory' if base else 'member'}"


def _other_file(original: np.ndarray, chance: random.Random) -> tuple[bytes, str]:
    data = chance.choice((*OTHER_FILES, _npy(original), zlib.compress(_npy(original))))
    return data, f"a file that begins with {data[:10]!r}"


def _several(original: np.ndarray, chance: random.Random) -> tuple[bytes, str]:
    count = chance.choice((0, 3, 2_000))
    return _zip([(f"{place}.npy", _npy(original.reshape(-1)[:4])) for place in range(count)]), f"{count} arrays"


def _bomb(original: np.ndarray, chance: random.Random) -> tuple[bytes, str]:
    return _huge(), f"{HUGE >> 20} MiB of zeros, packed"


def _bytes(original: np.ndarray, chance: random.Random) -> tuple[bytes, str]:
    return mutate_bytes.mutate(_zip([("0.npy", _npy(original))], zipfile.ZIP_DEFLATED), chance)


CHANGES: tuple[Callable[[np.ndarray, random.Random], tuple[bytes, str]], ...] = (
    *(_sound, _sound, _sound, _header, _header, _zip_fields, _zip_fields, _other_file, _several, _bomb, _bytes, _bytes),
)


def mutated(trial: Trial) -> None:
    """Mutate the candidate's outputs; one in five is the same arrays in another archive, which must compare alike."""
    chance, pair = trial.chance, Pair(trial.folder)
    trial.base = f"outputs of {CANDIDATE}"
    path = pair.candidate / "outputs.npz"
    for other in pair.logs.glob("*/*/onednn.*"):
        other.unlink()  # they take most of the time of a comparison, and are not what is tried here
    with np.load(path) as arrays:
        originals = {name: arrays[name] for name in arrays.files}
    before = trial.document("diff", pair.baseline, pair.candidate, *UNCACHED) if chance.random() < 0.2 else None
    if before is not None:
        members = [(f"{name}.npy", _npy(np.asfortranarray(array))) for name, array in originals.items()]
        pair.replace(path, _zip(members, zipfile.ZIP_DEFLATED) + bytes(chance.choice((0, 1))))
        trial.changes.append("the same arrays in another archive")
        after = trial.document("diff", pair.baseline, pair.candidate, *UNCACHED)
        wanted = before["workloads"][0]["outputs"]
        if after is not None and after["workloads"][0]["outputs"] != wanted:
            found = after["workloads"][0]["outputs"]
            trial.add([Fault("the same outputs compare otherwise", f"{found} instead of {wanted}")], trial.outcomes[-1])
        return
    data, words = chance.choice(CHANGES)(next(iter(originals.values())), chance)
    trial.changes.append(words)
    pair.replace(path, data)
    sides = [pair.baseline, pair.candidate]
    chance.shuffle(sides)
    trial.command("diff", *sides, *UNCACHED, "--format", chance.choice(("json", "json", "text")))
