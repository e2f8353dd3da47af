"""What oneDNN did, summed over a log: executions, reorders, the primitive cache; per operator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from profkit.arrays import Mask
from profkit.onednn.grammar import weights_of
from profkit.onednn.join import Joined
from profkit.onednn.log import Log
from profkit.onednn.records import Phase, PrimitiveUse, RepeatedReorder
from profkit.trace.spans import sums


class Totals:
    """The chosen records of a log, summed by primitive."""

    def __init__(self, log: Log, chosen: Mask) -> None:
        self.log = log
        which, size = log.primitive[chosen], len(log.primitives)
        self.count = np.bincount(which, minlength=size)
        self.ns = sums(which, log.duration_ns[chosen], size)

    def over(self, numbers: Iterable[int]) -> dict[str, int]:
        """Sum calls and times over some primitives."""
        found = dict.fromkeys(("calls", "exec_ns", "cache_hits", "cache_misses", "create_ns"), 0)
        for number in numbers:
            primitive = self.log.primitives[number]
            count, ns = int(self.count[number]), int(self.ns[number])
            if primitive.operation == "exec":
                found["calls"] += count
                found["exec_ns"] += ns
            else:
                found["cache_hits" if primitive.cached else "cache_misses"] += count
                found["create_ns"] += ns
        return found


def summed(log: Log) -> list[bool]:
    """Return for each primitive of ``log`` whether its records are summed, so that no time is counted twice.

    Nested records are part of others. Partitions of the graph API are left out because the primitives in them are
    summed, unless the log has no execution of a primitive.
    """
    has_primitives = any(p.operation == "exec" and not p.is_graph for p in log.primitives)
    return [not p.is_nested and not (p.is_graph and has_primitives) for p in log.primitives]


def phase(log: Log, chosen: Mask) -> Phase:
    """Sum one part of a log, each time once."""
    single = [number for number, counts in enumerate(summed(log)) if counts]
    reorders = [number for number in single if log.primitives[number].is_reorder]
    weights = _weights_reorders(log)
    totals = Totals(log, chosen)
    whole, moved, of_weights = (totals.over(numbers) for numbers in (single, reorders, weights))
    return Phase(
        calls=whole["calls"],
        exec_ns=whole["exec_ns"],
        reorders=moved["calls"],
        reorder_ns=moved["exec_ns"],
        weights_reorders=of_weights["calls"],
        weights_reorder_ns=of_weights["exec_ns"],
        cache_hits=whole["cache_hits"],
        cache_misses=whole["cache_misses"],
        create_ns=whole["create_ns"],
    )


def _weights_reorders(log: Log) -> list[int]:
    """Return the reorders into the layout, and over the dimensions, of some primitive's weights."""
    weights = {weights_of(primitive) for primitive in log.primitives}
    targets = [(p.problem, p.layouts.rpartition("dst:")[2]) if p.is_reorder else None for p in log.primitives]
    return [n for n, target in enumerate(targets) if target is not None and target in weights]


def repeated_reorders(joined: Joined) -> list[RepeatedReorder]:
    """Return the weights that every warm forward reorders, most time first; they could be reordered once."""
    log, count = joined.log, len(joined.forwards)
    found = []
    for number in _weights_reorders(log):
        mask = joined.is_warm & (log.primitive == number)
        primitive = log.primitives[number]
        if primitive.operation == "exec" and count and len(np.unique(joined.forward[mask])) == count:
            found.append(
                RepeatedReorder(
                    problem=primitive.problem,
                    implementation=primitive.implementation,
                    calls=float(mask.sum()) / count,
                    exec_ns=float(log.duration_ns[mask].sum()) / count,
                )
            )
    return sorted(found, key=lambda reorder: -reorder.exec_ns)


def primitives_by_operator(joined: Joined) -> Mapping[str, Sequence[PrimitiveUse]]:
    """Return what ran in each operator, by name, per traced forward, most time first."""
    log, count, counts = joined.log, len(joined.forwards), summed(joined.log)
    calls: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    names = joined.operator_names()
    for row in np.flatnonzero(joined.operator >= 0).tolist():
        p = log.primitives[log.primitive[row]]
        if p.operation == "exec" and counts[log.primitive[row]]:
            sums = calls[names[row] or "", p.kind, p.implementation, p.fpmath]
            sums[0] += 1
            sums[1] += int(log.duration_ns[row])
    found: dict[str, list[PrimitiveUse]] = defaultdict(list)
    for (name, kind, implementation, fpmath), (times, ns) in sorted(calls.items(), key=lambda item: -item[1][1]):
        use = PrimitiveUse(
            kind=kind, implementation=implementation, fpmath=fpmath, calls=times / count, exec_ns=ns / count
        )
        found[name].append(use)
    return found
