"""One configuration after the other along versions or a setting (schema ``sweep/1``); times in ns."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.findings import Finding, RuledOut
from profkit.comparison.records.outputs import OutputsChange
from profkit.comparison.records.parts import Judged, Latency, Record
from profkit.quantities import Amount, Change, Count, Share, WholeChange


class SweepPoint(Record, frozen=True, kw_only=True):
    """One workload of one configuration."""

    label: Annotated[str, Meta(description="label of the run")]
    path: Annotated[str | None, Meta(description="its folder; null if it was not captured")] = None
    reason: Annotated[str | None, Meta(description="why it was not captured; null if it was")] = None
    wall: Annotated[Latency | None, Meta(description="wall times of its forward, profiler off")] = None
    forward_ns: Annotated[Amount | None, Meta(description="median forward under the profiler (ns)")] = None
    rounds: Annotated[Count, Meta(description="number of rounds (processes)")] = 0
    peak_memory_bytes: Annotated[
        Amount | None, Meta(description="largest memory of a round's process (bytes); null if unknown")
    ] = None
    over_first: Annotated[Judged, Meta(description="speedup over the first configuration")] = Judged()
    outputs: Annotated[
        OutputsChange | None, Meta(description="its outputs compared with the first one's; null if a side kept none")
    ] = None
    operators_ns: Annotated[
        list[Amount], Meta(description="self host time per forward (ns) of each of ``operators``, then of all others")
    ] = []


class OperatorStep(Record, frozen=True, kw_only=True):
    """An operator's part of a step."""

    name: Annotated[str, Meta(description="operator name")]
    delta_ns: Annotated[WholeChange, Meta(description="change of its mean self host time per forward (ns)")]


class SweepStep(Judged, frozen=True, kw_only=True):
    """The change from one captured configuration to the next one."""

    before: Annotated[str, Meta(description="label of the earlier configuration")]
    after: Annotated[str, Meta(description="label of the later configuration")]
    delta_ns: Annotated[Change, Meta(description="later - earlier, median latency (ns)")]
    operators: Annotated[
        list[OperatorStep], Meta(description="largest parts of a step that is shown; empty for the others")
    ] = []
    findings: Annotated[list[Finding], Meta(description="what can explain a step that is shown")] = []
    ruled_out: Annotated[list[RuledOut], Meta(description="possible causes that the evidence speaks against")] = []


class SweepWorkload(Record, frozen=True, kw_only=True):
    """One workload through all configurations."""

    name: Annotated[str, Meta(description="workload name")]
    points: Annotated[list[SweepPoint], Meta(description="the configurations, in order")]
    steps: Annotated[list[SweepStep], Meta(description="the changes between those that were captured, in order")]
    operators: Annotated[list[str], Meta(description="operators with the largest self host time in any of them")] = []

    def __post_init__(self) -> None:
        """Raise ValueError if a configuration lacks the time of an operator."""
        if any(len(point.operators_ns) not in (0, len(self.operators) + 1) for point in self.points):
            raise ValueError("operators_ns needs a value per operator, and one for all others")


class SweepResult(Record, frozen=True, kw_only=True):
    """What changed along versions or a setting, and where."""

    schema: Annotated[Literal["sweep/1"], Meta(description="schema of this document")] = "sweep/1"
    labels: Annotated[list[str], Meta(description="the configurations, in order")]
    margin: Annotated[Share, Meta(description="relative change that counts as the same")] = 0.02
    workloads: Annotated[list[SweepWorkload], Meta(description="the workloads")]
    warnings: Annotated[list[str], Meta(description="what to know before relying on the figures")] = []

    def __post_init__(self) -> None:
        """Raise ValueError if there is no configuration or workload."""
        if not self.labels or not self.workloads:
            raise ValueError("labels and workloads need an entry")
