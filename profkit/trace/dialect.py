"""The differences between the traces of PyTorch's versions, from 1.8 on, as data.

Categories are compared in lower case: their capitals changed several times around 1.12.
"""

from __future__ import annotations

from typing import NamedTuple

OPERATOR = frozenset({"cpu_op", "operator"})
ANNOTATION = frozenset({"user_annotation"})
PYTHON = frozenset({"python_function"})
RUNTIME = frozenset({"cuda_runtime", "cuda_driver", "runtime", "xpu_runtime", "xpu_driver", "privateuse1_runtime"})
DEVICE = frozenset({"kernel", "gpu_memcpy", "gpu_memset", "memcpy", "memset", "concurrent_kernel"})
LEGACY_HOST_PID = "CPU functions"  # of the exporter before kineto, which writes no categories

FORWARD_ANNOTATION = "profkit.forward"  # around each forward that profkit captured
STEP_PREFIX = "ProfilerStep#"  # around each step of torch.profiler
SCRIPT_FORWARD = "forward"  # the operator that is a TorchScript module's whole call
MODULE_PREFIX = "nn.Module: "  # a Python frame that is a module's call

RESOLUTION_COARSE_NS = 1_000  # up to 2.3 the exporter writes whole microseconds
RESOLUTION_FINE_NS = 1  # from 2.4: microseconds with three decimals


class Dialect(NamedTuple):
    """How one range of versions is recognised: by text in the file's head, text in its first events, and its clock.

    ``fine`` is whether times have decimals (1 ns) or not (1 µs); None if both occur.
    """

    versions: str
    in_head: bytes = b""
    in_events: bytes = b""
    fine: bool | None = None


# newest first: the first that agrees with the beginning of the file
DIALECTS = (
    Dialect("2.8 to 2.15", in_head=b'"baseTimeNanoseconds"', in_events=b'"Ev Idx"', fine=True),
    Dialect("2.4 to 2.7", in_events=b'"Ev Idx"', fine=True),
    Dialect("2.1 to 2.3", in_events=b'"Record function id"', fine=False),
    Dialect("2.0 to 2.3", in_events=b'"Ev Idx"', fine=False),
    Dialect("1.13", in_events=b'"Profiler Event Index"', fine=False),
    Dialect("1.12", in_events=b'"cpu_op"', fine=False),
    Dialect("1.8 to 1.11", in_events=b'"Operator"'),
    Dialect("1.8 to 1.11", in_events=b'"Kernel"'),
    Dialect("before 1.8", in_events=LEGACY_HOST_PID.encode()),
)
UNKNOWN = "unknown"


def recognise(beginning: bytes, fine: bool) -> str:
    """Return the range of PyTorch versions that write such a file, or ``unknown``.

    ``beginning`` is its first bytes, ``fine`` whether its times have decimals.
    """
    head, _, events = beginning.partition(b'"traceEvents"')
    for dialect in DIALECTS:
        if dialect.fine in (None, fine) and dialect.in_head in head and dialect.in_events in (events or head):
            return dialect.versions
    return UNKNOWN
