"""Many runs side by side (schema ``compare/2``); wall times in ns."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.findings import Finding, RuledOut
from profkit.comparison.records.outputs import OutputsChange
from profkit.comparison.records.parts import Judged, Latency, Record
from profkit.quantities import Amount, Count, Share

WallKind = Literal["latency", "profiled"]


class Entry(Judged, frozen=True, kw_only=True):
    """One workload of one run, and its speedup over the baseline's."""

    workload: Annotated[str, Meta(description="workload name")]
    wall: Annotated[Latency, Meta(description="wall times of its forward")]
    rounds: Annotated[Count, Meta(description="number of rounds (processes)")]
    cpu_ns: Annotated[Amount | None, Meta(description="CPU time of all threads per forward (ns); null if unknown")] = (
        None
    )
    peak_memory_bytes: Annotated[
        Amount | None, Meta(description="largest memory of a round's process (bytes); null if unknown")
    ] = None
    outputs: Annotated[
        OutputsChange | None,
        Meta(description="its outputs compared with the baseline's; null for the baseline, and if a side kept none"),
    ] = None


class RunOverview(Record, frozen=True, kw_only=True):
    """One run."""

    label: Annotated[str, Meta(description="label")]
    paths: Annotated[list[str], Meta(description="its folders")]
    torch: Annotated[str | None, Meta(description="PyTorch version")]
    fpmath: Annotated[str | None, Meta(description="oneDNN fpmath mode")]
    mode: Annotated[str | None, Meta(description="how the model runs")]
    entries: Annotated[list[Entry], Meta(description="its workloads")]
    geomean_speedup: Annotated[Judged, Meta(description="geometric mean of its speedups over the baseline")]
    left_out: Annotated[list[str], Meta(description="workloads not in its geometric mean because a side lacks them")]


class RunFindings(Record, frozen=True, kw_only=True):
    """What can explain the change of one workload from the baseline to one run."""

    label: Annotated[str, Meta(description="label of the run")]
    workload: Annotated[str, Meta(description="workload name")]
    findings: Annotated[list[Finding], Meta(description="what can explain the change, largest time first")]
    ruled_out: Annotated[list[RuledOut], Meta(description="possible causes that the evidence speaks against")]


class Overview(Record, frozen=True, kw_only=True):
    """Every run relative to the baseline."""

    schema: Annotated[Literal["compare/2"], Meta(description="schema of this document")] = "compare/2"
    baseline: Annotated[str, Meta(description="label of the baseline")]
    margin: Annotated[Share, Meta(description="relative change that counts as the same")] = 0.02
    workloads: Annotated[list[str], Meta(description="all workloads")]
    walls: Annotated[
        dict[str, WallKind], Meta(description="per workload: latency, or profiled if a run has no latency")
    ]
    runs: Annotated[list[RunOverview], Meta(min_length=1, description="the runs, baseline first")]
    fastest: Annotated[
        list[str],
        Meta(description="the run with the largest mean speedup, then those not shown to be slower than it"),
    ]
    findings: Annotated[
        list[RunFindings],
        Meta(
            description="per workload, of the first of the fastest relative to the baseline; if that is the baseline, "
            "of the slowest that is shown to be slower"
        ),
    ] = []
    warnings: Annotated[list[str], Meta(description="what to know before relying on the figures")]
