"""The folder of cached columns: the hash that identifies a file's content, the entries, and the limit on their size."""

from __future__ import annotations

import hashlib
from pathlib import Path

from profkit.files import cache_root

WORTHWHILE_BYTES = 4 << 20  # of a file, plain or gzipped; a smaller one is read as fast as it is hashed and found
BOUND_BYTES = 4 << 30  # of all entries; the least recently used are removed first
SUFFIX = ".columns"
_STRIPE = 16 << 20  # bytes per task of a thread


def folder() -> Path:
    """Return the folder of the entries, in :func:`profkit.files.cache_root`; it may not exist."""
    return cache_root() / "columns"


def is_worthwhile(path: Path) -> bool:
    """Whether the file is large enough to be cached; raises OSError if there is no such file."""
    return path.stat().st_size >= WORTHWHILE_BYTES


class Hashing:
    """The hash of a file's content, begun: the SHA-256 over the SHA-256 of each stripe, hashed by two threads.

    It must end by :meth:`result` or :meth:`close`.
    """

    def __init__(self, path: Path) -> None:
        from concurrent.futures import ThreadPoolExecutor  # imports logging, which nothing else here needs

        self._pool = ThreadPoolExecutor(2)
        stripes = range(0, path.stat().st_size, _STRIPE)
        self._parts = self._pool.map(lambda begin: _hash_stripe(path, begin), stripes)

    def result(self) -> str:
        """Return the hash, in hexadecimal, once it is complete; raises OSError if the file cannot be read."""
        with self._pool:  # ends the threads: reading forks only if there are none
            return hashlib.sha256(b"".join(self._parts)).hexdigest()

    def close(self) -> None:
        """Give up the stripes that no thread has begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def content_hash(path: Path) -> str:
    """Return the hash by which the cache knows the content of ``path``: see :class:`Hashing`."""
    return Hashing(path).result()


def _hash_stripe(path: Path, begin: int) -> bytes:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))  # fits the core's own cache
    left = _STRIPE
    with path.open("rb", buffering=0) as stream:
        stream.seek(begin)
        while left and (count := stream.readinto(buffer[: min(left, len(buffer))])):
            digest.update(buffer[:count])
            left -= count
    return digest.digest()


def may_know(path: Path) -> bool:
    """Whether there may be an entry for the file, judged by its size alone."""
    return folder().is_dir() and any(folder().glob(f"{path.stat().st_size}-*{SUFFIX}"))


def keep_bound() -> None:
    """Remove the least recently used entries beyond the bound."""
    total = 0
    for entry in sorted(entries(), key=lambda e: e.stat().st_mtime, reverse=True):
        total += entry.stat().st_size
        if total > BOUND_BYTES:
            entry.unlink(missing_ok=True)


def entries() -> list[Path]:
    """Return the paths of all entries."""
    return [path for path in folder().glob(f"*{SUFFIX}") if path.is_file()] if folder().is_dir() else []


def clear() -> int:
    """Remove every entry and the part files of killed writers; return the bytes freed."""
    found = [*entries(), *folder().glob(".*.part-*")] if folder().is_dir() else []
    freed = 0
    for entry in found:
        freed += entry.stat().st_size
        entry.unlink(missing_ok=True)
    return freed
