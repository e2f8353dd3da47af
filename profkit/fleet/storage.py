"""The files of an index, in a local folder or at a URL: listed, read, and written whole."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from profkit.errors import InputError, OutputError
from profkit.files import read_bounded, refused_in_words, write_whole
from profkit.locations import Place, explained, is_url, without_scheme

_LARGEST = 1 << 30  # bytes of a file that is read into memory whole


class Stored(NamedTuple):
    """A file of the index: its size in bytes, and when it was written (seconds since the epoch; 0 if unknown)."""

    bytes: int
    written: float


class Storage:
    """The files below one folder, local or at a URL. Names are relative, with ``/`` between the parts."""

    def __init__(self, root: str) -> None:
        """Raises as :class:`profkit.locations.Place` does."""
        self.root = root
        self._place = Place(root) if is_url(root) else None
        self._folder = Path(without_scheme(root))

    def __str__(self) -> str:
        return str(self._place or self._folder)

    @property
    def is_local(self) -> bool:
        """Whether the files are on this machine."""
        return self._place is None

    def names(self, first: str) -> dict[str, Stored]:
        """Return every file by name, but for those that begin with a dot; empty if there is no such folder.

        The files of ``first`` are those that were there before the others were listed.
        """
        if self._place is None:
            before = self._local_names(self._folder / first)
            known = {**self._local_names(self._folder), **before}
        else:
            self._place.files.invalidate_cache()
            before = {n: s for n, s in self._remote_names(self._place).items() if n.startswith(f"{first}/")}
            known = {**self._remote_names(self._place), **before}
        others = {name: stored for name, stored in known.items() if not name.startswith(f"{first}/")}
        return {name: s for name, s in {**others, **before}.items() if not name.rpartition("/")[2].startswith(".")}

    def _local_names(self, top: Path) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        with refused_in_words(top):
            for folder, _, names in os.walk(top):
                for name in names:
                    path = Path(folder, name)
                    with contextlib.suppress(FileNotFoundError):  # a part file that has just got its name
                        stat = path.stat()
                        found[path.relative_to(self._folder).as_posix()] = Stored(stat.st_size, stat.st_mtime)
        return found

    def _remote_names(self, place: Place) -> dict[str, Stored]:
        try:
            with explained(self.root):
                found = place.files.find(place.path, detail=True)
        except InputError:
            if place.files.exists(place.path):
                raise
            return {}
        names = {path.removeprefix(place.path).lstrip("/"): entry for path, entry in found.items()}
        return {name: Stored(int(e.get("size") or 0), _seconds(e)) for name, e in names.items() if name}

    def read(self, name: str) -> bytes:
        """Return a file's content; raises InputError if it cannot be read."""
        if self._place is None:
            return read_bounded(self._folder / name, _LARGEST).data
        with explained(f"{self.root.rstrip('/')}/{name}"):
            content: bytes = self._place.files.cat_file(f"{self._place.path}/{name}")
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all; raises OutputError if it cannot be written."""
        if self._place is None:
            try:
                (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(self._folder / name, content)
            except OSError as error:
                hint = "Choose another --to, or make this one writable."
                what = f"cannot be written ({error.strerror or error})"
                raise OutputError(what, where=self._folder / name, hint=hint) from None
            return
        try:
            with explained(f"{self.root.rstrip('/')}/{name}", "cannot be written"):
                self._place.files.pipe_file(f"{self._place.path}/{name}", content)  # stores replace whole objects
        except InputError as error:
            raise OutputError(error.what, where=error.where, hint=error.hint) from None

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, where that is possible."""
        for name in names:
            with contextlib.suppress(Exception):  # each store's library has its own; what stays does not count
                if self._place is None:
                    (self._folder / name).unlink()
                else:
                    self._place.files.rm_file(f"{self._place.path}/{name}")

    def address(self, name: str) -> str:
        """Return how DuckDB is to name a file: its path, or a URL of the registered file system."""
        if self._place is None:
            return str(self._folder.resolve() / name)
        return f"{self.protocol}://{self._place.path.lstrip('/')}/{name}"

    @property
    def protocol(self) -> str:
        """The scheme of the URLs of the file system, such as s3; ``file`` for a local folder."""
        if self._place is None:
            return "file"
        protocol: str | tuple[str, ...] = self._place.files.protocol
        return protocol if isinstance(protocol, str) else protocol[0]

    @property
    def file_system(self) -> object | None:
        """fsspec's file system of a URL; None for a local folder."""
        return None if self._place is None else self._place.files


def _seconds(entry: Mapping[str, object]) -> float:
    for key in ("LastModified", "last_modified", "mtime", "updated", "created"):
        value = entry.get(key)
        if isinstance(value, int | float):
            return float(value)
        if hasattr(value, "timestamp"):
            return float(value.timestamp())
    return time.time()  # unknown: as if new, so that nothing is taken for old
