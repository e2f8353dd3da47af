"""How much memory is left for workers, how much one has used, and whether the kernel killed one for it."""

from __future__ import annotations

import re
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_COUNTERS = (Path("/proc/vmstat"), _GROUP / "memory.events", _GROUP / "memory/memory.oom_control")


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


def peak_bytes(process: int) -> int | None:
    """Return the largest resident set (bytes) that a living process has had so far; None if it is not known."""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", _read(Path(f"/proc/{process}/status")), re.M)
    return int(found[1]) * 1024 if found else None


def memory_kills() -> int | None:
    """Return how many processes the kernel has killed for lack of memory; None if it does not count them.

    It is the sum of the system's counter and those of the control group: only its growth means something.
    """
    found = [re.search(r"^oom_kill (\d+)$", _read(path), re.M) for path in _COUNTERS]
    known = [int(match[1]) for match in found if match]
    return sum(known) if known else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
