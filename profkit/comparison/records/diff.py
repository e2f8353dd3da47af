"""The result of comparing two runs (schema ``diff/2``): the one value that every report shows.

Times are nanoseconds per forward. A speedup is baseline / candidate: above 1 the candidate is faster.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.findings import Finding, RuledOut
from profkit.comparison.records.outputs import OutputsChange
from profkit.comparison.records.parts import (
    HasPlace,
    InputDims,
    Judged,
    Latency,
    Module,
    Record,
    SideName,
    Stack,
    TimeInterval,
)
from profkit.quantities import Amount, Change, Count, Ratio, Share, WholeChange

ResourceName = Literal["cpu_time", "peak_memory"]
Outcome = Literal["in effect", "accepted without effect", "not accepted", "unknown"]
JudgedOn = Literal["self", "total"]
GateOutcome = Literal["passed", "failed", "inconclusive"]


class Side(Record, frozen=True, kw_only=True):
    """What one side of a comparison is; a fact that its runs do not share is null."""

    label: Annotated[str, Meta(description="label of its runs, or the name of its folder")]
    path: Annotated[str, Meta(description="path as given")]
    torch: Annotated[str | None, Meta(description="PyTorch version")]
    fpmath: Annotated[str | None, Meta(description="oneDNN fpmath mode")]
    mode: Annotated[str | None, Meta(description="how the model runs: eager, script, frozen, compile")]
    rounds: Annotated[Count, Meta(description="number of rounds (processes)")]
    forwards: Annotated[Count, Meta(description="number of profiled forwards")]
    with_stack: Annotated[bool, Meta(description="whether Python stacks were recorded in all of its runs")] = False
    commands: Annotated[list[str], Meta(description="commands that capture its runs again")] = []


class ForwardChange(Judged, frozen=True, kw_only=True):
    """The forward's wall time under the profiler."""

    rule: Annotated[str, Meta(description="rule by which the forwards were found")]
    baseline_ns: Annotated[Amount, Meta(description="baseline (ns): geometric mean over rounds of the median")]
    candidate_ns: Annotated[Amount, Meta(description="candidate (ns): geometric mean over rounds of the median")]
    baseline_interval: Annotated[
        TimeInterval | None, Meta(description="of the baseline's time; null with a single round")
    ] = None
    candidate_interval: Annotated[
        TimeInterval | None, Meta(description="of the candidate's time; null with a single round")
    ] = None


class LatencyChange(Judged, frozen=True, kw_only=True):
    """The forward's wall time with the profiler off; the speedup is that of the medians."""

    baseline: Annotated[Latency, Meta(description="baseline")]
    candidate: Annotated[Latency, Meta(description="candidate")]
    p90: Annotated[
        Judged | None, Meta(description="speedup of the 90th percentile; null if a side has too few forwards")
    ] = None
    p99: Annotated[
        Judged | None, Meta(description="speedup of the 99th percentile; null if a side has too few forwards")
    ] = None


class ResourceChange(Judged, frozen=True, kw_only=True):
    """What a forward costs beside time; the speedup is baseline / candidate, above 1 the candidate takes less."""

    name: Annotated[
        ResourceName,
        Meta(
            description="cpu_time: of all threads per latency forward (ns); peak_memory: of a round's process (bytes)"
        ),
    ]
    baseline: Annotated[Amount, Meta(description="baseline (ns or bytes): geometric mean over rounds of the median")]
    candidate: Annotated[Amount, Meta(description="candidate (ns or bytes): geometric mean over rounds of the median")]


class OperatorTimes(Record, frozen=True, kw_only=True):
    """An operator on one side, per forward."""

    calls: Annotated[Amount, Meta(description="calls per forward (median)")]
    self_host_ns: Annotated[Amount, Meta(description="self host time per forward (ns)")]
    total_host_ns: Annotated[Amount, Meta(description="total host time per forward (ns)")]
    self_host_interval: Annotated[
        TimeInterval | None, Meta(description="of the self host time; null with a single round")
    ] = None
    total_host_interval: Annotated[
        TimeInterval | None, Meta(description="of the total host time; null with a single round")
    ] = None
    profiler_share: Annotated[
        Share | None, Meta(description="estimated part of the self host time that is profiler overhead, 0 to 1")
    ] = None


class OperatorChange(Judged, HasPlace, frozen=True, kw_only=True):
    """An operator's change; the speedup and ``delta_ns`` are those of the host time that ``judged_on`` names."""

    name: Annotated[str, Meta(description="operator name")]
    input_dims: InputDims = None
    module: Module = None
    stack: Stack = None
    baseline: Annotated[OperatorTimes | None, Meta(description="baseline; null if it lacks the operator")]
    candidate: Annotated[OperatorTimes | None, Meta(description="candidate; null if it lacks the operator")]
    total: Annotated[Judged, Meta(description="speedup of the total host time")] = Judged()
    judged_on: Annotated[
        JudgedOn,
        Meta(
            description="the host time that is judged: self; or total, because other operators below it do its work "
            "on the two sides, so that its self times are of different work and its total time includes their rows"
        ),
    ] = "self"
    delta_ns: Annotated[Change, Meta(description="candidate - baseline, the judged host time per forward (ns)")]
    paired_with: Annotated[
        str | None,
        Meta(description="operator that does its work, or a part of it, on the other side; null unless replaced"),
    ] = None
    since: Annotated[str | None, Meta(description="PyTorch version that introduced the operator")] = None
    baseline_names: Annotated[
        list[str],
        Meta(description="its names in the baseline, if torch.compile numbers them and they are compared under one"),
    ] = []
    candidate_names: Annotated[list[str], Meta(description="the same in the candidate")] = []

    def __post_init__(self) -> None:
        """Raise ValueError if neither side has the operator, which only a saved result that was edited can say."""
        if self.baseline is None and self.candidate is None:
            raise ValueError("an operator needs times of the baseline or of the candidate")

    @property
    def judged_ns(self) -> tuple[float | None, float | None]:
        """The judged host time per forward on both sides (ns), None on a side that lacks the operator."""
        before, after = (
            None if side is None else side.total_host_ns if self.judged_on == "total" else side.self_host_ns
            for side in (self.baseline, self.candidate)
        )
        return before, after


class OperatorShare(Record, HasPlace, frozen=True, kw_only=True):
    """An operator's part of the change of the mean forward."""

    name: Annotated[str, Meta(description="operator name")]
    input_dims: InputDims = None
    module: Module = None
    stack: Stack = None
    delta_ns: Annotated[WholeChange, Meta(description="change of its mean self host time per forward (ns)")]


class Attribution(Record, frozen=True, kw_only=True):
    """The change of the mean forward: the operators' parts and the rest add up to it exactly."""

    forward_delta_ns: Annotated[WholeChange, Meta(description="change of the mean forward under the profiler (ns)")]
    baseline_ns: Annotated[Count, Meta(description="the baseline's mean forward, rounded (ns)")] = 0
    operators: Annotated[list[OperatorShare], Meta(description="parts, largest first")]
    outside_operators_ns: Annotated[WholeChange, Meta(description="change of the time outside operators (ns)")]


class CallPath(Record, frozen=True, kw_only=True):
    """How an operator's work was done on one side."""

    path: Annotated[list[str], Meta(description="callees that occur on this side only, outermost first")]
    total_host_ns: Annotated[Amount, Meta(description="total host time of the calls done this way, per forward (ns)")]


class ImplementationChange(Record, frozen=True, kw_only=True):
    """Calls of an operator whose work was done by other operators below it."""

    operator: Annotated[str, Meta(description="operator name")]
    calls: Annotated[Count, Meta(description="calls per forward")]
    baseline: Annotated[CallPath, Meta(description="baseline")]
    candidate: Annotated[CallPath, Meta(description="candidate")]
    speedup: Annotated[Ratio | None, Meta(description="ratio of the total host times, without an interval")]


class Unpaired(Record, frozen=True, kw_only=True):
    """Calls of one side that have no partner on the other, such as those that were fused."""

    name: Annotated[str, Meta(description="operator name")]
    side: Annotated[SideName, Meta(description="the side that has them")]
    calls: Annotated[Count, Meta(description="calls per forward")]
    total_host_ns: Annotated[Amount, Meta(description="total host time per forward (ns)")]


class CallTimes(Record, frozen=True, kw_only=True):
    """Calls of an operator from one place in the call tree."""

    calls: Annotated[Count, Meta(description="calls per forward")]
    total_host_ns: Annotated[Amount, Meta(description="total host time per forward, median (ns)")]


class CallChange(Record, frozen=True, kw_only=True):
    """An operator at one place in the call tree of both sides."""

    name: Annotated[str, Meta(description="operator name")]
    parent: Annotated[int, Meta(description="position of the caller in this list, -1 at the top")]
    baseline: Annotated[CallTimes | None, Meta(description="baseline; null if it lacks the call")]
    candidate: Annotated[CallTimes | None, Meta(description="candidate; null if it lacks the call")]


class Samples(Record, frozen=True, kw_only=True):
    """Every measured wall time of a forward on one side, one list per round."""

    forward_ns: Annotated[list[list[Count]], Meta(description="under the profiler (ns)")]
    latency_ns: Annotated[list[list[Count]], Meta(description="profiler off (ns)")]


class PrimitiveTimes(Record, frozen=True, kw_only=True):
    """What oneDNN executed for a problem on one side, per warm forward."""

    implementations: Annotated[list[str], Meta(description="implementations, the one with the most time first")]
    fpmath: Annotated[str, Meta(description="fpmath mode of the first implementation")]
    calls: Annotated[Amount, Meta(description="executions per forward")]
    exec_ns: Annotated[Amount, Meta(description="execution time per forward (ns)")]


class PrimitiveChange(Record, frozen=True, kw_only=True):
    """One oneDNN problem on both sides; null if a side has no primitive for it."""

    kind: Annotated[str, Meta(description="primitive kind")]
    problem: Annotated[str, Meta(description="problem descriptor as oneDNN logs it")]
    baseline: Annotated[PrimitiveTimes | None, Meta(description="baseline")]
    candidate: Annotated[PrimitiveTimes | None, Meta(description="candidate")]

    @property
    def delta_ns(self) -> float:
        """The change of the execution time per forward, in ns."""
        before, after = (side.exec_ns if side else 0.0 for side in (self.baseline, self.candidate))
        return after - before

    @property
    def changed(self) -> bool:
        """Whether other implementations ran, or none on a side."""
        sides = (self.baseline, self.candidate)
        return None in sides or len({tuple(sorted(side.implementations)) for side in sides if side}) > 1


class PrimitiveSide(Record, frozen=True, kw_only=True):
    """oneDNN on one side, per warm forward of the pass that wrote its log."""

    onednn: Annotated[str | None, Meta(description="oneDNN version")]
    isa: Annotated[str | None, Meta(description="instruction set that oneDNN reports")]
    forward_ns: Annotated[Amount, Meta(description="median forward of that pass (ns)")]
    exec_ns: Annotated[Amount, Meta(description="execution time (ns)")]
    reorder_ns: Annotated[Amount, Meta(description="execution time of reorders (ns)")]
    weights_reorder_ns: Annotated[Amount, Meta(description="execution time of reorders of weights (ns)")]
    create_ns: Annotated[Amount, Meta(description="time to create primitives (ns)")]
    hit_rate: Annotated[Share | None, Meta(description="primitive cache hits / creations in warm forwards, 0 to 1")]
    cold_hit_rate: Annotated[Share | None, Meta(description="the same before the warm forwards, 0 to 1")]


class PrimitivesChange(Record, frozen=True, kw_only=True):
    """oneDNN's primitives on both sides. Writing the log slows that pass: read shares, not latencies."""

    baseline: Annotated[PrimitiveSide, Meta(description="baseline")]
    candidate: Annotated[PrimitiveSide, Meta(description="candidate")]
    problems: Annotated[list[PrimitiveChange], Meta(description="problems, largest change first")]


class FpmathVerdict(Record, frozen=True, kw_only=True):
    """Whether an fpmath mode had an effect, and the evidence."""

    mode: Annotated[str, Meta(description="the fpmath mode")]
    outcome: Annotated[Outcome, Meta(description="what is known of its effect")]
    marked_executions: Annotated[Count | None, Meta(description="executions that oneDNN's log marks with the mode")]
    executions: Annotated[Count | None, Meta(description="all executions in the log")] = None
    reference: Annotated[str | None, Meta(description="path of the FP32 run it was judged against")] = None
    evidence: Annotated[list[str], Meta(description="the evidence in words")]
    outputs: Annotated[OutputsChange | None, Meta(description="outputs compared with the reference")]


class WorkloadChange(Record, frozen=True, kw_only=True):
    """One workload on both sides."""

    name: Annotated[str, Meta(description="workload name")]
    baseline: Annotated[Side, Meta(description="baseline")]
    candidate: Annotated[Side, Meta(description="candidate")]
    paired: Annotated[bool, Meta(description="whether rounds were compared block by block")] = False
    forward: Annotated[ForwardChange, Meta(description="wall time under the profiler")]
    latency: Annotated[LatencyChange | None, Meta(description="wall time, profiler off; null if not measured")]
    resources: Annotated[list[ResourceChange], Meta(description="CPU time and memory, if both sides have them")] = []
    operators: Annotated[list[OperatorChange], Meta(description="operators, largest change first")]
    implementations: Annotated[list[ImplementationChange], Meta(description="operators implemented by others")] = []
    unpaired: Annotated[list[Unpaired], Meta(description="calls without a partner")] = []
    calls: Annotated[list[CallChange], Meta(description="call tree of both sides, callers first")] = []
    attribution: Annotated[Attribution, Meta(description="the change of the mean forward over operators")]
    outputs: Annotated[OutputsChange | None, Meta(description="change of the outputs; null if not kept")]
    primitives: Annotated[PrimitivesChange | None, Meta(description="oneDNN primitives; null without a log")] = None
    fpmath: Annotated[list[FpmathVerdict], Meta(description="verdicts on fpmath modes other than FP32")] = []
    findings: Annotated[list[Finding], Meta(description="what can explain the change, largest time first")] = []
    ruled_out: Annotated[list[RuledOut], Meta(description="possible causes that the evidence speaks against")] = []
    baseline_samples: Annotated[Samples | None, Meta(description="the baseline's wall times")] = None
    candidate_samples: Annotated[Samples | None, Meta(description="the candidate's wall times")] = None

    @property
    def inference(self) -> ForwardChange | LatencyChange:
        """The change that counts for inference: the latency if it was measured, since the profiler adds time."""
        return self.latency or self.forward


class Difference(Record, frozen=True, kw_only=True):
    """A field in which the configurations differ."""

    field: Annotated[str, Meta(description="path of the field in the manifest")]
    baseline: Annotated[str | None, Meta(description="baseline value as text")]
    candidate: Annotated[str | None, Meta(description="candidate value as text")]
    expected: Annotated[bool, Meta(description="true for the variable under test, false for a possible confounder")]
    workload: Annotated[str | None, Meta(description="the workload, if not all of them differ so")] = None


class GateResult(Record, frozen=True, kw_only=True):
    """What became of a rule for a workload."""

    rule: Annotated[str, Meta(description="the rule as given")]
    workload: Annotated[str | None, Meta(description="workload (and row); null for the geometric mean")]
    operator: Annotated[str | None, Meta(description="the operator; null for a rule that is not about one")] = None
    outcome: Annotated[
        GateOutcome,
        Meta(description="failed: the whole interval lies beyond the limit; passed: within it; else inconclusive"),
    ]
    found: Annotated[str, Meta(description="what was measured, in words")]


class Comparison(Record, frozen=True, kw_only=True):
    """What changed from the baseline to the candidate."""

    schema: Annotated[Literal["diff/2"], Meta(description="schema of this document")] = "diff/2"
    baseline: Annotated[Side, Meta(description="baseline")]
    candidate: Annotated[Side, Meta(description="candidate")]
    margin: Annotated[Share, Meta(description="relative change that counts as the same")] = 0.02
    paired: Annotated[bool, Meta(description="whether rounds were compared block by block")] = False
    geomean_speedup: Annotated[Judged, Meta(description="geometric mean of the workloads' speedups")]
    workloads: Annotated[list[WorkloadChange], Meta(description="the workloads that both sides have", min_length=1)]
    differences: Annotated[list[Difference], Meta(description="differences between the configurations")]
    warnings: Annotated[list[str], Meta(description="what to know before relying on the figures")]
    gates: Annotated[list[GateResult], Meta(description="results of the rules given with --fail-if")] = []
