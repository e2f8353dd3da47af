"""Places given as paths or URLs: which is which, how one is shown, and the library that opens URLs.

A URL is what fsspec understands: ``s3://bucket/logs``, ``gs://…``, ``https://…``, ``memory://…``, a member of an
archive (``zip://2.0/resnet50::s3://bucket/logs.zip``). A local archive may be named by its path alone.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from profkit.errors import InputError, UsageError
from profkit.shortening import shorten

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|.*::", re.S)
_ARCHIVES = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar", ".tgz": "tar", ".tar.bz2": "tar", ".tar.xz": "tar"}
_LOCAL = "file://"
_USER = re.compile(r"(?<=://)[^/]*@")
_QUERY = re.compile(r"(https?://[^?#]*)[?#].*", re.S)
# checksums, then times, as the file systems of fsspec call them
_MARKS = (
    *("ETag", "etag", "md5Hash", "crc32c", "CRC", "content_md5", "Content-MD5", "Digest", "sha256"),
    *("LastModified", "last_modified", "Last-Modified", "mtime", "updated", "created", "date_time"),
)
_LONGEST_REASON = 300  # characters of what a store says


def is_url(text: str) -> bool:
    """Whether ``text`` names something that fsspec opens, and not a path of this machine.

    What exists here is a path, whatever its name, unless it is an archive; so is what a ``file://`` URL names.
    """
    if without_scheme(text) != text:
        return archive_of(without_scheme(text)) is not None
    if os.path.lexists(text):
        return archive_of(text) is not None and not Path(text).is_dir()
    return _URL.match(text) is not None or archive_of(text) is not None


def archive_of(text: str) -> str | None:
    """Return the URL of what is in the archive at the local path ``text``; None if its name is not an archive's."""
    kind = next((kind for ending, kind in _ARCHIVES.items() if text.lower().endswith(ending)), None)
    return None if kind is None or _URL.match(text) else f"{kind}://::{text}"


def redacted(url: str) -> str:
    """Return ``url`` without what may be a secret: a user name and a password, and a query with a signature."""
    return "::".join(_QUERY.sub(r"\1", _USER.sub("", part)) for part in url.split("::"))


def without_scheme(text: str) -> str:
    """Return the path that a ``file://`` URL names; any other text as it is."""
    return text.removeprefix(_LOCAL) if text.startswith(_LOCAL) and "::" not in text else text


class Url(str):
    """A text that may be a URL with secrets, which its ``repr`` leaves out."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Without secrets."""
        return repr(redacted(str(self)))


class Place:
    """A URL, opened: ``files`` is the file system, ``path`` the path in it. Shown, it has no secret."""

    def __init__(self, url: str) -> None:
        """Raises UsageError if the library for such URLs is not installed, InputError if the place cannot be opened."""
        self.url = archive_of(without_scheme(url)) or url
        with explained(self.url):
            self.files, self.path = _library().core.url_to_fs(_openable(self.url))
        self.path = str(self.path).rstrip("/")

    def __str__(self) -> str:
        return redacted(self.url)

    def shown(self, path: str) -> str:
        """Return the URL of a path in the file system, without secrets."""
        scheme, chain, outer = self.url.partition("::")
        if chain:
            return redacted(f"{scheme.partition('://')[0]}://{path.lstrip('/')}{chain}{outer}")
        return redacted(self.files.unstrip_protocol(path))

    def files_below(self) -> dict[str, dict[str, Any]]:
        """Return what the store says of every file below the place (or of the one file there), by path."""
        with explained(self.url):
            found: dict[str, dict[str, Any]] = self.files.find(self.path, detail=True)
            return {path: self._complete(path, entry) for path, entry in found.items()}

    def _complete(self, path: str, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what the store says of a file; some stores' lists say nothing, and the file has to be asked about."""
        if entry.get("size") is not None and _mark(entry):
            return entry
        known: dict[str, Any] = self.files.info(path)
        return {**entry, **{key: value for key, value in known.items() if value is not None}}

    def glob(self) -> dict[str, dict[str, Any]]:
        """Return what the store says of every file or folder that the URL matches as a pattern, by path."""
        with explained(self.url):
            found: dict[str, dict[str, Any]] = self.files.glob(self.path, detail=True)
        return found


def _openable(url: str) -> str:
    """Return the URL for fsspec: an archive on the web is fetched whole, because not every server has ranges."""
    inner, chain, outer = url.rpartition("::")
    return f"{inner}::simplecache::{outer}" if chain and outer.startswith(("http://", "https://")) else url


def stamp_of(entry: dict[str, Any]) -> str:
    """Return by what a store's file is known to be unchanged: its checksum if there is one, else size and time.

    A store that says neither may have changed the file: then each call returns something else.
    """
    return f"{entry.get('size')}:{_mark(entry) or os.urandom(8).hex()}".replace('"', "")


def _mark(entry: dict[str, Any]) -> str:
    """Return the first checksum or time that a store gives of a file; empty if there is none."""
    return next((str(entry[key]) for key in _MARKS if entry.get(key)), "")


@contextlib.contextmanager
def explained(url: str, what: str = "cannot be read") -> Iterator[None]:
    """Turn an exception of a store into an error that names the URL, the reason and the next step."""
    try:
        yield
    except (InputError, UsageError):
        raise
    except ImportError as error:
        package = re.search(r"[Ii]nstall ([\w-]+)", str(error))
        needed = package[1] if package else "profkit[fleet]"
        raise UsageError(
            f"the library for such URLs is not installed: {needed}",
            where=redacted(url),
            hint=f"pip install {needed} installs it.",
        ) from None
    except FileNotFoundError:
        raise InputError("there is nothing", where=redacted(url), hint="Check the URL.") from None
    except Exception as error:  # each store's library has its own
        raise InputError(f"{what} ({_reason(error)})", where=redacted(url), hint=_advice(error)) from None


def _reason(error: Exception) -> str:
    text = " ".join(redacted(str(error)).split()) or type(error).__name__
    return shorten(text, _LONGEST_REASON)


def _advice(error: Exception) -> str:
    text = f"{type(error).__name__} {error}"
    if re.search(r"[Cc]redential|[Ff]orbidden|[Dd]enied|PermissionError|401|403|anonymous|[Tt]oken", text):
        return (
            "Give the credentials as the store's own tools take them (for S3: AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, a profile, or the machine's role)."
        )
    return "Check the URL, and that the store can be reached from here."


def _library() -> Any:
    try:
        import fsspec
    except ImportError:
        raise UsageError("fsspec is not installed", hint="pip install 'profkit[fleet]' installs it.") from None
    return fsspec
