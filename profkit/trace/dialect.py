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
LEGACY_HOST_PID = "CPU functions"  # of the autograd profiler's exporter, which writes no categories

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


_FIRST_KINETO = "1.8 to 1.11"
# what torch.autograd.profiler exports is the same from before 1.8 to 2.15
AUTOGRAD = "unknown version: exported by the autograd profiler"
# newest first: the first that agrees with the beginning of the file
DIALECTS = (
    Dialect("2.8 to 2.15", in_head=b'"baseTimeNanoseconds"', in_events=b'"Ev Idx"', fine=True),
    Dialect("2.4 to 2.7", in_events=b'"Ev Idx"', fine=True),
    Dialect("2.1 to 2.3", in_events=b'"Record function id"', fine=False),
    Dialect("2.0 to 2.3", in_events=b'"Ev Idx"', fine=False),
    Dialect("1.13", in_events=b'"Profiler Event Index"', fine=False),
    Dialect("1.12", in_events=b'"cpu_op"', fine=False),
    Dialect(_FIRST_KINETO, in_events=b'"Operator"'),
    Dialect(_FIRST_KINETO, in_events=b'"Kernel"'),
    Dialect(AUTOGRAD, in_events=LEGACY_HOST_PID.encode()),
)
WITHOUT_ANNOTATIONS = (_FIRST_KINETO, AUTOGRAD)  # these write a user's annotation as an operator
UNKNOWN = "unknown"


class Program(NamedTuple):
    """Another program that writes Chrome traces, and the texts of which each such trace has one at its beginning."""

    name: str
    marks: tuple[bytes, ...]


# the first that agrees; the layouts are those of the programs' own exporters
PROGRAMS = (
    Program("JAX or XLA", (b'"PjitFunction', b'"hlo_module"', b'"hlo_op"', b'"name":"jit_', b'"name": "jit_')),
    Program("TensorFlow", (b'"tf_op"', b'"/job:')),
    Program("JAX or TensorFlow (the profiler of XLA)", (b'"highres-ticks"',)),
    Program("ONNX Runtime", (b'"model_loading_', b'"session_initialization"')),
    Program("Chrome or Perfetto", (b'"__metadata"', b'"devtools.timeline', b'"disabled-by-default-')),
    Program("Clang (-ftime-trace)", (b'"beginningOfTime"', b'"ExecuteCompiler"')),
    Program("VizTracer", (b'"viztracer_metadata"',)),
    Program("Bazel", (b'"bazel_version"',)),
)
# what only PyTorch writes: with one of these the file is its own, whatever the names of its events look like
_PYTORCH = (
    *(b'"schemaVersion"', b'"deviceProperties"', b'"distributedInfo"', b'"baseTimeNanoseconds"'),
    *(b'"Ev Idx"', b'"Profiler Event Index"', b'"External id"', LEGACY_HOST_PID.encode()),
    *(b'"cpu_op"', b'"Operator"', b'"user_annotation"', b'"python_function"', b'"cuda_runtime"', b'"Trace"'),
)


def recognise(beginning: bytes, fine: bool) -> str:
    """Return the range of PyTorch versions that write such a file, the other program that does, or ``unknown``.

    ``beginning`` is its first bytes, ``fine`` whether its times have decimals.
    """
    if (program := other_program(beginning)) is not None:
        return program.name
    head, _, events = beginning.partition(b'"traceEvents"')
    for dialect in DIALECTS:
        if dialect.fine in (None, fine) and dialect.in_head in head and dialect.in_events in (events or head):
            return dialect.versions
    return UNKNOWN


def other_program(beginning: bytes) -> Program | None:
    """Return the program that wrote a Chrome trace with these first bytes, None if it is PyTorch or not known."""
    if any(mark in beginning for mark in _PYTORCH):
        return None
    return next((program for program in PROGRAMS if any(mark in beginning for mark in program.marks)), None)


def in_words(dialect: str) -> str:
    """Return what :func:`recognise` found as it is shown: ``PyTorch 2.4 to 2.7``, ``JAX or XLA``."""
    return f"PyTorch {dialect}" if dialect[:1].isdigit() or dialect == UNKNOWN else dialect
