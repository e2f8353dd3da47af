"""What each PyTorch release needs, as data: Python range, torchvision, NumPy cap (``torch_releases.json``).

Read off the packages' own metadata and the interpreters that their wheels are built for. The upper Python is the
newest that both torch and torchvision have wheels for. Up to 2.2 torch compares versions by means of
``pkg_resources.packaging``, which setuptools dropped in 70.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import msgspec

from profkit.errors import UsageError

_REQUEST = re.compile(r"\d+\.\d+(\.\d+)?((a|b|rc)\d+)?(\+[a-z0-9.]+)?")
# One Python for as many releases as possible, so that a comparison does not change the interpreter too.
PREFERRED_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 14)


class Release(msgspec.Struct, frozen=True):
    """One minor release: its newest patch, its first and last Python, and what goes with it."""

    newest: str
    python: tuple[str, str]
    torchvision: str
    numpy: str | None
    also: list[str] = []

    def requirements(self, version: str) -> list[str]:
        """Return what to install for ``version``, a patch of this release."""
        numpy = "numpy" + (self.numpy or "")
        return [f"torch=={version}", f"torchvision{self.torchvision}", numpy, *self.also]


# A release that this profkit does not know yet gets no caps.
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
    return ".".join(version.split("+")[0].split(".")[:2])


def newest_minor() -> str:
    return list(releases())[-1]


def check_request(request: str) -> str:
    """Return the version a user asked for; raises UsageError where it is none."""
    if not _REQUEST.fullmatch(request):
        raise UsageError(
            f"{request!r} is no PyTorch version",
            hint=f"Write it like 2.0 (its newest patch) or 2.0.1; known are 1.13 to {newest_minor()}.",
        )
    return request


def pythons(release: Release) -> list[str]:
    """Return the Python versions a release runs on, the one to prefer first."""
    first, last = (tuple(int(part) for part in bound.split(".")) for bound in release.python)
    available = [(3, n) for n in range(first[1], last[1] + 1)]
    # from the preferred one upwards, then downwards
    upward = [v for v in available if v >= PREFERRED_PYTHON]
    downward = [v for v in reversed(available) if v < PREFERRED_PYTHON]
    return [f"{a}.{b}" for a, b in upward + downward]
