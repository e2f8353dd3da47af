"""What a trace without operators is instead, in words; and the device work that such a trace may hold."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from profkit.shortening import listed
from profkit.trace import dialect
from profkit.trace.events import Trace

_ACTIVITIES = "record with activities=[ProfilerActivity.CPU, …] to get operators"
# categories of torch.profiler, on any device; in lower case
_PYTORCH = (
    r"annotation|python_function|kernel|mem(?:cpy|set)|(?:cuda|hip|xpu|mtia|hpu|privateuse1|ccl)_|_runtime|_driver"
    r"|overhead|cpu_instant_event|^trace$|^async|^runtime$|collective"
)


class KernelTime(NamedTuple):
    """The device work of one name: its category, how often it ran, and the sum of its durations (ns)."""

    name: str
    category: str
    calls: int
    device_ns: int


class Nature(NamedTuple):
    """What a trace without operators is, as a sentence; ``is_foreign`` if another program wrote it."""

    text: str
    is_foreign: bool


def nature_of(trace: Trace) -> Nature | None:
    """Return what ``trace`` is if it has no operator; None if it has one."""
    if len(trace.operator_events):
        return None
    if any(trace.dialect == program.name for program in dialect.PROGRAMS):
        return Nature(f"It is a trace of {trace.dialect}, not of torch.profiler", is_foreign=True)
    spans = len(trace.events)
    if not spans:
        return Nature(_without_spans(trace), is_foreign=False)
    work = int(trace.has_category(dialect.DEVICE).sum())
    if work:
        only = "device work only" if work == spans else "device work but no operators"
        return Nature(f"It holds {only} ({work} kernels and copies): {_ACTIVITIES}", is_foreign=False)
    kinds = listed(sorted(name or "(none)" for name in trace.categories))
    if any(re.search(_PYTORCH, name.lower()) for name in trace.categories):
        return Nature(f"It holds no operators, only {spans} spans of the categories {kinds}: {_ACTIVITIES}", False)
    if any(name.startswith("aten::") for name in trace.names):
        return Nature(f"Its {spans} spans lack the category cpu_op, which operators have (categories: {kinds})", False)
    what = f"It is a Chrome trace of another program, not of torch.profiler: {spans} spans of the categories {kinds}"
    return Nature(what, is_foreign=True)


def _without_spans(trace: Trace) -> str:
    others = dict(trace.other_events)
    active = "if the profiler has a schedule, call step() until its active steps are over"
    if not others:
        return f"It has no events at all: nothing ran while it was recorded, or the profiler was not active; {active}"
    if set(others) == {"M"}:
        return f"It holds metadata only ({others['M']} names of processes and threads): nothing was recorded; {active}"
    phases = ", ".join(f"{count} of phase {phase or '(none)'}" for phase, count in sorted(others.items()))
    return f"It holds no spans, only other records ({phases[:200]}); {active}"


def kernel_times(trace: Trace) -> list[KernelTime]:
    """Return the kernels and copies of ``trace`` by name and category, the longest in sum first."""
    work = trace.events.take(trace.has_category(dialect.DEVICE))
    if not len(work):
        return []
    code, position = np.unique(work.name.astype(np.int64) * len(trace.categories) + work.category, return_inverse=True)
    calls = np.bincount(position, minlength=len(code)).tolist()
    sums = np.zeros(len(code), dtype=np.int64)
    np.add.at(sums, position, work.duration_ns)
    width = len(trace.categories)
    found = [
        KernelTime(trace.names[c // width], trace.categories[c % width], count, ns)
        for c, count, ns in zip(code.tolist(), calls, sums.tolist(), strict=True)
    ]
    return sorted(found, key=lambda kernel: (-kernel.device_ns, kernel.name))
