"""What is to be indexed: folders of traces, here or at URLs, found by the names of their files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from profkit.errors import InputError
from profkit.locations import Place, is_url, stamp_of
from profkit.runs.store import MANIFEST_NAME, ONEDNN_LOG, ONEDNN_TRACE

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
        return f"{scheme.rstrip('/')}/{file.name}{chain}{outer}"

    def only(self, files: Iterable[File]) -> Folder:
        """Return the folder with some of its files."""
        return msgspec.structs.replace(self, files=tuple(files))


def find_folders(paths: Sequence[str]) -> Iterator[Folder]:
    """Yield the folders at each of ``paths``, which may be traces, folders, URLs and globs of them.

    Raises InputError if there is nothing at one of them, UsageError if the library for its URL is not installed.
    """
    for text in paths:
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
            yield Folder(str(folder.resolve()), str(folder.resolve()), (_file(path),))
        return
    if not path.is_dir():
        raise InputError("no such file or folder", where=path, hint="Check the path.")
    seen: set[str] = set()
    for top, subfolders, names in os.walk(path, followlinks=True):
        real = os.path.realpath(top)
        if real in seen:  # a link to a folder above it
            subfolders.clear()
            continue
        seen.add(real)
        # the name of a folder that is still being captured starts with a dot
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if MANIFEST_NAME in names:
            subfolders.clear()
        yield from _of_folder(Path(top), names)


def _of_folder(folder: Path, names: Iterable[str]) -> Iterator[Folder]:
    found = [_file(folder / name) for name in wanted(names) if (folder / name).is_file()]
    if found:
        yield Folder(str(folder.resolve()), str(folder.resolve()), tuple(found))


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
    runs = {folder for folder, names in by_folder.items() if MANIFEST_NAME in names}
    for folder, names in sorted(by_folder.items()):
        hidden = any(part.startswith(".") for part in PurePosixPath(folder.removeprefix(place.path)).parts)
        if hidden or any(str(above) in runs for above in PurePosixPath(folder).parents):
            continue
        files = [_stored(name, names[name]) for name in wanted(names)]
        if files:
            yield Folder(folder, place.shown(folder), tuple(files), place.url)


def _stored(name: str, entry: Mapping[str, object]) -> File:
    return File(name, int(str(entry.get("size") or 0)), stamp_of(dict(entry)))


def _expanded(place: Place) -> Iterator[dict[str, dict[str, object]]]:
    """Yield what the store says of the files at a URL, or at each place that a glob matches."""
    if not any(character in place.path for character in "*?["):
        yield place.files_below()
        return
    for path, entry in place.glob().items():
        yield {path: entry} if entry.get("type") == "file" else place.files.find(path, detail=True)


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
