"""The folder of cached columns: how a file is known by its content, what is in it, and how large it may grow."""

from __future__ import annotations

import hashlib
from pathlib import Path

from profkit.files import cache_root

WORTHWHILE_BYTES = 4 << 20  # of a file, plain or packed; smaller ones are read as fast as found
BOUND_BYTES = 4 << 30  # of all entries; the longest unused go first
SUFFIX = ".columns"
_STRIPE = 16 << 20


def folder() -> Path:
    """Return where entries are: in ``PROFKIT_CACHE_DIR`` or the user's cache folder."""
    return cache_root() / "columns"


def is_worthwhile(path: Path) -> bool:
    return path.stat().st_size >= WORTHWHILE_BYTES


def content_hash(path: Path) -> str:
    """Return the SHA-256 over the SHA-256 of each stripe of the file; stripes are hashed side by side."""
    started = _ahead.pop(path, None)
    return (started or _Hashing(path)).result()


def hash_ahead(path: Path) -> None:
    """Let threads begin with the hash now, for a program that still has to load NumPy and more."""
    _ahead[path] = _Hashing(path)


class _Hashing:
    """The hash of a file under way."""

    def __init__(self, path: Path) -> None:
        from concurrent.futures import ThreadPoolExecutor  # drags in logging

        self._pool = ThreadPoolExecutor(2)
        stripes = range(0, path.stat().st_size, _STRIPE)
        self._parts = self._pool.map(lambda begin: _hash_stripe(path, begin), stripes)

    def result(self) -> str:
        # the pool is left without its threads: reading may fork only where there are none
        with self._pool:
            return hashlib.sha256(b"".join(self._parts)).hexdigest()


_ahead: dict[Path, _Hashing] = {}  # hashes that were begun before they were asked for


def _hash_stripe(path: Path, begin: int) -> bytes:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))  # small enough to stay in the core's own cache
    left = _STRIPE
    with path.open("rb", buffering=0) as stream:
        stream.seek(begin)
        while left and (count := stream.readinto(buffer[: min(left, len(buffer))])):
            digest.update(buffer[:count])
            left -= count
    return digest.digest()


def may_know(path: Path) -> bool:
    """Whether there may be an entry for the file, judged by its size, without reading it."""
    return folder().is_dir() and any(folder().glob(f"{path.stat().st_size}-*{SUFFIX}"))


def keep_bound() -> None:
    """Remove the longest unused entries beyond the bound."""
    total = 0
    for entry in sorted(entries(), key=lambda e: e.stat().st_mtime, reverse=True):
        total += entry.stat().st_size
        if total > BOUND_BYTES:
            entry.unlink(missing_ok=True)


def entries() -> list[Path]:
    """Return the entries that there are."""
    return [path for path in folder().glob(f"*{SUFFIX}") if path.is_file()] if folder().is_dir() else []


def clear() -> int:
    """Remove every entry, and what killed writers left; return how many bytes that were."""
    found = [*entries(), *folder().glob(".*.part-*")] if folder().is_dir() else []
    freed = 0
    for entry in found:
        freed += entry.stat().st_size
        entry.unlink(missing_ok=True)
    return freed
