"""The matrix (workload × torch × fpmath × mode) and the order in which its rounds run."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from profkit.capture.workloads import WorkloadOrder
from profkit.errors import UsageError

Mode = Literal["eager", "script", "frozen", "compile"]
MODES: tuple[Mode, ...] = ("eager", "script", "frozen", "compile")
# what oneDNN calls the mode, by what users call it
FPMATH = {"fp32": "STRICT", "bf16": "BF16", "f16": "F16", "tf32": "TF32", "any": "ANY"}
# variables of the user's own that change what runs: they reach the worker, and the manifest says so
PASSED = ("ONEDNN_", "DNNL_", "OMP_", "KMP_", "GOMP_", "MKL_", "LD_PRELOAD", "MALLOC_")
_LABEL = re.compile(r"[\w+][\w.+-]*")


@dataclass(frozen=True, slots=True)
class Options:
    """How every configuration is measured; ``threads`` None leaves the number to PyTorch."""

    warmup: int = 10
    steps: int = 20
    rounds: int = 3
    threads: int | None = None
    lru_cache_capacity: int = 1024
    with_stack: bool = False
    timeout_s: float = 1800.0
    onednn: bool = True


@dataclass(frozen=True, slots=True)
class Configuration:
    """One workload in one environment, fpmath and mode; ``torch`` is a version as typed, or None with ``python``."""

    workload: WorkloadOrder
    torch: str | None
    python: Path | None
    fpmath: str
    mode: Mode
    label: str

    @property
    def who(self) -> str:
        return f"{self.label} {self.workload.name}"

    def environment_variables(self, options: Options) -> dict[str, str]:
        """Return what makes the configuration real in the worker: read by oneDNN and OpenMP as they load."""
        mode = FPMATH[self.fpmath]
        variables = {
            name: value for name, value in os.environ.items() if name.startswith(PASSED) and "VERBOSE" not in name
        }
        variables |= {
            # the DNNL name is the one that the oneDNN of PyTorch 1.13 knows
            "DNNL_DEFAULT_FPMATH_MODE": mode,
            "ONEDNN_DEFAULT_FPMATH_MODE": mode,
            "LRU_CACHE_CAPACITY": str(options.lru_cache_capacity),
        }
        if options.threads:
            variables |= {"OMP_NUM_THREADS": str(options.threads), "MKL_NUM_THREADS": str(options.threads)}
        return variables


def matrix(
    workloads: Sequence[WorkloadOrder],
    environments: Sequence[tuple[str | None, Path | None, str]],
    fpmaths: Sequence[str],
    modes: Sequence[Mode],
    label: str | None = None,
) -> list[Configuration]:
    """Return every combination. An environment is (torch version, interpreter, the start of its label).

    Raises UsageError where two of them would be filed in the same place.
    """
    if label is not None and not _LABEL.fullmatch(label):
        raise UsageError(f"{label!r} cannot be a label", hint="Use letters, digits, dots, dashes and underscores.")
    configurations = [
        Configuration(workload, torch, python, fpmath, mode, label or _label(base, fpmath, mode))
        for torch, python, base in environments
        for fpmath in fpmaths
        for mode in modes
        for workload in workloads
    ]
    doubled = [who for who, n in Counter(c.who for c in configurations).items() if n > 1]
    if doubled:
        raise UsageError(
            f"several configurations would be filed as {doubled[0]}",
            hint="Give each its own: one --label serves one configuration, and a version or mode counts once.",
        )
    return configurations


def _label(base: str, fpmath: str, mode: Mode) -> str:
    return base + (f"-{fpmath}" if fpmath != "fp32" else "") + (f"-{mode}" if mode != "eager" else "")


def order_of_round(index: int, count: int) -> list[int]:
    """Return the order of ``count`` configurations in round ``index``.

    A Latin square of Williams's design (Williams 1949): over ``count`` rounds each configuration runs at each
    place once and, for even counts, follows each other one once, so that neither the machine's drift nor what
    ran before favours one.
    """
    zigzag = [(i + 1) // 2 if i % 2 else (count - i // 2) % count for i in range(count)]
    return [(place + index) % count for place in zigzag]
