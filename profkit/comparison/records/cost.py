"""What inference costs on each machine (schema ``cost/1``); times in ns, money in US dollars."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.many import WallKind
from profkit.comparison.records.parts import Latency, Record, Verdict
from profkit.quantities import Amount, Count, Magnitude, Ratio, Share

CostVerdict = Literal["cheaper", "more expensive", "the same", "cannot tell"]
PriceOrigin = Literal["--price", "--prices", "manifest", "profkit"]
"""Who gave a price: an option, a price file, the run's manifest, or the table that comes with profkit."""


class Price(Record, frozen=True, kw_only=True):
    """What a machine costs, and where the figure is from."""

    usd_per_hour: Annotated[Ratio, Meta(description="US dollars per hour")]
    origin: Annotated[
        PriceOrigin, Meta(description="who gave it: an option, a price file, the manifest, or profkit's own table")
    ]
    source: Annotated[str, Meta(description="source of the figure; empty if unknown")] = ""
    date: Annotated[str | None, Meta(description="day on which it was noted (YYYY-MM-DD); null if unknown")] = None
    verified: Annotated[
        bool, Meta(description="false: the figure was not checked against the source that sets the price")
    ] = True


class Throughput(Record, frozen=True, kw_only=True):
    """Inferences per second, and their 95% interval."""

    per_second: Annotated[Amount | None, Meta(description="inferences per second; null if a forward took no time")]
    low: Annotated[Amount | None, Meta(description="lower bound of the 95% interval; null with one round")] = None
    high: Annotated[Amount | None, Meta(description="upper bound of the 95% interval; null with one round")] = None


class CostPerMillion(Record, frozen=True, kw_only=True):
    """The cost of a million inferences, and its 95% interval; the price has no uncertainty."""

    usd: Annotated[Magnitude | None, Meta(description="US dollars per million inferences; null without a throughput")]
    low: Annotated[Magnitude | None, Meta(description="lower bound of the 95% interval; null with one round")] = None
    high: Annotated[Magnitude | None, Meta(description="upper bound of the 95% interval; null with one round")] = None


class Relative(Record, frozen=True, kw_only=True):
    """A quantity relative to the baseline's: below 1 it is less. It is the inverse of the judged ratio."""

    relative: Annotated[Ratio | None, Meta(description="this run / baseline; null if there is no ratio")] = None
    low: Annotated[Magnitude | None, Meta(description="lower bound of the 95% interval; null with one round")] = None
    high: Annotated[Ratio | None, Meta(description="upper bound of the 95% interval; null with one round")] = None
    p_value: Annotated[Share | None, Meta(description="Student's t test that both are equal, two-sided")] = None
    q_value: Annotated[
        Share | None, Meta(description="p value after false-discovery control over the table; the verdict goes by it")
    ] = None
    rounds_needed: Annotated[
        Count | None,
        Meta(description="estimate of how many more rounds per side would decide; null if decided or not estimable"),
    ] = None


class RelativeCost(Relative, frozen=True, kw_only=True):
    """A cost relative to the baseline's."""

    verdict: Annotated[
        CostVerdict | None,
        Meta(description="what is shown beyond noise; the same: the interval is within the margin; null: baseline"),
    ] = None


class RelativeTime(Relative, frozen=True, kw_only=True):
    """A time relative to the baseline's."""

    verdict: Annotated[Verdict | None, Meta(description="what is shown beyond noise; null for the baseline")] = None


class CostEntry(Record, frozen=True, kw_only=True):
    """One workload of one run."""

    workload: Annotated[str, Meta(description="workload name")]
    wall: Annotated[Latency, Meta(description="wall times of its forward")]
    rounds: Annotated[Count, Meta(description="number of rounds (processes)")]
    batch: Annotated[Count, Meta(description="inferences per forward (batch size)")]
    throughput: Annotated[Throughput, Meta(description="batch / median wall time: one request at a time")]
    amount: Annotated[CostPerMillion, Meta(description="cost per million inferences: price / throughput")]
    cost: Annotated[RelativeCost, Meta(description="cost per million inferences relative to the baseline's")]
    p90: Annotated[
        RelativeTime | None, Meta(description="90th percentile relative to the baseline's; null with too few forwards")
    ] = None


class RunCost(Record, frozen=True, kw_only=True):
    """One run and the machine that it was captured on."""

    label: Annotated[str, Meta(description="label; with the machine if runs of several machines have one label")]
    paths: Annotated[list[str], Meta(description="its folders")]
    instance_type: Annotated[str | None, Meta(description="instance type of its machine; null if unknown")]
    price: Annotated[Price, Meta(description="what the machine costs")]
    entries: Annotated[list[CostEntry], Meta(description="its workloads")]
    mean: Annotated[RelativeCost, Meta(description="geometric mean of its relative costs over the shared workloads")]


class PublishedCost(Record, frozen=True, kw_only=True):
    """What Amazon SageMaker Inference Recommender published for one endpoint; profkit measured none of it."""

    name: Annotated[str, Meta(description="instance type, or serverless with its memory")]
    instances: Annotated[Count | None, Meta(description="number of instances of the endpoint; null if unknown")] = None
    usd_per_hour: Annotated[Magnitude | None, Meta(description="its CostPerHour (US dollars); null if unknown")] = None
    per_second: Annotated[
        Magnitude | None, Meta(description="its MaxInvocations, requests per second at maximum load; null if unknown")
    ] = None
    latency_ns: Annotated[
        Magnitude | None, Meta(description="its ModelLatency at maximum load (ns); null if unknown")
    ] = None
    usd_per_million: Annotated[
        Magnitude | None, Meta(description="its CostPerInference times a million (US dollars); null if unknown")
    ] = None
    relative: Annotated[
        Magnitude | None, Meta(description="usd_per_million / the baseline's; no interval, no verdict; null if unknown")
    ] = None


class CostReport(Record, frozen=True, kw_only=True):
    """What a million inferences cost on each machine, relative to the baseline."""

    schema: Annotated[Literal["cost/1"], Meta(description="schema of this document")] = "cost/1"
    baseline: Annotated[str, Meta(description="label of the baseline")]
    margin: Annotated[Share, Meta(description="relative change that counts as the same")]
    workloads: Annotated[list[str], Meta(description="all workloads")]
    shared: Annotated[list[str], Meta(description="workloads that all runs have: those of the geometric mean")]
    walls: Annotated[
        dict[str, WallKind], Meta(description="per workload: latency, or profiled if a run has no latency")
    ]
    runs: Annotated[list[RunCost], Meta(description="the runs, baseline first")]
    p90_missing: Annotated[
        str | None, Meta(description="why a run has no 90th percentile: too few forwards; null if all have one")
    ] = None
    published: Annotated[list[PublishedCost], Meta(description="entries of a recommender's file; empty without one")]
    cheapest: Annotated[
        list[str],
        Meta(description="the run with the lowest mean cost, then those not shown to be more expensive than it"),
    ]
    warnings: Annotated[list[str], Meta(description="what to know before relying on the figures")]
