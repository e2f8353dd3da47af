"""The parts that the results about one run share: ranks side by side, and device work by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from profkit.comparison.records.parts import Record
from profkit.quantities import Amount, Count
from profkit.runs.ranks import RankTimes
from profkit.trace.nature import KernelTime


class Rank(Record, frozen=True, kw_only=True):
    """One rank of a distributed job, or one process of a file."""

    rank: Annotated[int | None, Meta(description="rank in the distributed job; null for a process without one")]
    process: Annotated[str | None, Meta(description="process id; null if several processes had this rank")]
    files: Annotated[list[str], Meta(description="names of its trace files")]
    forwards: Annotated[Count, Meta(description="number of its forwards")]
    forward_ns: Annotated[Amount | None, Meta(description="median wall time of its forwards (ns); null without one")]
    is_slowest: Annotated[bool, Meta(description="whether its median forward is the longest of all")] = False
    operator: Annotated[
        str | None,
        Meta(description="for the slowest: the operator that exceeds the median of all ranks by most; else null"),
    ] = None
    extra_ns: Annotated[
        Amount | None,
        Meta(description="mean self host time of that operator per forward, less the median of all ranks (ns)"),
    ] = None


class Kernel(Record, frozen=True, kw_only=True):
    """Device work of one name."""

    name: Annotated[str, Meta(description="name of the kernel or copy")]
    category: Annotated[str, Meta(description="category, such as kernel or gpu_memcpy")]
    calls: Annotated[Count, Meta(description="how often it ran")]
    device_ns: Annotated[Count, Meta(description="sum of its durations (ns)")]


def ranks(found: Iterable[RankTimes]) -> list[Rank]:
    """Return the records of ranks."""
    return [
        Rank(
            rank=one.rank,
            process=one.process,
            files=list(one.files),
            forwards=one.forwards,
            forward_ns=one.median_ns,
            is_slowest=one.is_slowest,
            operator=one.operator,
            extra_ns=one.extra_ns,
        )
        for one in found
    ]


def kernels(found: Iterable[KernelTime]) -> list[Kernel]:
    """Return the records of device work, that of one name in several traces put together, the longest first."""
    sums: dict[tuple[str, str], list[int]] = {}
    for one in found:
        total = sums.setdefault((one.name, one.category), [0, 0])
        total[0] += one.calls
        total[1] += one.device_ns
    rows = [
        Kernel(name=name, category=category, calls=calls, device_ns=ns)
        for (name, category), (calls, ns) in sums.items()
    ]
    return sorted(rows, key=lambda row: (-row.device_ns, row.name))
