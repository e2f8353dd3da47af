"""The folder of cached columns: what is in it, how large it may grow, and whether it may know a file."""

from __future__ import annotations

import os
from pathlib import Path

WORTHWHILE_BYTES = 4 << 20  # of a file, plain or packed; smaller ones are read as fast as found
BOUND_BYTES = 4 << 30  # of all entries; the longest unused go first
SUFFIX = ".columns"


def folder() -> Path:
    """Return where entries are: in ``PROFKIT_CACHE_DIR`` or the user's cache folder."""
    from platformdirs import user_cache_path

    root = os.environ.get("PROFKIT_CACHE_DIR")
    return (Path(root) if root else user_cache_path("profkit", appauthor=False)) / "columns"


def is_worthwhile(path: Path) -> bool:
    return path.stat().st_size >= WORTHWHILE_BYTES


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
