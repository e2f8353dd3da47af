"""Local copies of what is at a URL: a trace, a run or a folder of runs, kept in the user's cache folder.

A copy is known by the URL and by what the store says of each file (its checksum, or size and time), so that it is made
again when something has changed there. The least recently used copies are removed beyond a limit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from profkit.errors import InputError, OutputError
from profkit.files import cache_root
from profkit.locations import Place, explained, is_url, redacted, stamp_of, without_scheme

BOUND_BYTES = 8 << 30  # of all copies but those that this process uses
_SPARE_BYTES = 1 << 30  # of the disk, that a copy leaves free
# of a folder of runs; what else is there may be large, and no command reads it
_OWN: set[Path] = set()  # copies that this process uses
_ENDINGS = (".json", ".json.gz", ".log.gz", ".npz", ".json.zst", ".json.xz")


def folder() -> Path:
    """Return the folder of the copies; it may not exist."""
    return cache_root() / "fetched"


def fetch(url: str) -> Path:
    """Return the local copy of what is at ``url``, which is made if there is none.

    Raises UsageError if the library for the URL is not installed, InputError if there is nothing or it cannot be
    fetched, OutputError if the disk is full.
    """
    place = Place(url)
    found = {path: entry for path, entry in place.files_below().items() if path == place.path or _is_wanted(path)}
    if not found:
        raise InputError("there is no trace and no run", where=str(place), hint="Check the URL.")
    name = _name(place)
    # str(place) has no secrets, and no query: files of two queries differ in their stamps
    parts = [str(place), *(f"{path}\n{stamp_of(entry)}" for path, entry in sorted(found.items()))]
    target = folder() / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    _OWN.add(target)
    if (target / name).exists():
        os.utime(target)
        return target / name
    _copy(place, found, target, name)
    _keep_bound()
    return target / name


def local(path: str | os.PathLike[str]) -> Path:
    """Return the path of what a caller names by a path or a URL; raises as :func:`fetch` does for a URL."""
    if not isinstance(path, str):
        return Path(path)
    return fetch(path) if is_url(path) else Path(without_scheme(path))


def _is_wanted(path: str) -> bool:
    return path.endswith(_ENDINGS) and not any(part.startswith(".") for part in PurePosixPath(path).parts)


def _name(place: Place) -> str:
    """Return the name of the copy: the last part of the URL that is no scheme, so that messages can be understood."""
    inner = [part for part in place.path.split("/") if part not in ("", ".", "..")]
    outer = str(place).rpartition("::")[2].rpartition("/")[2]
    text = redacted(f"{place.path if '::' in str(place) else place.url}").rstrip("/").rpartition("/")[2]
    text = text if inner and text else outer.partition(".")[0]
    return "".join(c if c.isalnum() or c in "._-+" else "_" for c in text)[-120:].lstrip(".") or "fetched"


def _copy(place: Place, found: Mapping[str, dict[str, Any]], target: Path, name: str) -> None:
    size = sum(int(entry.get("size") or 0) for entry in found.values())
    part = target.with_name(f".{target.name}.part-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        part.mkdir(parents=True)
        if size > shutil.disk_usage(part).free - _SPARE_BYTES:
            raise OutputError(f"{size >> 20} MiB do not fit the disk", where=part.parent, hint="Set PROFKIT_CACHE_DIR.")
        for path, copy in _targets(place, found, part / name):
            copy.parent.mkdir(parents=True, exist_ok=True)
            with explained(place.url, "cannot be fetched"):
                place.files.get_file(path, str(copy))
        part.replace(target)
    except OSError as error:
        if target.exists():  # another process has made the same copy meanwhile
            return
        hint = "Set PROFKIT_CACHE_DIR to a folder that can be written."
        raise OutputError(f"cannot be written ({error.strerror or error})", where=folder(), hint=hint) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _targets(place: Place, found: Mapping[str, Any], copy: Path) -> Iterator[tuple[str, Path]]:
    """Yield each path of the store with that of its copy; raises InputError if one would be outside the folder."""
    for path in found:
        inner = path.removeprefix(place.path).lstrip("/")
        if ".." in PurePosixPath(inner).parts or "\\" in inner:
            raise InputError("names a file outside its folder", where=place.shown(path))
        yield path, copy / inner if inner else copy


def copies() -> list[Path]:
    """Return the folders of all copies, the most recently used first."""
    names = folder().glob("[!.]*") if folder().is_dir() else iter(())  # a dot: still being fetched
    found = [path for path in names if path.is_dir()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def size_of(copy: Path) -> int:
    """Return the size of the files of a copy (bytes)."""
    return sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())


def _keep_bound() -> None:
    total = 0
    for copy in copies():
        if copy not in _OWN:
            total += size_of(copy)
            if total > BOUND_BYTES:
                shutil.rmtree(copy, ignore_errors=True)


def clear() -> int:
    """Remove every copy; return the bytes freed."""
    freed = sum(map(size_of, copies()))
    shutil.rmtree(folder(), ignore_errors=True)
    return freed
