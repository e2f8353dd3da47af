"""Throughput and latency under load (schema ``load/1``); times in ns, throughputs in requests per second."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.parts import Judged, Record, TimeInterval
from profkit.quantities import Amount, Count
from profkit.runs.manifest import Host, Torch
from profkit.runs.setting import Value

Arrivals = Literal["closed", "poisson"]
Status = Literal["measured", "uncertain", "overloaded", "failed", "left out"]
LimitOutcome = Literal["within", "exceeds", "cannot tell"]
Outcome = Literal["shown", "cannot tell", "none"]
QUANTILES = {0.5: "p50", 0.9: "p90", 0.99: "p99"}
"""The quantiles of the latency that a point has, with the names of their fields."""


class Estimate(Record, frozen=True, kw_only=True):
    """A value with its 95% interval: Student's t on the logarithms of the slices."""

    value: Annotated[Amount, Meta(description="geometric mean over slices")]
    low: Annotated[Amount | None, Meta(description="lower bound of the 95% interval; null with a single slice")] = None
    high: Annotated[Amount | None, Meta(description="upper bound of the 95% interval; null with a single slice")] = None


class LoadSlice(Record, frozen=True, kw_only=True):
    """One stretch of time in which one point was measured; the points take turns, round by round."""

    round: Annotated[Count, Meta(description="round of the slice, from 0; slices of one round are compared pairwise")]
    window_ns: Annotated[Count, Meta(description="length (ns)")]
    requests: Annotated[Count, Meta(description="requests that were answered and count")]
    throughput_per_s: Annotated[Amount, Meta(description="answered requests per second, over all processes")]
    mean_ns: Annotated[Amount, Meta(description="mean latency (ns)")]
    p50_ns: Annotated[Amount, Meta(description="median latency (ns)")]
    p90_ns: Annotated[Amount, Meta(description="90th percentile of the latency (ns), of however few requests")]
    p99_ns: Annotated[Amount, Meta(description="99th percentile of the latency (ns), of however few requests")]


class LoadQuantile(Record, frozen=True, kw_only=True):
    """A quantile of the latency: the geometric mean over slices of each slice's quantile."""

    value_ns: Annotated[
        Amount | None, Meta(description="value (ns); null with too few requests, and if the queue grows without bound")
    ] = None
    interval: Annotated[TimeInterval | None, Meta(description="its 95% interval; null with a single slice")] = None
    needed: Annotated[Count, Meta(description="requests that it takes in all: the floor of MLPerf's early stopping")]
    needed_per_slice: Annotated[Count, Meta(description="requests that it takes in each slice, 1 / (1 - q)")]


class LoadPoint(Record, frozen=True, kw_only=True):
    """One level of load: so many processes, and how their requests come."""

    name: Annotated[str, Meta(description="processes × threads, after the rate of open-loop arrivals")]
    arrivals: Annotated[
        Arrivals,
        Meta(
            description="closed: each process is sent its next request when the last one is answered; poisson: "
            "requests arrive at random times, whether or not a process is idle"
        ),
    ]
    processes: Annotated[Count, Meta(description="number of processes, each with a model of its own")]
    threads: Annotated[Count, Meta(description="intra-op threads of each process")]
    rate_per_s: Annotated[Amount | None, Meta(description="arrivals per second; null in a closed loop")] = None
    status: Annotated[
        Status,
        Meta(
            description="uncertain: the queue may grow without bound; overloaded: it does; failed: a process died or "
            "hung; left out: not enough memory"
        ),
    ]
    reason: Annotated[str, Meta(description="what the status rests on, in words; empty if measured")] = ""
    requests: Annotated[Count, Meta(description="requests that were answered and count, in all slices")] = 0
    slices: Annotated[list[LoadSlice], Meta(description="what was measured, slice by slice")] = []
    throughput: Annotated[
        Estimate | None, Meta(description="answered requests per second over all processes; null without a slice")
    ] = None
    mean: Annotated[Estimate | None, Meta(description="mean latency (ns); null without a slice")] = None
    p50: Annotated[LoadQuantile, Meta(description="median latency")]
    p90: Annotated[LoadQuantile, Meta(description="90th percentile of the latency")]
    p99: Annotated[LoadQuantile, Meta(description="99th percentile of the latency")]
    utilisation: Annotated[
        Estimate | None,
        Meta(
            description="rate × mean time of service / processes; from 1 on the queue grows without bound; null in a "
            "closed loop"
        ),
    ] = None
    unserved: Annotated[
        Count, Meta(description="requests not served within one more window after the last arrival of their slice")
    ] = 0
    dispatch_ns: Annotated[
        Amount | None,
        Meta(description="median time from when an idle process could start a request until it did; part of latency"),
    ] = None
    peak_memory_bytes: Annotated[
        Count | None,
        Meta(description="sum of the largest resident sets of the processes (bytes), shared pages counted in each"),
    ] = None
    limit: Annotated[
        LimitOutcome | None,
        Meta(description="whether the whole interval of the limited quantile is below the limit; null without a limit"),
    ] = None
    gain: Annotated[
        Judged | None,
        Meta(description="throughput over that of the closed-loop point with the next fewer processes; null if none"),
    ] = None


class LatencyLimit(Record, frozen=True, kw_only=True):
    """A limit for a quantile of the latency."""

    text: Annotated[str, Meta(description="as given")]
    quantile: Annotated[Literal["p50", "p90", "p99"], Meta(description="the quantile")]
    limit_ns: Annotated[Amount, Meta(description="the limit (ns)")]


class LoadAnswer(Record, frozen=True, kw_only=True):
    """What the points of one kind of arrivals say; points by name."""

    arrivals: Annotated[Arrivals, Meta(description="kind of arrivals")]
    outcome: Annotated[
        Outcome,
        Meta(description="whether the best point is shown to be within the limit; shown, too, if there is no limit"),
    ]
    best: Annotated[
        str | None, Meta(description="the point with the highest throughput within the limit; null unless shown")
    ] = None
    not_lower: Annotated[
        list[str], Meta(description="points within the limit whose throughput is not shown to be lower than the best's")
    ] = []
    undecided: Annotated[
        list[str], Meta(description="points of which the data cannot tell whether they are within the limit")
    ] = []
    knee: Annotated[
        str | None,
        Meta(description="the point with the largest throughput / mean latency (Kleinrock's power); null without one"),
    ] = None
    knee_not_lower: Annotated[
        list[str], Meta(description="points whose power is not shown to be lower than that of the knee")
    ] = []


class Load(Record, frozen=True, kw_only=True):
    """A load test of one workload in one configuration."""

    schema: Annotated[Literal["load/1"], Meta(description="schema of this document")] = "load/1"
    workload: Annotated[str, Meta(description="name of the workload")]
    label: Annotated[str, Meta(description="label of the configuration, as a capture's run would have")]
    batch: Annotated[Count, Meta(description="samples per request")]
    settings: Annotated[dict[str, Value], Meta(description="the settings of the processes, threads per process aside")]
    environment: Annotated[dict[str, str], Meta(description="environment variables that can change what is measured")]
    torch: Annotated[Torch | None, Meta(description="PyTorch in the processes; null if none got ready")] = None
    host: Annotated[Host, Meta(description="the machine")]
    tool: Annotated[str, Meta(description="version of profkit")]
    cores: Annotated[Count, Meta(description="processors that the processes may use")]
    duration_s: Annotated[Amount, Meta(description="time that each point was to be measured for, all slices (s)")]
    rounds: Annotated[Count, Meta(description="slices that each point was to have")]
    seed: Annotated[Count, Meta(description="seed of the schedules of arrivals")]
    latency_limit: Annotated[LatencyLimit | None, Meta(description="the limit for the latency; null if none")] = None
    memory_allows: Annotated[
        Count | None, Meta(description="processes that memory allows, by what the first one used; null if unknown")
    ] = None
    points: Annotated[list[LoadPoint], Meta(description="closed-loop points by processes, then open-loop ones by rate")]
    answers: Annotated[list[LoadAnswer], Meta(description="what the points say, per kind of arrivals")]
    warnings: Annotated[list[str], Meta(description="what to know before relying on the figures")] = []
    complete: Annotated[
        bool, Meta(description="false if it was interrupted: points may have fewer slices, or be missing")
    ]
