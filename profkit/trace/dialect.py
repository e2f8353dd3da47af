"""What each PyTorch from 1.8 on writes differently, as data.

Categories are compared in lower case: their capitals flipped back and forth around 1.12.
"""

from __future__ import annotations

from typing import NamedTuple

OPERATOR = frozenset({"cpu_op", "operator"})
ANNOTATION = frozenset({"user_annotation"})
PYTHON = frozenset({"python_function"})
RUNTIME = frozenset({"cuda_runtime", "cuda_driver", "runtime", "xpu_runtime", "xpu_driver", "privateuse1_runtime"})
DEVICE = frozenset({"kernel", "gpu_memcpy", "gpu_memset", "memcpy", "memset", "concurrent_kernel"})
LEGACY_HOST_PID = "CPU functions"  # of the exporter before kineto, which writes no category

FORWARD_ANNOTATION = "profkit.forward"  # around each forward that profkit captured
STEP_PREFIX = "ProfilerStep#"  # around each step of torch.profiler
SCRIPT_FORWARD = "forward"  # the operator that is a TorchScript module's whole call
MODULE_PREFIX = "nn.Module: "  # a Python frame that is a module's call
# wrappers whose time is that of what they wrap
WRAPPERS = ("DataParallel.forward", "DistributedDataParallel.forward", "Optimizer.")

RESOLUTION_COARSE_NS = 1_000  # up to 2.3 the exporter writes whole microseconds
RESOLUTION_FINE_NS = 1  # from 2.4: microseconds with three decimals


class Dialect(NamedTuple):
    """How one range of versions writes, told by what stands in the file: ``marks`` in its text, times in ns."""

    versions: str
    marks: tuple[bytes, ...]
    fine: bool | None = None


# newest first: the first whose marks all stand in the beginning of the file
DIALECTS = (
    Dialect("2.6 to 2.15", (b'"baseTimeNanoseconds"', b'"Record function id"'), fine=True),
    Dialect("2.4 and 2.5", (b'"Record function id"',), fine=True),
    Dialect("2.4 to 2.15", (b'"Ev Idx"',), fine=True),
    Dialect("2.1 to 2.3", (b'"Record function id"',), fine=False),
    Dialect("2.0 to 2.3", (b'"Ev Idx"',), fine=False),
    Dialect("1.13", (b'"Profiler Event Index"',), fine=False),
    Dialect("1.12", (b'"cpu_op"',), fine=False),
    Dialect("1.8 to 1.11", (b'"Operator"',)),
    Dialect("1.8 to 1.11", (b'"Kernel"',)),
    Dialect("before 1.8", (b'"CPU functions"',)),
)
UNKNOWN = "unknown"


def recognise(beginning: bytes, fine: bool) -> str:
    """Return the PyTorch versions whose dialect a file is in, judged by its beginning and its clock."""
    for dialect in DIALECTS:
        if dialect.fine in (None, fine) and all(mark in beginning for mark in dialect.marks):
            return dialect.versions
    return UNKNOWN
