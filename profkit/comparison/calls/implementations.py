"""Results of an alignment: operators with another implementation, replaced operators, and unpaired calls."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from profkit.comparison.calls.align import MINOR, Alignment, PathChange
from profkit.comparison.calls.renamed import canonical
from profkit.comparison.records.diff import CallPath, ImplementationChange, Unpaired
from profkit.stats.inference import one_row, typical
from profkit.trace.calls import Call, CallTree

_K = TypeVar("_K", bound=Hashable)


def implementations(alignment: Alignment) -> list[ImplementationChange]:
    """Return the operators whose work is done by other callees, per pair of call paths, longest baseline time first."""
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[PathChange]] = defaultdict(list)
    before, after = alignment.baseline, alignment.candidate
    for change in alignment.changes:
        operator = after.calls[change.caller[1]][0]
        groups[operator, _names(before, change.baseline), _names(after, change.candidate)].append(change)
    found = []
    for (operator, left, right), changes in groups.items():
        totals = [_typical_sum(tree, (c.caller[k] for c in changes)) for k, tree in enumerate((before, after))]
        found.append(
            ImplementationChange(
                operator=operator,
                calls=len(changes),
                baseline=CallPath(path=list(left), total_host_ns=totals[0]),
                candidate=CallPath(path=list(right), total_host_ns=totals[1]),
                speedup=totals[0] / totals[1] if min(totals) > 0 else None,
            )
        )
    return sorted(found, key=lambda c: (-c.baseline.total_host_ns, c.operator))


def changed_callers(alignment: Alignment) -> frozenset[Call]:
    """Return the operators, each with the input shapes of the call, whose work is done by other callees."""
    trees = (alignment.baseline, alignment.candidate)
    return frozenset(
        tree.calls[at] for change in alignment.changes for tree, at in zip(trees, change.caller, strict=True)
    )


def moved_callees(alignment: Alignment, key: Callable[[Call], _K]) -> dict[_K, str]:
    """Return the operators a part of whose work another one does on the other side, with the name of that one.

    ``key`` groups calls into operators. An operator counts if at least ``MINOR`` of its self time on a side moved; less
    cannot explain a change of its time.
    """
    trees = (alignment.baseline, alignment.candidate)
    moved: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for change in alignment.changes:
        for positions in _path_partners(change):
            names = [canonical(tree.calls[at][0]) for tree, at in zip(trees, positions, strict=True)]
            for k in (0, 1):
                if positions[k] != change.caller[k] and names[0] != names[1]:
                    moved[k].setdefault(positions[k], trees[1 - k].calls[positions[1 - k]][0])
    found: dict[_K, str] = {}
    for tree, partners in zip(trees, moved, strict=True):
        whole: Counter[_K] = Counter()
        parts: dict[_K, Counter[str]] = defaultdict(Counter)
        for at, call in enumerate(tree.calls):
            ns = max(0, round(tree.median_ns[at] - sum(tree.median_ns[child] for child in tree.children[at])))
            whole[key(call)] += ns
            if at in partners:
                parts[key(call)][partners[at]] += ns
        for operator, by in parts.items():
            if by.total() >= MINOR * whole[operator]:
                found.setdefault(operator, by.most_common(1)[0][0])
    return found


class Replacement(NamedTuple):
    """The operator that most often does the same work on the other side, and the number of calls per forward."""

    by: str
    calls: int


def replacements(alignment: Alignment) -> tuple[Mapping[str, Replacement], Mapping[str, Replacement]]:
    """Return, per side, the operators whose every call has a counterpart on the other side, with that counterpart."""
    trees = (alignment.baseline, alignment.candidate)
    explained: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for position in _partners(alignment):
        for k, other in ((0, 1), (1, 0)):
            explained[k].setdefault(position[k], trees[other].calls[position[other]][0])
    result = []
    for tree, by in zip(trees, explained, strict=True):
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for at, (name, _) in enumerate(tree.calls):
            counts[name][by.get(at, "")] += 1
        whole = {name: c for name, c in counts.items() if "" not in c}
        result.append({name: Replacement(c.most_common(1)[0][0], c.total()) for name, c in whole.items()})
    return result[0], result[1]


def _partners(alignment: Alignment) -> Iterator[tuple[int, int]]:
    """Yield every pair of calls that do the same work."""
    yield from alignment.pairs
    yield from alignment.stand_ins
    for change in alignment.changes:
        yield from _path_partners(change)


def _path_partners(change: PathChange) -> Iterator[tuple[int, int]]:
    """Yield the k-th call of one path with the k-th of the other.

    A shorter path repeats its last call, and an empty path represents the caller.
    """
    paths = [change.baseline or change.caller[:1], change.candidate or change.caller[1:]]
    for rank in range(max(map(len, paths))):
        yield paths[0][min(rank, len(paths[0]) - 1)], paths[1][min(rank, len(paths[1]) - 1)]


def unpaired(alignment: Alignment) -> list[Unpaired]:
    """Return the top-level operators without a partner, per side, longest time first."""
    found = []
    sides: list[tuple[Literal["baseline", "candidate"], CallTree]]
    sides = [("baseline", alignment.baseline), ("candidate", alignment.candidate)]
    for (side, tree), alone in zip(sides, alignment.alone, strict=True):
        names: dict[str, list[int]] = defaultdict(list)
        for position in alone:
            names[tree.calls[position][0]].append(position)
        for name, positions in names.items():
            ns = _typical_sum(tree, positions)
            found.append(Unpaired(name=name, side=side, calls=len(positions), total_host_ns=ns))
    return sorted(found, key=lambda u: (u.side, -u.total_host_ns, u.name))


def _names(tree: CallTree, positions: Iterable[int]) -> tuple[str, ...]:
    return tuple(tree.calls[position][0] for position in positions)


def _typical_sum(tree: CallTree, positions: Iterable[int]) -> float:
    """Return the summed time of some calls per forward (ns), by the estimator of the tables of operators."""
    sums = tree.total_ns[:, list(positions)].sum(axis=1)
    return float(typical(one_row(np.split(sums, tree.round_edges)))[0])
