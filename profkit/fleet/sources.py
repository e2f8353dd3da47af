"""What is to be indexed: folders of traces, here or at URLs, found by the names of their files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from profkit.errors import InputError
from profkit.locations import Place, is_url, redacted, stamp_of, without_scheme
from profkit.runs.store import MANIFEST_NAME, ONEDNN_LOG, ONEDNN_TRACE, walk_folders

INDEX_HEAD = "profkit-index.json"
"""The file at the top of an index."""
_NAMED = (".pt.trace.json", ".pt.trace.json.gz")
_JSON = (".json", ".json.gz")


class File(msgspec.Struct, frozen=True):
    """A file: its name in its folder, its size in bytes, and the stamp by which it is known to be unchanged."""

    name: str
    bytes: int
    stamp: str


class Folder(msgspec.Struct, frozen=True):
    """The files of one run, or some of the traces of a folder without a manifest.

    ``url`` is the folder as it is opened, ``shown`` as it is called in the index, without secrets. ``root`` is the URL
    of the file system to open; empty for a local folder.
    """

    url: str
    shown: str
    files: tuple[File, ...]
    root: str = ""

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(file.bytes for file in self.files)

    def shown_path(self, file: File) -> str:
        """Return what the index calls a file of the folder."""
        scheme, chain, outer = self.shown.partition("::")
        inner = f"{scheme.rstrip('/')}/" if not scheme.endswith("://") else scheme
        return readable(redacted(f"{inner}{file.name}{chain}{outer}"))

    def __repr__(self) -> str:
        """Without the URL as it is opened, which may have secrets: clusters log the arguments of tasks."""
        return f"<Folder {self.shown!r}: {len(self.files)} files>"

    def only(self, files: Iterable[File]) -> Folder:
        """Return the folder with some of its files."""
        return msgspec.structs.replace(self, files=tuple(files))


def find_folders(paths: Sequence[str]) -> Iterator[Folder]:
    """Yield the folders at each of ``paths``, which may be traces, folders, URLs and globs of them.

    Raises InputError if there is nothing at one of them, UsageError if the library for its URL is not installed.
    """
    for text in map(without_scheme, paths):
        if is_url(text):
            yield from _remote(text)
        elif any(character in text for character in "*?[") and not os.path.lexists(text):
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  # Path.glob knows no absolute pattern
            if not matches:
                raise InputError("no file or folder matches", where=text, hint="Check the pattern.")
            for match in matches:
                yield from _local(Path(match))
        else:
            yield from _local(Path(text))


def _local(path: Path) -> Iterator[Folder]:
    if path.is_file():
        folder = path.parent
        if path.name == MANIFEST_NAME:
            yield from _of_folder(folder, [entry.name for entry in folder.iterdir()])
        else:
            yield Folder(str(folder.resolve()), readable(str(folder.resolve())), (_file(path),))
        return
    if not path.is_dir():
        raise InputError("no such file or folder", where=path, hint="Check the path.")
    for top, subfolders, names in walk_folders(path):
        if INDEX_HEAD in names:  # an index is no source
            subfolders.clear()
            continue
        if MANIFEST_NAME in names:
            subfolders.clear()
        yield from _of_folder(top, names)


def _of_folder(folder: Path, names: Iterable[str]) -> Iterator[Folder]:
    found = [_file(folder / name) for name in wanted(names) if (folder / name).is_file()]
    if found:
        yield Folder(str(folder.resolve()), readable(str(folder.resolve())), tuple(found))


def _file(path: Path) -> File:
    stat = path.stat()
    return File(path.name, stat.st_size, f"{stat.st_size}:{stat.st_mtime_ns}")


def _remote(url: str) -> Iterator[Folder]:
    place = Place(url)
    by_folder: dict[str, dict[str, Mapping[str, object]]] = {}
    for top in _expanded(place):
        for path, entry in top.items():
            folder, _, name = path.rpartition("/")
            by_folder.setdefault(folder, {})[name] = entry
    if not by_folder:
        raise InputError("there is no file", where=str(place), hint="Check the URL.")
    runs = {folder for folder, names in by_folder.items() if MANIFEST_NAME in names or INDEX_HEAD in names}
    found = False
    for folder, names in sorted(by_folder.items()):
        hidden = any(part.startswith(".") for part in PurePosixPath(folder.removeprefix(place.path)).parts)
        if hidden or INDEX_HEAD in names or any(str(above) in runs for above in PurePosixPath(folder).parents):
            continue
        # a single file is what its URL names, whatever follows its name there
        chosen = [name for name in names if f"{folder}/{name}".lstrip("/") == place.path.lstrip("/")] or wanted(names)
        files = [_stored(name, names[name]) for name in chosen]
        if files:
            found = True
            yield Folder(folder, place.shown(folder), tuple(files), place.url)

    if not found:
        raise InputError("there is no trace", where=str(place), hint="Check the URL.")


def _stored(name: str, entry: Mapping[str, object]) -> File:
    return File(name, int(str(entry.get("size") or 0)), stamp_of(dict(entry)))


def _expanded(place: Place) -> Iterator[dict[str, dict[str, object]]]:
    """Yield what the store says of the files at a URL, or at each place that a glob matches."""
    if not any(character in place.path for character in "*?["):
        yield place.files_below()
        return
    for path, entry in place.glob().items():
        yield {path: entry} if entry.get("type") == "file" else place.files.find(path, detail=True)


def readable(text: str) -> str:
    """Return a path with what is not UTF-8 in it as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def wanted(names: Iterable[str]) -> list[str]:
    """Return which files of a folder belong to a run, judged by their names alone, sorted.

    With a manifest: it, the traces, and oneDNN's log with its trace. Without: the files named as TensorBoard expects
    traces to be, else all JSON files.
    """
    known = sorted(names)
    traces = [name for name in known if name.endswith(_NAMED) and not name.startswith(".")]
    if MANIFEST_NAME in known:
        return [MANIFEST_NAME, *traces, *(name for name in (ONEDNN_LOG, ONEDNN_TRACE) if name in known)]
    return traces or [name for name in known if name.endswith(_JSON) and not name.startswith(".")]
