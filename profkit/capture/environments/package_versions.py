"""The versions of a package along which something is captured: named one by one, or the minor versions of a range."""

from __future__ import annotations

import re
from collections.abc import Callable

from profkit.capture.environments.uv import InstallerError
from profkit.errors import CaptureError, UsageError

Newest = Callable[[str], str]
"""Returns the newest version that satisfies a requirement such as ``transformers<4.50``; raises InstallerError."""

PackageVersions = tuple[str, list[str]]
"""The name of a package and versions of it, oldest first."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w, -]*\])?")
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc|\.post|\.dev)\d+)?")
_MOST = 100  # versions of a range
_HINT = "Write --package transformers==4.40,4.45.2 or --package transformers==4.30..4.50."


def package_versions(request: str, newest: Newest) -> PackageVersions:
    """Return the package that ``request`` names, and its versions, oldest first.

    ``NAME==V1,V2`` names versions as they are; of ``NAME==FIRST..LAST`` there is the newest patch of each minor version
    from FIRST to LAST. ``newest`` asks the package index. Raises UsageError if the request is not valid or the range is
    empty, CaptureError if the index has no such package or cannot be reached.
    """
    name, equals, versions = request.partition("==")
    if not equals or not _NAME.fullmatch(name) or name.lower() == "torch":
        what = "torch itself is chosen by --torch" if name.lower() == "torch" else f"{request!r:.100} names no versions"
        raise UsageError(what, where="--package", hint=_HINT)
    first, dots, last = versions.partition("..")
    named = [first, last] if dots else versions.split(",")
    wrong = next((version for version in named if not _VERSION.fullmatch(version)), None)
    if wrong is not None:
        raise UsageError(f"{wrong!r:.100} is not a version", where="--package", hint=_HINT)
    if not dots:
        return name, list(dict.fromkeys(named))
    if _key(first) > _key(last):
        raise UsageError(f"the range {versions} is empty", where="--package", hint="Write the older version first.")
    return name, _of_range(name, first, last, newest)


def _of_range(name: str, first: str, last: str, newest: Newest) -> list[str]:
    """Return the newest patch of each minor version, found from the newest one downwards."""
    found: list[str] = []
    wanted = f"{name}=={last}.*" if last.count(".") < 2 else f"{name}=={last}"  # a patch is named
    while len(found) < _MOST:
        try:
            version = newest(wanted)
        except InstallerError as error:
            if error.unreachable:
                raise CaptureError(
                    f"the versions of {name} are not known: the package index cannot be reached"
                ) from None
            if not found and wanted.startswith(f"{name}=={last}"):
                wanted = f"{name}<={last}"  # there is no such version: the newest one below it
                continue
            break  # there is none below
        if not version or _key(version) < _key(first):
            break
        found.append(version)
        wanted = f"{name}<{_minor(version)}"
    if not found:
        raise CaptureError(f"the package index has no version of {name} from {first} to {last}")
    return found[::-1]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _key(version: str) -> tuple[int, ...]:
    """Return a key that sorts versions by their numbers; of a minor version, that of its first patch."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("rc")[0])[:3])
