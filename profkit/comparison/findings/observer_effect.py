"""The profiler's own time: it makes operators look longer than they are, and not the same on both sides."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import Finding

NAME = "observer effect"
LARGE = 1.3  # profiled / latency: above it at least a quarter of the profiled time is the profiler's
UNEQUAL = 1.15  # between the two sides: above it operator times differ by 15% without any cause
SOURCE = "https://docs.pytorch.org/docs/stable/profiler.html"  # says that shapes and stacks take additional time


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if the forward takes much longer under the profiler, or longer on one side than on the other.

    It has no time at stake: the latency, on which the verdict rests, was measured with the profiler off.
    """
    latency, forward = subject.change.latency, subject.change.forward
    if latency is None or not latency.baseline.p50_ns or not latency.candidate.p50_ns:
        return
    walls = (latency.baseline.p50_ns, latency.candidate.p50_ns)
    profiled = (forward.baseline_ns, forward.candidate_ns)
    effects = [on / off for on, off in zip(profiled, walls, strict=True)]
    if max(effects) <= LARGE and max(effects) <= UNEQUAL * min(effects):
        return
    what = f"the profiler makes the forward up to {max(effects):.2f} times slower, so operator times include its effect"
    if max(effects) > UNEQUAL * min(effects):
        what = "the profiler slows the two sides differently, so the changes of operator times include its effect"
    yield Finding(
        rule=NAME,
        what=f"{what}; the latency does not",
        certainty="observed",
        evidence=[
            f"{label}: forward {units.duration(off)}, under the profiler {units.duration(on)} ({effect:.2f}x)"
            for label, off, on, effect in zip(subject.sides, walls, profiled, effects, strict=True)
        ],
        advice="Go by the latency. Operators with few and long calls are the least affected.",
        source=SOURCE,
    )
