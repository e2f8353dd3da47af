"""The oneDNN primitives of a run or of a log alone (schema ``primitives/1``)."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from profkit.arrays import Mask
from profkit.comparison.fpmath import judge_fpmath
from profkit.comparison.records.diff import FpmathVerdict
from profkit.comparison.records.parts import Record
from profkit.onednn.grammar import Primitive
from profkit.onednn.log import Log
from profkit.onednn.records import Phase, RepeatedReorder
from profkit.onednn.summary import Totals, phase, repeated_reorders
from profkit.quantities import Count
from profkit.runs.contents import RunContents

PrimitiveKey = Literal["kind", "implementation", "problem"]
"""The property by which the rows of primitives are grouped."""


class PrimitiveRow(Record, frozen=True, kw_only=True):
    """Executions and creations of one primitive; a field that the rows are not grouped by is null."""

    kind: Annotated[
        str,
        Meta(description="primitive kind; starts with graph for a partition, whose primitives have their own rows"),
    ]
    implementation: Annotated[
        str | None, Meta(description="implementation; undef if the log names none, as for gemm_api")
    ]
    fpmath: Annotated[str | None, Meta(description="fpmath mode")]
    data_types: Annotated[str | None, Meta(description="data types of the arguments")]
    problem: Annotated[
        str | None,
        Meta(description="problem descriptor as oneDNN logs it, after the direction if it is a backward one"),
    ]
    post_ops: Annotated[str | None, Meta(description="fused operations")] = None
    calls: Annotated[Count, Meta(description="number of executions")]
    exec_ns: Annotated[Count, Meta(description="execution time (ns)")]
    cache_hits: Annotated[Count, Meta(description="number of creations that a cache served")]
    cache_misses: Annotated[Count, Meta(description="number of other creations")]
    create_ns: Annotated[
        Count, Meta(description="creation time (ns); a primitive that needs another one includes that one's")
    ]


class MessageRow(Record, frozen=True, kw_only=True):
    """A message in the log; it is no record of a primitive."""

    operation: Annotated[
        str,
        Meta(
            description="what the message is about: create:dispatch (an implementation was not chosen), create:check "
            "or exec:check (arguments), error, ..."
        ),
    ]
    kind: Annotated[str, Meta(description="primitive kind or part of oneDNN; empty if the message names none")]
    implementation: Annotated[str, Meta(description="implementation; empty if the message names none")]
    text: Annotated[str, Meta(description="text, for create:dispatch the reason; without the place in oneDNN's source")]
    count: Annotated[Count, Meta(description="number of times it was logged")]


class PrimitivesView(Record, frozen=True, kw_only=True):
    """The primitives of a log, by execution time."""

    schema: Annotated[Literal["primitives/1"], Meta(description="schema of this document")] = "primitives/1"
    source: Annotated[str, Meta(description="path of the run or log")]
    onednn: Annotated[str | None, Meta(description="oneDNN version")]
    isa: Annotated[str | None, Meta(description="instruction set reported by oneDNN")]
    threads: Annotated[Count | None, Meta(description="number of threads reported by oneDNN")]
    skipped_lines: Annotated[Count, Meta(description="number of log records that could not be read")]
    message_lines: Annotated[Count, Meta(description="number of log lines that are messages, not records")] = 0
    warm: Annotated[bool, Meta(description="whether the rows cover the traced forwards only")] = False
    mode: Annotated[str | None, Meta(description="mode of the run (eager, frozen, ...)")] = None
    forwards: Annotated[Count | None, Meta(description="number of traced forwards; null for a log alone")] = None
    forward_ns: Annotated[list[Count], Meta(description="wall times of the traced forwards (ns)")] = []
    matched: Annotated[Count | None, Meta(description="warm records matched to an operator of the trace")] = None
    warm_records: Annotated[Count | None, Meta(description="records in the traced forwards")] = None
    cold_phase: Annotated[Phase | None, Meta(description="sums before the traced forwards")] = None
    warm_phase: Annotated[Phase | None, Meta(description="sums in the traced forwards")] = None
    repeated_reorders: Annotated[
        list[RepeatedReorder], Meta(description="weights that every warm forward reorders, longest time first")
    ] = []
    fpmath: Annotated[FpmathVerdict | None, Meta(description="verdict on the run's fpmath mode; null in FP32")] = None
    primitives: Annotated[list[PrimitiveRow], Meta(description="the rows, longest time first")]
    messages: Annotated[
        list[MessageRow], Meta(description="the messages of the whole log, by operation, the most frequent first")
    ] = []


def view_log(log: Log, by: PrimitiveKey = "problem") -> PrimitivesView:
    """Return the primitives of a whole log."""
    everything = np.ones(len(log), dtype=bool)
    return PrimitivesView(
        source=log.source,
        onednn=log.version,
        isa=log.isa,
        threads=log.threads,
        skipped_lines=log.skipped,
        message_lines=sum(log.messages.values()),
        primitives=_rows(log, everything, by),
        messages=_messages(log),
    )


def view_primitives(contents: RunContents, by: PrimitiveKey = "problem", *, warm: bool = False) -> PrimitivesView:
    """Return the primitives of a run: of the whole log, or with ``warm`` of the traced forwards only.

    Raises InputError if the run has no oneDNN log or it cannot be read.
    """
    joined, run, data = contents.require_primitives(), contents.run, contents.read()
    log, is_warm = joined.log, joined.is_warm
    chosen = is_warm if warm else np.ones(len(log), dtype=bool)
    return msgspec.structs.replace(
        view_log(log, by),
        source=str(run.path),
        mode=run.manifest.settings.mode if run.manifest is not None else None,
        warm=warm,
        forwards=len(joined.forwards),
        forward_ns=[int(ns) for ns in joined.forwards.wall_ns],
        matched=int((joined.operator >= 0).sum()),
        warm_records=int(is_warm.sum()),
        cold_phase=phase(log, ~is_warm),
        warm_phase=phase(log, is_warm),
        repeated_reorders=repeated_reorders(joined),
        fpmath=judge_fpmath(data.reference, data),
        primitives=_rows(log, chosen, by),
    )


def _rows(log: Log, chosen: Mask, by: PrimitiveKey) -> list[PrimitiveRow]:
    groups: dict[_RowKey, list[int]] = defaultdict(list)
    for number, primitive in enumerate(log.primitives):
        groups[_key(primitive, by)].append(number)
    totals = Totals(log, chosen)
    rows = []
    for key, numbers in groups.items():
        sums = totals.over(numbers)
        if sums["calls"] or sums["cache_hits"] or sums["cache_misses"]:
            kind, implementation, fpmath, data_types, problem, post_ops = key
            rows.append(
                PrimitiveRow(
                    kind=kind,
                    implementation=implementation,
                    fpmath=fpmath,
                    data_types=data_types,
                    problem=problem,
                    post_ops=post_ops,
                    **sums,
                )
            )
    return sorted(rows, key=lambda row: (-row.exec_ns, -row.create_ns, row.kind, row.problem or ""))


def _messages(log: Log) -> list[MessageRow]:
    rows = [MessageRow(**message._asdict(), count=count) for message, count in log.messages.items()]
    return sorted(rows, key=lambda row: (row.operation, -row.count, row.kind, row.implementation, row.text))


_RowKey = tuple[str, str | None, str | None, str | None, str | None, str | None]


def _key(p: Primitive, by: PrimitiveKey) -> _RowKey:
    if by == "kind":
        return (p.kind, None, None, None, None, None)
    if by == "implementation":
        return (p.kind, p.implementation, p.fpmath, p.data_types, None, None)
    return (p.kind, p.implementation, p.fpmath, p.data_types, p.problem, p.post_ops)
