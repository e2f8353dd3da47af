"""The nightly builds of PyTorch: which of them there are, and where they are installed from.

They are on an index of their own (PEP 503), whose address the user gives in ``PROFKIT_NIGHTLY_INDEX``. It keeps the
builds of some months only, and has none for some days, so the versions of a range come from its list.
"""

from __future__ import annotations

import os
import re
import urllib.parse
import urllib.request

from profkit.errors import CaptureError, UsageError

VARIABLE = "PROFKIT_NIGHTLY_INDEX"
_NIGHTLY = re.compile(r"\d+\.\d+(?:\.\d+)?\.dev(\d{8})")
_WHEEL = re.compile(r"torch-(\d+\.\d+(?:\.\d+)?\.dev\d{8})(?:(?:\+|%2[Bb])[\w.]+)?-")
_MOST_BYTES = 64 << 20  # of the list of all builds
_TIMEOUT_S = 60
_HINT = (
    f"Set {VARIABLE} to the address of an index of nightly builds of PyTorch, such as the one that pytorch.org names "
    "for its preview (nightly) builds for CPUs."
)


def is_nightly(version: str) -> bool:
    """Whether ``version`` is a nightly build, such as ``2.9.0.dev20250801``."""
    return _NIGHTLY.fullmatch(version.split("+")[0]) is not None


def nightly_index() -> str:
    """Return the address of the index of nightly builds; raises UsageError if the user gave none."""
    address = os.environ.get(VARIABLE, "").rstrip("/")
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        what = "is not the address of an index" if address else "nightly builds are on an index of their own"
        raise UsageError(what, where=VARIABLE if address else None, hint=_HINT)
    return address


def nightlies(first: str, last: str) -> list[str]:
    """Return the builds from ``first`` to ``last``, both of which are nightlies, by date.

    Raises UsageError if the range is empty or no index is known, CaptureError if it cannot be reached.
    """
    dates = [_date(version) for version in (first, last)]
    if dates[0] > dates[1]:
        raise UsageError(f"the range {first}..{last} is empty", hint=f"Write the older build first: {last}..{first}.")
    by_date = {_date(version): version for version in sorted(set(_WHEEL.findall(_list(nightly_index()))))}
    found = [version for date, version in sorted(by_date.items()) if dates[0] <= date <= dates[1]]
    if not found:
        known = f"it has {min(by_date)} to {max(by_date)}" if by_date else "it has none"
        raise CaptureError(f"the index has no nightly build from {first} to {last}; {known}")
    return found


def _date(version: str) -> str:
    found = _NIGHTLY.fullmatch(version.split("+")[0])
    if found is None:
        raise UsageError(
            f"{version} is not a nightly build", hint="Name two, such as 2.9.0.dev20250801, or two releases."
        )
    return found[1]


def _list(index: str) -> str:
    """Return the page that lists the files of torch."""
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=_TIMEOUT_S) as answer:
            page: bytes = answer.read(_MOST_BYTES)
    except (OSError, ValueError) as error:  # urllib's own are children of OSError
        reason = getattr(error, "reason", error)
        raise CaptureError(
            f"the index of nightly builds cannot be read ({reason})", where=VARIABLE, hint=_HINT
        ) from None
    return page.decode("utf-8", "replace")
