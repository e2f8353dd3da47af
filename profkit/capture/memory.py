"""How much memory is left for workers."""

from __future__ import annotations

import re
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int | None:
    """Return the memory (bytes) that new processes can use without swapping; None if the platform does not tell.

    It is the smaller of what the kernel estimates (MemAvailable, proc(5)) and what the control group leaves.
    """
    found = re.search(r"^MemAvailable:\s*(\d+) kB$", _read(_MEMINFO), re.M)
    known = [int(found[1]) * 1024] if found else []
    limit, used = _read(_GROUP / "memory.max").strip(), _read(_GROUP / "memory.current").strip()
    cached = re.search(r"^inactive_file (\d+)$", _read(_GROUP / "memory.stat"), re.M)  # given up when memory is needed
    if limit.isdigit() and used.isdigit():
        known.append(max(0, int(limit) - int(used) + (int(cached[1]) if cached else 0)))
    return min(known, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
