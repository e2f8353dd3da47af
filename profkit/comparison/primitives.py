"""Compares the oneDNN primitives of two runs: the implementations of each problem, reorders, and the cache."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from profkit.comparison.records.diff import PrimitiveChange, PrimitivesChange, PrimitiveSide, PrimitiveTimes
from profkit.onednn.join import Joined
from profkit.onednn.records import Phase
from profkit.onednn.summary import phase, summed
from profkit.stats.quantiles import median

Problem = tuple[str, str]
"""A primitive's kind and its problem."""


def compare_primitives(before: Joined | None, after: Joined | None) -> PrimitivesChange | None:
    """Compare the primitives of two sides' warm forwards; None if a side has no log."""
    if before is None or after is None:
        return None
    left, right = _by_problem(before), _by_problem(after)
    changes = [
        PrimitiveChange(
            kind=kind,
            problem=problem,
            baseline=_times(left.get((kind, problem)), before),
            candidate=_times(right.get((kind, problem)), after),
        )
        for kind, problem in dict.fromkeys([*left, *right])
    ]
    return PrimitivesChange(
        baseline=_side(before),
        candidate=_side(after),
        problems=sorted(changes, key=lambda c: (-abs(c.delta_ns), c.kind, c.problem)),
    )


class _Use(msgspec.Struct):
    """The executions of one problem, and their time in ns per (implementation, fpmath mode)."""

    calls: int = 0
    ns: int = 0
    ns_by_implementation: dict[tuple[str, str], int] = msgspec.field(default_factory=lambda: defaultdict(int))


def _by_problem(joined: Joined) -> Mapping[Problem, _Use]:
    log = joined.log
    found: dict[Problem, _Use] = defaultdict(_Use)
    for number, (p, counts) in enumerate(zip(log.primitives, summed(log), strict=True)):
        mask = joined.is_warm & (log.primitive == number)
        if p.operation == "exec" and counts and mask.any():
            # some oneDNN versions log pooling and eltwise as pooling_v2 and eltwise_v2
            use = found[p.kind.removesuffix("_v2"), p.problem]
            use.calls += int(mask.sum())
            use.ns += int(log.duration_ns[mask].sum())
            use.ns_by_implementation[p.implementation, p.fpmath] += int(log.duration_ns[mask].sum())
    return found


def _times(use: _Use | None, joined: Joined) -> PrimitiveTimes | None:
    if use is None:
        return None
    count = len(joined.forwards)
    names = sorted(use.ns_by_implementation, key=lambda key: -use.ns_by_implementation[key])
    return PrimitiveTimes(
        implementations=list(dict.fromkeys(name for name, _ in names)),
        fpmath=names[0][1],
        calls=use.calls / count,
        exec_ns=use.ns / count,
    )


def _side(joined: Joined) -> PrimitiveSide:
    log, count = joined.log, max(1, len(joined.forwards))
    cold, warm = phase(log, ~joined.is_warm), phase(log, joined.is_warm)
    return PrimitiveSide(
        onednn=log.version,
        isa=log.isa,
        exec_ns=warm.exec_ns / count,
        reorder_ns=warm.reorder_ns / count,
        weights_reorder_ns=warm.weights_reorder_ns / count,
        create_ns=warm.create_ns / count,
        hit_rate=_hit_rate(warm),
        cold_hit_rate=_hit_rate(cold),
        forward_ns=float(median(joined.forwards.wall_ns)) if len(joined.forwards) else 0.0,
    )


def _hit_rate(part: Phase) -> float | None:
    created = part.cache_hits + part.cache_misses
    return part.cache_hits / created if created else None
