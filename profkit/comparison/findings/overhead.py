"""Forwards that consist of many short calls: the time goes into calling operators, not into their work."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import Finding

NAME = "many short calls"
SHORT_NS = 5_000  # self time of a call: dispatching an operator takes some microseconds itself
LARGE_PART = 0.3  # of the forward
MANY = 100  # calls per forward


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if short calls take a large part of the candidate's forward."""
    sides = [o.candidate for o in subject.change.operators if o.candidate is not None]
    short = [times for times in sides if times.calls and times.self_host_ns / times.calls < SHORT_NS]
    calls, ns = sum(times.calls for times in short), sum(times.self_host_ns for times in short)
    forward_ns = subject.change.forward.candidate_ns
    if calls < MANY or not forward_ns or ns < LARGE_PART * forward_ns:
        return
    yield Finding(
        rule=NAME,
        what=f"{units.share(min(1.0, ns / forward_ns))} of the profiled forward of {subject.sides[1]} is "
        f"{units.count(calls)} operator calls of less than {units.duration(SHORT_NS)} each",
        certainty="observed",
        evidence=[f"{units.duration(ns)} of {units.duration(forward_ns)}, the profiler's time included"],
        advice="Fewer, larger operators help: torch.compile, a frozen model, or a larger batch.",
        source="https://docs.pytorch.org/tutorials/intermediate/torch_compile_tutorial.html",
    )
