"""What an index of traces holds (schema ``index/1``)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.parts import Record
from profkit.quantities import Amount, Count


class IndexedNow(Record, frozen=True, kw_only=True):
    """What the command that wrote the result added to the index."""

    indexed: Annotated[Count, Meta(description="number of traces that were read")]
    copies: Annotated[Count, Meta(description="number of traces whose content was indexed before")]
    failed: Annotated[Count, Meta(description="number of files that could not be read")]
    unchanged: Annotated[Count, Meta(description="number of files that were known already and not read")]
    bytes: Annotated[Count, Meta(description="size of the files that were read (bytes)")]
    seconds: Annotated[Amount, Meta(description="time it took (s)")]


class IndexEntry(Record, frozen=True, kw_only=True):
    """The rounds of one workload and label."""

    workload: Annotated[str, Meta(description="workload name")]
    label: Annotated[str, Meta(description="label of the configuration")]
    torch: Annotated[str | None, Meta(description="PyTorch version; null if unknown or several")]
    runs: Annotated[Count, Meta(description="number of run folders")]
    rounds: Annotated[Count, Meta(description="number of rounds, each from one trace")]
    hosts: Annotated[Count, Meta(description="number of machines")]
    ranks: Annotated[Count, Meta(description="number of ranks of distributed jobs; 0 without any")]
    first: Annotated[str | None, Meta(description="first day (YYYY-MM-DD); null if unknown")]
    last: Annotated[str | None, Meta(description="last day (YYYY-MM-DD); null if unknown")]
    wall_ns: Annotated[
        Amount | None, Meta(description="median over rounds of the median latency, or of the profiled forward (ns)")
    ]


class IndexFailure(Record, frozen=True, kw_only=True):
    """A file that could not be read."""

    path: Annotated[str, Meta(description="the file")]
    what: Annotated[str, Meta(description="why, and what to do")]


class IndexOverview(Record, frozen=True, kw_only=True):
    """The content of an index."""

    schema: Annotated[Literal["index/1"], Meta(description="schema of this document")] = "index/1"
    index: Annotated[str, Meta(description="folder or URL of the index")]
    now: Annotated[IndexedNow | None, Meta(description="what this command added; null if nothing was asked for")] = None
    traces: Annotated[Count, Meta(description="number of traces")]
    bytes: Annotated[Count, Meta(description="size of the trace files (bytes)")]
    index_bytes: Annotated[Count, Meta(description="size of the index (bytes)")]
    hosts: Annotated[Count, Meta(description="number of machines")]
    rows: Annotated[dict[str, Count], Meta(description="number of rows of each table")]
    days: Annotated[dict[str, Count], Meta(description="number of traces by day")]
    entries: Annotated[list[IndexEntry], Meta(description="the rounds by workload and label")]
    failed: Annotated[Count, Meta(description="number of files that could not be read")]
    failures: Annotated[list[IndexFailure], Meta(description="the first of them")]
