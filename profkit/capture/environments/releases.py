"""What each PyTorch release needs, as data: Python versions, torchvision, NumPy limit (``torch_releases.json``).

The data come from the metadata of the packages and from their wheels. The upper Python is the newest for which both
torch and torchvision have wheels. Up to 2.2 torch uses ``pkg_resources.packaging``, which setuptools 70 removed.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import msgspec

from profkit.errors import UsageError

_REQUEST = re.compile(r"\d+\.\d+(\.\d+)?((a|b|rc)\d+)?(\+[a-z0-9.]+)?")
# One Python for as many releases as possible: then a comparison of releases does not compare interpreters too.
PREFERRED_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 14)


class Release(msgspec.Struct, frozen=True):
    """One minor release: its newest patch, its first and last Python, and the packages that belong to it."""

    newest: str
    python: tuple[str, str]
    torchvision: str
    numpy: str | None
    also: list[str] = []

    def requirements(self, version: str) -> list[str]:
        """Return the requirements to install for ``version``, a patch of this release."""
        numpy = "numpy" + (self.numpy or "")
        return [f"torch=={version}", f"torchvision{self.torchvision}", numpy, *self.also]


# A release newer than this profkit: no limits are known.
UNKNOWN = Release(newest="", python=("3.11", ".".join(map(str, NEWEST_PYTHON))), torchvision="", numpy=None)


@cache
def releases() -> dict[str, Release]:
    """Return the known releases by minor version, oldest first."""
    data = resources.files("profkit.capture.environments").joinpath("torch_releases.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, Release])


def release_of(version: str) -> Release:
    """Return the release that ``version`` (``2.0`` or ``2.0.1``) belongs to."""
    return releases().get(minor(version), UNKNOWN)


def minor(version: str) -> str:
    """Return the minor version (``2.0``) of ``2.0``, ``2.0.1`` or ``2.0.1+cpu``."""
    return ".".join(version.split("+")[0].split(".")[:2])


def newest_minor() -> str:
    """Return the newest minor version that profkit knows."""
    return list(releases())[-1]


def check_request(request: str) -> str:
    """Return the version as given; raises UsageError if it is not a PyTorch version."""
    if not _REQUEST.fullmatch(request):
        raise UsageError(
            f"{request!r} is not a PyTorch version",
            hint=f"Write 2.0 for the newest patch, or 2.0.1. Known: {next(iter(releases()))} to {newest_minor()}.",
        )
    return request


def pythons(release: Release) -> list[str]:
    """Return the Python versions that a release supports, the preferred one first."""
    first, last = (tuple(int(part) for part in bound.split(".")) for bound in release.python)
    available = [(3, n) for n in range(first[1], last[1] + 1)]
    # from the preferred one upwards, then downwards
    upward = [v for v in available if v >= PREFERRED_PYTHON]
    downward = [v for v in reversed(available) if v < PREFERRED_PYTHON]
    return [f"{a}.{b}" for a, b in upward + downward]
