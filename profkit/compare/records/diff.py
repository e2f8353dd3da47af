"""The result of a comparison (schema ``diff/1``) as records: the one value that every report draws.

Times are nanoseconds per forward; medians over an even number of forwards may end in .5. A speedup is
baseline ÷ candidate: above 1 the candidate is faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import pandas

Verdict = Literal["faster", "slower", "same", "unresolved", "added", "removed", "replaced"]


Outcome = Literal["in effect", "accepted without effect", "not accepted", "unknown"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the comparison's records."""


class Side(Record, frozen=True, kw_only=True):
    """Who stands on one side; ``commands`` capture its runs anew, as far as their manifests know."""

    label: str
    path: str
    torch: str | None
    fpmath: str | None
    mode: str | None
    rounds: int
    forwards: int
    with_stack: bool = False
    commands: list[str] = []


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
    """The forward's wall time with the profiler off; ``speedup`` is of the medians, ``p90`` and ``p99`` of those."""

    baseline: Latency
    candidate: Latency
    speedup: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    verdict: Verdict
    p90: Estimate = Estimate(value=None)
    p99: Estimate = Estimate(value=None)


class OperatorTimes(Record, frozen=True, kw_only=True):
    """An operator on one side, per forward; ``profiler_share`` of its self time is, about, the profiler's own."""

    calls: float
    self_host_ns: float
    total_host_ns: float
    profiler_share: float | None = None


class OperatorChange(Record, frozen=True, kw_only=True):
    """An operator's change; speedup and ``delta_ns`` are of the self host time.

    ``total`` is the speedup of the total host time, with its own verdict.
    ``q_value`` is the p value after control of false discoveries over the table; the verdict goes by it.
    ``paired_with`` names what stands for it on the other side, ``since`` the PyTorch version that brought it.
    """

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
    q_value: float | None = None
    total: Estimate = Estimate(value=None)
    total_verdict: Verdict | None = None
    delta_ns: float
    verdict: Verdict
    paired_with: str | None = None
    since: str | None = None

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
    """The change of the mean forward: the operators' parts and the rest add up to it exactly.

    ``baseline_ns`` is the baseline's mean forward, rounded.
    """

    forward_delta_ns: int
    baseline_ns: int = 0
    operators: list[OperatorShare]
    outside_operators_ns: int


class Way(Record, frozen=True, kw_only=True):
    """How an operator's work was done: the operators below it that the other side has not, outermost first.

    ``total_host_ns`` is that of all its calls that went this way, per forward.
    """

    path: list[str]
    total_host_ns: float


class ImplementationChange(Record, frozen=True, kw_only=True):
    """Calls of an operator, per forward, whose work went another way below it."""

    operator: str
    calls: int
    baseline: Way
    candidate: Way
    speedup: float | None


class Unpaired(Record, frozen=True, kw_only=True):
    """Calls of one side, per forward, for which the other has no partner, such as what it fused into others."""

    name: str
    side: Literal["baseline", "candidate"]
    calls: int
    total_host_ns: float


class CallTimes(Record, frozen=True, kw_only=True):
    """Calls of an operator from one place, per forward, and their total host time."""

    calls: int
    total_host_ns: float


class CallChange(Record, frozen=True, kw_only=True):
    """An operator called from one place in the call tree; ``parent`` is the position of its caller, -1 at the top."""

    name: str
    parent: int
    baseline: CallTimes | None
    candidate: CallTimes | None


class Samples(Record, frozen=True, kw_only=True):
    """Every wall time of a forward that was measured on one side, in ns: one list per round."""

    forward_ns: list[list[int]]
    latency_ns: list[list[int]]


class OutputsChange(Record, frozen=True, kw_only=True):
    """How far the model's outputs moved: is the answer still right?"""

    cosine_similarity: float | None
    max_abs_error: float | None
    comparable: bool
    finite: bool = True
    same_shapes: bool = True
    relative_error: float | None = None


class PrimitiveTimes(Record, frozen=True, kw_only=True):
    """What ran for a problem on one side, per warm forward; the dearest implementation first."""

    implementations: list[str]
    fpmath: str
    calls: float
    exec_ns: float


class PrimitiveChange(Record, frozen=True, kw_only=True):
    """One problem of oneDNN's on both sides; null where a side has no primitive for it."""

    kind: str
    problem: str
    baseline: PrimitiveTimes | None
    candidate: PrimitiveTimes | None

    @property
    def delta_ns(self) -> float:
        before, after = (side.exec_ns if side else 0.0 for side in (self.baseline, self.candidate))
        return after - before

    @property
    def changed(self) -> bool:
        """Whether other implementations ran, or none on a side."""
        sides = (self.baseline, self.candidate)
        return None in sides or len({tuple(sorted(side.implementations)) for side in sides if side}) > 1


class PrimitiveSide(Record, frozen=True, kw_only=True):
    """oneDNN on one side, per warm forward under its log; the hit rates are of its primitive cache."""

    onednn: str | None
    isa: str | None
    forward_ns: float
    exec_ns: float
    reorder_ns: float
    weights_reorder_ns: float
    create_ns: float
    hit_rate: float | None
    cold_hit_rate: float | None


class PrimitivesChange(Record, frozen=True, kw_only=True):
    """oneDNN's primitives on both sides; printing its log disturbs these times, so they are shares, not latencies."""

    baseline: PrimitiveSide
    candidate: PrimitiveSide
    problems: list[PrimitiveChange]


class FpmathVerdict(Record, frozen=True, kw_only=True):
    """Whether an fpmath mode was real, and on which evidence; ``outputs`` are against FP32."""

    mode: str
    outcome: Outcome
    marked_executions: int | None
    evidence: list[str]
    outputs: OutputsChange | None


class WorkloadChange(Record, frozen=True, kw_only=True):
    name: str
    baseline: Side
    candidate: Side
    forward: ForwardChange
    latency: LatencyChange | None
    operators: list[OperatorChange]
    implementations: list[ImplementationChange] = []
    unpaired: list[Unpaired] = []
    calls: list[CallChange] = []
    attribution: Attribution
    outputs: OutputsChange | None
    primitives: PrimitivesChange | None = None
    fpmath: list[FpmathVerdict] = []
    baseline_samples: Samples | None = None
    candidate_samples: Samples | None = None

    @property
    def inference(self) -> ForwardChange | LatencyChange:
        """What inference gained: the latency where it was measured, for the profiler slows things down."""
        return self.latency or self.forward


class Difference(Record, frozen=True, kw_only=True):
    """A field in which the configurations differ; ``expected`` where it is what is being compared."""

    field: str
    baseline: str | None
    candidate: str | None
    expected: bool
    workload: str | None = None


class GateResult(Record, frozen=True, kw_only=True):
    """What became of a rule for a workload: failed where what it forbids is shown, not judged where nothing can be.

    ``found`` says what was seen.
    """

    rule: str
    workload: str | None
    outcome: Literal["passed", "failed", "not judged"]
    found: str


class Comparison(Record, frozen=True, kw_only=True):
    """What changed from the baseline to the candidate."""

    schema: Literal["diff/1"] = "diff/1"
    baseline: Side
    candidate: Side
    geomean_speedup: Estimate
    workloads: list[WorkloadChange]
    differences: list[Difference]
    warnings: list[str]
    gates: list[GateResult] = []

    def to_pandas(self) -> pandas.DataFrame:
        """Return the operators of all workloads as a pandas DataFrame, one row each; times in ns per forward."""
        from profkit.compare.frame import operators_frame

        return operators_frame(self)
