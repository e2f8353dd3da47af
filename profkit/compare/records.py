"""The result of a comparison (schema ``diff/1``) as records: the one value that every report draws.

Times are nanoseconds per forward; medians over an even number of forwards may end in .5. A speedup is
baseline ÷ candidate: above 1 the candidate is faster.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["faster", "slower", "same", "unresolved", "added", "removed", "replaced"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the comparison's records."""


class Side(Record, frozen=True, kw_only=True):
    """Who stands on one side."""

    label: str
    path: str
    torch: str | None
    fpmath: str | None
    mode: str | None
    rounds: int
    forwards: int


class Estimate(Record, frozen=True, kw_only=True):
    """A ratio with its 95% interval; the bounds are null where there are too few samples for one."""

    value: float | None
    low: float | None = None
    high: float | None = None


class ForwardChange(Record, frozen=True, kw_only=True):
    """The forward's wall time under the profiler: medians over forwards."""

    rule: str
    baseline_ns: float
    candidate_ns: float
    speedup: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    verdict: Verdict


class Latency(Record, frozen=True, kw_only=True):
    p50_ns: float
    p90_ns: float
    p99_ns: float
    mean_ns: float
    n: int


class LatencyChange(Record, frozen=True, kw_only=True):
    """The forward's wall time with the profiler off."""

    baseline: Latency
    candidate: Latency
    speedup: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    verdict: Verdict


class OperatorTimes(Record, frozen=True, kw_only=True):
    """An operator on one side, per forward."""

    calls: float
    self_host_ns: float
    total_host_ns: float


class OperatorChange(Record, frozen=True, kw_only=True):
    """An operator's change; speedup and ``delta_ns`` are of the self host time."""

    name: str
    input_dims: str | None = None
    module: str | None = None
    stack: str | None = None
    baseline: OperatorTimes | None
    candidate: OperatorTimes | None
    speedup: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    delta_ns: float
    verdict: Verdict
    paired_with: str | None = None

    @property
    def place(self) -> str | None:
        """What it is told apart by from others of its name: input shapes, module or stack."""
        return self.input_dims or self.module or self.stack


class OperatorShare(Record, frozen=True, kw_only=True):
    """An operator's part in the change of the mean forward, by self host time."""

    name: str
    input_dims: str | None = None
    module: str | None = None
    stack: str | None = None
    delta_ns: int

    @property
    def place(self) -> str | None:
        """What it is told apart by from others of its name: input shapes, module or stack."""
        return self.input_dims or self.module or self.stack


class Attribution(Record, frozen=True, kw_only=True):
    """The change of the mean forward: the operators' parts and the rest add up to it exactly."""

    forward_delta_ns: int
    operators: list[OperatorShare]
    outside_operators_ns: int


class OutputsChange(Record, frozen=True, kw_only=True):
    """How far the model's outputs moved: is the answer still right?"""

    cosine_similarity: float | None
    max_abs_error: float | None
    comparable: bool
    finite: bool = True


class WorkloadChange(Record, frozen=True, kw_only=True):
    name: str
    baseline: Side
    candidate: Side
    forward: ForwardChange
    latency: LatencyChange | None
    operators: list[OperatorChange]
    attribution: Attribution
    outputs: OutputsChange | None


class Difference(Record, frozen=True, kw_only=True):
    """A field in which the configurations differ; ``expected`` where it is what is being compared."""

    field: str
    baseline: str | None
    candidate: str | None
    expected: bool
    workload: str | None = None


class Comparison(Record, frozen=True, kw_only=True):
    """What changed from the baseline to the candidate."""

    schema: Literal["diff/1"] = "diff/1"
    baseline: Side
    candidate: Side
    geomean_speedup: Estimate
    workloads: list[WorkloadChange]
    differences: list[Difference]
    warnings: list[str]
