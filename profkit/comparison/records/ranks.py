"""Ranks of distributed jobs side by side (schema ``ranks/1``); times in ns."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.parts import Record
from profkit.quantities import Amount, Change, Count, Ratio


class RankEntry(Record, frozen=True, kw_only=True):
    """One rank of a job."""

    rank: Annotated[Count, Meta(description="rank in the job")]
    host: Annotated[str | None, Meta(description="machine; null if unknown or several")]
    traces: Annotated[Count, Meta(description="number of its traces")]
    wall_ns: Annotated[Amount, Meta(description="geometric mean over its traces of their median forward (ns)")]


class RankJob(Record, frozen=True, kw_only=True):
    """The ranks of one job: the traces of one folder that name ranks."""

    run: Annotated[str, Meta(description="folder of the traces")]
    workload: Annotated[str, Meta(description="workload name")]
    label: Annotated[str, Meta(description="label of the configuration")]
    date: Annotated[str | None, Meta(description="first day (YYYY-MM-DD); null if unknown")]
    world_size: Annotated[Count | None, Meta(description="number of ranks that the traces name; null if they do not")]
    ranks: Annotated[list[RankEntry], Meta(description="the ranks of which there are traces, in order")]
    spread: Annotated[Ratio, Meta(description="slowest / median rank")]
    slowest: Annotated[Count, Meta(description="the slowest rank")]
    operator: Annotated[
        str | None, Meta(description="operator by which it exceeds the median of the ranks most; null if there is none")
    ] = None
    extra_ns: Annotated[
        Change | None,
        Meta(description="self host time of that operator per forward, less the median of the ranks (ns)"),
    ] = None


class Straggler(Record, frozen=True, kw_only=True):
    """A machine that had the slowest rank of some jobs."""

    host: Annotated[str, Meta(description="machine")]
    jobs: Annotated[Count, Meta(description="number of jobs that it took part in")]
    slowest: Annotated[Count, Meta(description="number of these in which it had the slowest rank")]


class RanksResult(Record, frozen=True, kw_only=True):
    """The distributed jobs of an index, the largest spread first."""

    schema: Annotated[Literal["ranks/1"], Meta(description="schema of this document")] = "ranks/1"
    index: Annotated[str, Meta(description="folder or URL of the index")]
    jobs: Annotated[list[RankJob], Meta(description="the jobs with two ranks or more")]
    stragglers: Annotated[list[Straggler], Meta(description="machines, by how often they were the slowest")] = []
