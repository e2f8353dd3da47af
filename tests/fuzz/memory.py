"""How much memory this process takes, as Linux tells it (proc(5))."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def status_bytes(name: str) -> int | None:
    """Return a size of /proc/self/status in bytes, such as VmRSS; None on a system without it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name)), None)


def peak_of(call: Callable[[], T]) -> tuple[T, int | None]:
    """Return what a call returns, and by how many bytes the resident size grew meanwhile; None if unknown."""
    before = status_bytes("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the largest resident size begins anew
    except OSError:
        before = None
    found = call()
    peak = status_bytes("VmHWM")
    return found, None if before is None or peak is None else max(0, peak - before)
