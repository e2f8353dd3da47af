"""Files: one way to write a whole file, one way to open an untrusted one, and profkit's own cache folder.

Readers get regular files only (a FIFO would block for ever, a device may never end), unpacked when their content is
gzip whatever their name, and never more than a given number of bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from profkit.errors import InputError
from profkit.locks import is_at, is_of_this_machine, machine_tag, try_lock

Buffer = bytes | bytearray | memoryview

GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_PACKED_BYTES = 1 << 16  # read at a time from a gzip: small, because it may unpack to a thousand times as much
_LONGEST_STEM = 100  # bytes of the target's name in a part file's name: names end at 255 bytes
_PART = re.compile(r"\..*\.part-([0-9a-z.]+)-[0-9a-f]{8}", re.DOTALL)


def cache_root() -> Path:
    """Return ``PROFKIT_CACHE_DIR`` if it is set, else the user's cache folder; the folder may not exist yet."""
    root = os.environ.get("PROFKIT_CACHE_DIR")
    if root:
        return Path(root)
    from platformdirs import user_cache_path

    return user_cache_path("profkit", appauthor=False)


def write_whole(path: Path, content: Buffer | Iterable[Buffer]) -> None:
    """Write a file whole or not at all: to a part file beside it, which then replaces it.

    ``content`` is the file's bytes, or chunks of them. A symbolic link is followed. A device or a FIFO cannot be
    replaced and is written to directly. Raises OSError when the file cannot be written, after removing the part file.
    """
    chunks = [content] if isinstance(content, bytes | bytearray | memoryview) else content
    with replacing(path) as part, part.open("wb") as stream:
        for chunk in chunks:
            stream.write(chunk)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a part file to write; it replaces ``path`` when the block ends without an exception.

    For libraries that insist on opening the file themselves; see :func:`write_whole`. The part file exists, is empty,
    and is locked by this process, so that :func:`remove_dead_parts` knows the ones that killed processes left; it
    removes those in the same folder.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    remove_dead_parts(target.parent)
    stem = os.fsdecode(os.fsencode(target.name)[:_LONGEST_STEM])
    part = target.with_name(f".{stem}.part-{machine_tag()}-{os.urandom(4).hex()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: then nobody takes the file for a dead one
            try_lock(descriptor)
        yield part
        part.replace(target)
    except BaseException:  # an interrupt must not leave the part file behind either
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def remove_dead_parts(folder: Path) -> None:
    """Remove this user's part files in ``folder`` that processes of this machine left when they were killed."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _PART.fullmatch(entry.name)
            if found and is_of_this_machine(found[1]) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_if_dead(Path(entry.path))


def _remove_if_dead(part: Path) -> None:
    """Remove a part file that nobody has locked; raises OSError if it cannot be looked at or removed."""
    descriptor = os.open(part, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        is_own = not hasattr(os, "getuid") or os.fstat(descriptor).st_uid == os.getuid()
        if is_own and try_lock(descriptor) and is_at(descriptor, part):
            part.unlink()
    finally:
        os.close(descriptor)


def is_regular_file(path: Path) -> bool:
    """Whether there is a regular file at ``path`` itself, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_plain_name(text: str) -> bool:
    """Whether ``text`` names something in a folder itself: not a path, and not the folder or the one above it."""
    return text not in ("", ".", "..") and not any(character in text for character in "/\\\0")


@contextlib.contextmanager
def refused_in_words(path: Path) -> Iterator[None]:
    """Turn an OSError of reading ``path`` into an InputError that names the path and the reason."""
    try:
        yield
    except IsADirectoryError:
        raise InputError("is a folder, not a file", where=path) from None
    except FileNotFoundError:
        raise InputError("no such file", where=path, hint="Check the path.") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", where=path) from None


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading, unbuffered and never blocking.

    Raises InputError when there is no such file, or it is a folder, FIFO, socket or device.
    """
    with refused_in_words(path):
        _require_regular(path, path.stat().st_mode)  # before opening: opening a device may have effects
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        stream = os.fdopen(descriptor, "rb", buffering=0)
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)  # after: it may have been replaced in between
    except InputError:
        stream.close()
        raise
    return stream


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise InputError("is a folder, not a file", where=path)
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
        kind = kinds.get(stat.S_IFMT(mode), "special file")
        raise InputError(f"is a {kind}, not a regular file", where=path, hint="Save its content to a file first.")


def is_gzip(path: Path) -> bool:
    """Tell gzip by content, not by name; raises InputError as :func:`open_regular` does."""
    with open_regular(path) as stream:
        return stream.read(2) == GZIP_MAGIC


def open_unpacked(path: Path) -> IO[bytes]:
    """Open a regular file as a stream of its content, unpacked if it is gzip. The reader bounds what it takes.

    Reading a damaged gzip raises one of :func:`gzip_errors`; opening raises InputError as :func:`open_regular` does.
    """
    raw = open_regular(path)
    try:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not packed:
            return raw
        stream = _gzip_module().open(raw, "rb")
        stream.myfileobj = raw  # GzipFile closes this one with itself, as it does with a file that it opened by name
        return cast("IO[bytes]", stream)
    except BaseException:
        raw.close()
        raise


def _gzip_module() -> Any:
    """Return isal's igzip, twice as fast, or the standard library's gzip on a platform that isal has no wheel for."""
    try:
        from isal import igzip  # takes 20 ms to import, which only gzipped input should cost
    except ImportError:
        return gzip
    return igzip


def gzip_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of a gzip stream that is damaged, cut short, or followed by something else."""
    known: tuple[type[Exception], ...] = (zlib.error, gzip.BadGzipFile, EOFError)
    with contextlib.suppress(ImportError):
        from isal import isal_zlib

        return (*known, cast("type[Exception]", isal_zlib.error))
    return known


class OversizeError(InputError):
    """The content of a file, unpacked, is larger than the caller allows."""


class Content(NamedTuple):
    """A file's whole content, unpacked; ``cut_short`` when its gzip ends early and ``data`` is what there was."""

    data: bytes
    cut_short: bool


def read_bounded(path: Path, limit: int) -> Content:
    """Return the content of a regular file, unpacked if it is gzip (all its members), of at most ``limit`` bytes.

    Bytes behind the last member are ignored, as gzip does. Raises OversizeError beyond the limit, and InputError
    when the file cannot be read, is not a regular file, or its gzip is damaged: a wrong bit gives wrong text long
    before the checksum at the end shows it, so nothing of such a file is used.
    """
    unpack: Unpacker | None = None
    parts: list[bytes] = []
    left = limit
    with open_regular(path) as stream, refused_in_words(path):
        packed = stream.read(2) == GZIP_MAGIC
        stream.seek(0)
        unpack = Unpacker() if packed else None
        # one more than the file has, so that a file that did not grow takes one read, and never far beyond the limit
        step = _PACKED_BYTES if packed else max(min(os.fstat(stream.fileno()).st_size, limit) + 1, _PACKED_BYTES)
        while chunk := stream.read(step):
            parts.append(chunk if unpack is None else unpack(chunk, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise OversizeError(f"is larger than {limit >> 20} MiB unpacked", where=path)
            if unpack is not None and unpack.damaged:
                hint = "Copy it again from the machine that wrote it."
                raise InputError(f"the gzip is damaged ({unpack.damaged})", where=path, hint=hint)
    return Content(b"".join(parts), unpack is not None and not unpack.complete)


class Unpacker:
    """Unpacks a gzip chunk by chunk, member after member.

    ``damaged`` is the reason when the content cannot be trusted, else empty.
    """

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self._begun = False
        self.damaged = ""

    @property
    def complete(self) -> bool:
        """Whether the last member has its end."""
        return self._stream.eof or not self._begun

    def __call__(self, packed: bytes, limit: int) -> bytes:
        """Return the bytes that ``packed`` unpacks to, at most ``limit`` of them; the rest is dropped."""
        parts: list[bytes] = []
        try:
            while packed and limit > 0:
                if self._stream.eof:
                    if not packed.startswith(GZIP_MAGIC):
                        break  # not a member
                    self._stream = zlib.decompressobj(wbits=31)
                self._begun = True
                parts.append(self._stream.decompress(packed, limit))
                limit -= len(parts[-1])
                packed = self._stream.unconsumed_tail or self._stream.unused_data
        except zlib.error as error:
            self.damaged = str(error)
        return b"".join(parts)
