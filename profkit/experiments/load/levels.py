"""Which levels of load are measured: how many processes, and how many threads each has."""

from __future__ import annotations

import math
import os
import re
from typing import NamedTuple

from profkit import units
from profkit.capture.block import MEMORY_RESERVE
from profkit.capture.system import System, cpu_quota
from profkit.errors import UsageError
from profkit.runs.settings import Settings

AUTO_MOST = 4  # processes per core with --concurrency auto: beyond one they only help a model that waits
MOST_PROCESSES = 1024  # more than any machine serves a model with; each takes descriptors and memory
_HINT = "Use auto, a number such as 8 (measures 1, 2, 4 and 8), or the numbers themselves, such as 1,3,6."


class Level(NamedTuple):
    """So many processes with so many intra-op threads each."""

    processes: int
    threads: int

    @property
    def name(self) -> str:
        """Processes × threads."""
        return f"{self.processes} × {self.threads}"


class Concurrency(NamedTuple):
    """The numbers of processes that the user asked for, ascending; with ``auto`` () and the machine decides."""

    processes: tuple[int, ...]
    auto: bool


def parse_concurrency(text: str) -> Concurrency:
    """Parse ``auto``, ``N`` (the powers of two up to N, and N) or ``A,B,C``; raises UsageError for anything else."""
    if text.strip().lower() == "auto":
        return Concurrency((), auto=True)
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"\d{1,9}", word, re.ASCII) and int(word) > 0 for word in words):
        raise UsageError(f"{text!r:.100} is not a number of processes", where="--concurrency", hint=_HINT)
    numbers = sorted({int(word) for word in words})
    if numbers[-1] > MOST_PROCESSES:
        raise UsageError(f"at most {MOST_PROCESSES} processes", where="--concurrency", hint=_HINT)
    return Concurrency(tuple(numbers) if len(words) > 1 else powers_up_to(numbers[0]), auto=False)


def powers_up_to(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4, … up to ``most``, and ``most`` itself."""
    return tuple(sorted({*(1 << power for power in range(most.bit_length())), most}))


def usable_cores(cpus: str | None) -> int:
    """Return how many processors the workers may use: those of ``--cpus``, else this process's own, within the quota.

    Source of the quota: the control group, see :func:`profkit.capture.system.cpu_quota`.
    """
    if cpus:
        numbers: set[int] = set()
        for part in cpus.split(","):
            first, _, last = part.partition("-")
            numbers.update(range(int(first), min(int(last or first), 1 << 16) + 1))
        cores = len(numbers)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(System())
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def level_of(processes: int, cores: int, settings: Settings) -> Level:
    """Return the level of so many processes: with the threads of the settings, else an equal share of the cores."""
    return Level(processes, settings.threads or max(1, cores // processes))


def processes_allowed(available_bytes: int | None, used_bytes: int | None) -> int | None:
    """Return how many processes memory allows, one of which lives and uses ``used_bytes``; None if that is unknown.

    ``available_bytes`` is what new processes can use. Each is counted with its whole resident set and a reserve, so
    that pages that processes share make the answer smaller than it need be, never larger.
    """
    if available_bytes is None or not used_bytes:
        return None
    return 1 + int(available_bytes / (MEMORY_RESERVE * used_bytes))


def lacking_memory(level: Level, allowed: int, used_bytes: int, available_bytes: int) -> str:
    """Say why ``level`` is not measured."""
    return (
        f"memory allows {allowed} {'process' if allowed == 1 else 'processes'}: one uses {units.size(used_bytes)}, and "
        f"{units.size(available_bytes)} were available for more"
    )
