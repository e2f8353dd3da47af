"""An index on disk or at a URL: its version, and which of its Parquet files count."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from profkit.errors import InputError
from profkit.fleet.batches import SOURCES
from profkit.fleet.columns import SCHEMA, TABLES
from profkit.fleet.sources import INDEX_HEAD
from profkit.fleet.storage import Storage, Stored

HEAD = INDEX_HEAD
_OLD_S = 24 * 3600.0  # after which a file of no finished batch is taken for a killed worker's


class Head(msgspec.Struct, frozen=True):
    """What the file at the top of an index says: the version of its tables."""

    schema: str


class Known(msgspec.Struct, frozen=True):
    """The files that were indexed before: by path and stamp, and the hashes of contents by size in bytes.

    ``bare`` are contents that were read without a manifest.
    """

    files: frozenset[tuple[str, str]] = frozenset()
    contents: Mapping[int, frozenset[str]] = msgspec.field(default_factory=dict)
    bare: Mapping[int, frozenset[str]] = msgspec.field(default_factory=dict)


class Dataset:
    """The index at a path or URL."""

    def __init__(self, root: str, *, is_kept: bool = True) -> None:
        """``is_kept``: it is not made for one question. Raises as :class:`profkit.fleet.storage.Storage` does."""
        self.storage = Storage(root)
        self.is_kept = is_kept

    @cached_property
    def _names(self) -> dict[str, Stored]:
        return self.storage.names(SOURCES)

    @property
    def exists(self) -> bool:
        """Whether there is an index; raises InputError if the place is another folder with files in it."""
        if self.is_index:
            return True
        if self._names:
            hint = "Choose an empty or a new place for the index."
            raise InputError("is not an index, and not empty", where=self.storage, hint=hint)
        return False

    @property
    def is_index(self) -> bool:
        """Whether the place has the head of an index; False if there is no such place."""
        return HEAD in self._names

    def create(self) -> None:
        """Write the head of a new index; raises OutputError if it cannot be written."""
        self.storage.write(HEAD, msgspec.json.encode(Head(SCHEMA)) + b"\n")
        self.__dict__.pop("_names", None)

    def require(self) -> None:
        """Raise InputError if there is no index, or one that this profkit does not read."""
        if not self.is_index:
            hint = "Make one: profkit index PATHS --to DIR"
            raise InputError("is not an index", where=self.storage, hint=hint)
        try:
            head = msgspec.json.decode(self.storage.read(HEAD), type=Head)
        except msgspec.DecodeError as error:
            raise InputError(f"{HEAD} is damaged: {error}", where=self.storage, hint="Make the index again.") from None
        if head.schema != SCHEMA:
            hint = "Install a newer profkit, or make the index again."
            raise InputError(
                f"is an index of another version: {head.schema}, not {SCHEMA}", where=self.storage, hint=hint
            )

    @cached_property
    def batches(self) -> frozenset[str]:
        """The names of the batches that were written completely."""
        return frozenset(_batch(name) for name in self._names if name.startswith(f"{SOURCES}/"))

    def files(self, table: str) -> list[str]:
        """Return the names of the files of a table that count."""
        names = sorted(name for name in self._names if name.startswith(f"{table}/") and name.endswith(".parquet"))
        return [name for name in names if _batch(name) in self.batches]

    @property
    def bytes(self) -> int:
        """The size of the files that count (bytes)."""
        return sum(self._names[name].bytes for table in TABLES for name in self.files(table))

    def known(self, *, retry: bool = False) -> Known:
        """Return what was indexed before; with ``retry`` without the files that failed."""
        table = self._sources() if self.batches else []
        files, contents, bare = set(), defaultdict[int, set[str]](set), defaultdict[int, set[str]](set)
        for path, stamp, size, key, manifest, state in zip(*table, strict=True):  # none in a new index
            if not (retry and state == "failed"):
                files.add((path, stamp))
            if state == "indexed" and key is not None:
                (bare if manifest is None else contents)[size].add(key)
        with_, without = ({size: frozenset(keys) for size, keys in of.items()} for of in (contents, bare))
        return Known(frozenset(files), with_, without)

    def _sources(self) -> list[list[Any]]:
        import io

        import pyarrow
        import pyarrow.parquet as parquet

        columns = ["path", "stamp", "bytes", "trace", "manifest", "state"]
        found: list[list[Any]] = [[] for _ in columns]
        for name in self.files(SOURCES):
            try:
                table = parquet.read_table(io.BytesIO(self.storage.read(name)), columns=columns)
            except (pyarrow.ArrowException, OSError, KeyError) as error:
                raise damaged(self.storage, name, error) from None
            for target, column in zip(found, columns, strict=True):
                target += table[column].to_pylist()
        return found

    def remove_leftovers(self) -> int:
        """Remove files that killed workers left more than a day ago; return how many."""
        now = time.time()
        left = [
            name
            for name, stored in self._names.items()
            if name.partition("/")[0] in TABLES and _batch(name) not in self.batches and now - stored.written > _OLD_S
        ]
        self.storage.remove(left)
        return len(left)


def damaged(storage: Storage, name: str, error: object) -> InputError:
    """Return the error about a file of the index that cannot be read, with the next step."""
    batch = _batch(name)
    hint = (
        f"Remove sources/{batch}.parquet: the traces of that part are then read again by the next profkit index. "
        "The other parts stay."
    )
    return InputError(f"a file of the index is damaged ({error})", where=f"{storage}/{name}", hint=hint)


def _batch(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".parquet")
