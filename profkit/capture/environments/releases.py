"""What each PyTorch release needs, as data: Python versions, torchvision, NumPy limit (``torch_releases.json``).

The data come from the metadata of the packages and from their wheels. The upper Python is the newest for which both
torch and torchvision have wheels. Up to 2.2 torch uses ``pkg_resources.packaging``, which setuptools 70 removed.
torch.compile imports setuptools, on which the wheels of 2.3 to 2.14 do not depend under every Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

import msgspec

from profkit.capture.environments.nightlies import is_nightly, nightlies
from profkit.errors import UsageError

_REQUEST = re.compile(r"\d+\.\d+(\.\d+)?((a|b|rc)\d+)?(\.dev\d{8})?(\+[a-z0-9.]+)?")
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
        """Return the requirements to install for ``version``, a patch of this release or a nightly build before it."""
        numpy = "numpy" + (self.numpy or "")
        if is_nightly(version):
            # the torchvision that asks for that torch is a nightly build too, and named so that it may be one
            return [f"torch=={version}", "torchvision>=0.1.dev0", numpy, *self.also]
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


def releases_in(request: str, *, patches: bool = False) -> list[str]:
    """Return the versions that a request names, oldest first: one version, or each of a range such as 1.13..2.15.

    A range has the newest patch of each minor version, or with ``patches`` every patch; one of nightly builds has those
    that their index has. Raises UsageError if the request is not valid, or a bound of the range is not a release that
    profkit knows, CaptureError if the index of nightly builds cannot be reached.
    """
    first, dots, last = request.partition("..")
    if not dots:
        return [check_request(request)]
    if ".dev" in request:
        return nightlies(check_request(first), check_request(last))
    known = [version for name in releases() for version in (_patches(name) if patches else [name])]
    places = [_place(check_request(bound), known, is_last=bound is last) for bound in (first, last)]
    if places[0] > places[1]:
        raise UsageError(f"the range {request} is empty", hint=f"Write the older version first: {last}..{first}.")
    return known[places[0] : places[1] + 1]


def _patches(name: str) -> list[str]:
    return [f"{name}.{patch}" for patch in range(int(releases()[name].newest.rpartition(".")[2]) + 1)]


def _place(bound: str, known: Sequence[str], *, is_last: bool) -> int:
    """Return the position of a bound among the known versions."""
    found = [place for place, version in enumerate(known) if bound in (version, minor(version))]
    found = found or [place for place, version in enumerate(known) if minor(bound) == version]
    if not found:
        raise UsageError(
            f"{bound} is not a release that profkit knows", hint=f"Known: {next(iter(releases()))} to {newest_minor()}."
        )
    return found[-1 if is_last else 0]
