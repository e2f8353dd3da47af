"""The JSON text inside a file that was packed again, put into an archive, or written in UTF-16.

gzip is unpacked where files are opened; here are the layers below it, and the other formats that Python's standard
library reads: zip, bzip2, xz, and zstd from Python 3.14 on. For those that it cannot read, the error names the command
that unpacks them. What comes out is bounded, layer by layer.
"""

from __future__ import annotations

import bz2
import importlib
import io
import lzma
import re
import shlex
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import BadZipFile, ZipFile, ZipInfo

from profkit.errors import InputError
from profkit.files import GZIP_MAGIC, OversizeError, Unpacker
from profkit.shortening import listed
from profkit.trace.reading.foreign import BEGINNING, packed_by, recognise

# what the modules below raise for a damaged file, or for one that they cannot unpack
_DAMAGE: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, RuntimeError, struct.error, zlib.error)
_DAMAGE += (lzma.LZMAError, BadZipFile)
_MOST_LAYERS = 5  # a trace has two or three
_TRACE_NAMES = (".json", ".json.gz")
# the commands that unpack what the standard library cannot
_ELSEWHERE = {"lz4": "lz4 -d {source} {target}", "7-Zip": "7z x {source}", "RAR": "unrar x {source}"}
_TAR, _TAR_AT = b"ustar", 257  # POSIX.1-1988: the magic and its place in the first header
_UNICODE = (  # byte order mark, the beginning of a JSON text without one, encoding, bytes per unit
    (b"\xff\xfe\0\0", re.compile(rb"(?:[ \t\r\n]\0\0\0)*[{\[]\0\0\0"), "utf-32-le", 4),
    (b"\0\0\xfe\xff", re.compile(rb"(?:\0\0\0[ \t\r\n])*\0\0\0[{\[]"), "utf-32-be", 4),
    (b"\xff\xfe", re.compile(rb"(?:[ \t\r\n]\0)*[{\[]\0"), "utf-16-le", 2),
    (b"\xfe\xff", re.compile(rb"(?:\0[ \t\r\n])*\0[{\[]"), "utf-16-be", 2),
)


class Unwrapped(NamedTuple):
    """The text in UTF-8, and the defects that were mended to get it, by how often each occurred."""

    data: bytes
    defects: Counter[str]


def unwrap(data: bytes, limit: int, source: Path) -> Unwrapped:
    """Return the text that ``data``, the content of the file ``source``, holds: ``data`` itself if nothing is packed.

    Raises OversizeError if a layer is larger than ``limit`` bytes, and InputError if a layer is damaged, cannot be
    unpacked here, holds no trace, or more than one.
    """
    defects: Counter[str] = Counter()
    for _ in range(_MOST_LAYERS):
        inner = _unpack(data, limit, source, defects)
        if inner is None:
            inner = _as_utf8(data, defects)
        if inner is data:
            return Unwrapped(data, defects)
        data = inner
        if (found := recognise(data[:BEGINNING])) is not None:
            raise found.refusal(source)
    raise InputError(f"is packed more than {_MOST_LAYERS - 1} times", where=source, hint="Unpack it first.")


def _unpack(data: bytes, limit: int, source: Path, defects: Counter[str]) -> bytes | None:
    """Take one layer off; None if there is none."""
    if data.startswith(GZIP_MAGIC):
        unpack = Unpacker()
        inner = unpack(data, limit + 1)
        if unpack.damaged:
            raise _damaged("gzip", unpack.damaged, source)
        if not unpack.complete:
            defects["inner gzip cut short"] += 1
        return _bounded(inner, limit, source)
    match packed_by(data[:BEGINNING]):
        case "bzip2":
            return _stream("bzip2", bz2, data, limit, source)
        case "xz":
            return _stream("xz", lzma, data, limit, source)
        case "zstd":
            return _stream("zstd", _zstd(source), data, limit, source)
        case "zip":
            return _from_zip(data, limit, source)
        case str(other):
            raise _unpack_first(other, _ELSEWHERE[other], source)
    if data[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        raise _unpack_first("tar", "tar -xf {source}", source)
    return None


def _zstd(source: Path) -> Any:
    """Return the standard library's zstd, which Python has from 3.14 on; raises InputError on an older one."""
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        raise _unpack_first("zstd", "zstd -d {source} -o {target}", source) from None


def _unpack_first(name: str, command: str, source: Path) -> InputError:
    target = source.with_suffix("") if source.suffix not in ("", ".json") else source.with_suffix(".unpacked.json")
    filled = command.format(source=shlex.quote(str(source)), target=shlex.quote(str(target)))
    return InputError(f"is packed by {name}", where=source, hint=f"Unpack it first: {filled}")


def _damaged(name: str, reason: object, source: Path) -> InputError:
    hint = "Copy it again from the machine that wrote it."
    return InputError(f"the {name} is damaged ({str(reason)[:200]})", where=source, hint=hint)


def _bounded(data: bytes, limit: int, source: Path) -> bytes:
    if len(data) > limit:
        raise OversizeError(f"is larger than {limit >> 20} MiB unpacked", where=source)
    return data


def _stream(name: str, module: Any, data: bytes, limit: int, source: Path) -> bytes:
    """Unpack with a module that has ``open`` as ``gzip`` has it."""
    return _read(name, lambda: module.open(io.BytesIO(data)), getattr(module, "ZstdError", OSError), limit, source)


def _read(name: str, opened: Callable[[], IO[bytes]], error: type[Exception], limit: int, source: Path) -> bytes:
    try:
        with opened() as stream:
            found = stream.read(limit + 1)
    except (*_DAMAGE, error) as reason:
        raise _damaged(name, reason, source) from None
    return _bounded(found, limit, source)


def _from_zip(data: bytes, limit: int, source: Path) -> bytes:
    """Return the one trace of an archive, or its one file."""
    try:
        archive = ZipFile(io.BytesIO(data))
    except _DAMAGE as reason:
        raise _damaged("zip archive", reason, source) from None
    files = [entry for entry in archive.infolist() if not entry.is_dir() and not entry.filename.startswith("__MACOSX/")]
    traces = [entry for entry in files if entry.filename.endswith(_TRACE_NAMES)]
    chosen = traces or files
    if len(chosen) != 1:
        names = f": {listed([entry.filename for entry in chosen])}" if chosen else ""
        folder = shlex.quote(str(source.with_suffix("")))
        hint = f"Unpack it, and pass the folder: unzip {shlex.quote(str(source))} -d {folder}"
        raise InputError(f"is a zip archive of {len(chosen)} files{names}", where=source, hint=hint)
    entry: ZipInfo = chosen[0]
    return _read("zip archive", lambda: archive.open(entry), BadZipFile, limit, source)


def _as_utf8(data: bytes, defects: Counter[str]) -> bytes:
    """Return a text of UTF-16 or UTF-32, as a redirection on Windows writes it, in UTF-8; any other as it is."""
    for mark, start, encoding, unit in _UNICODE:
        if data.startswith(mark) or start.match(data):
            whole = len(data) - len(data) % unit
            text = data[:whole].decode(encoding, "replace").removeprefix("\ufeff")
            defects[f"{encoding[:6].upper()} text"] += 1
            if wrong := text.count("\ufffd"):
                defects[f"invalid {encoding[:6].upper()}"] += wrong
            return text.encode()
    return data
