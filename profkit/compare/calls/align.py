"""Which operator of one side is which of the other: two call trees, call by call.

Callers are aligned before what they call, siblings in their order, by the heaviest common subsequence: the same
operator over the same input shapes weighs most, then the same operator. What is left pairs with its like in another
place among the siblings. At the top, where a fused or compiled side has no like, another operator over the same
tensors in the same gap stands in, and one that the other side runs without its wrapper is found inside it. An
operator that PyTorch renamed is the same operator; one that only runs others (TorchScript's ``forward``, a compiled
region) is looked through.

The cost is the product of the lengths of two lists of siblings, in rows of NumPy; what begins or ends alike is free.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from profkit.arrays import Ids
from profkit.compare.calls.renamed import canonical, is_transparent
from profkit.trace.calls import Call, CallTree

SAME_CALL = 8  # weight of a pair of the same operator over the same shapes,
SAME_OPERATOR = 7  # and over others: two such pairs are always worth more than one of the former
WRAPPED = 2  # weight of a pair of which one is called inside the other over the same tensors,
SAME_TENSORS = 1  # and of a pair of operators that have nothing but their tensors in common
CARRIES = 0.5  # of a caller's time: a call that takes as much is where its work is done
MATTERS = 0.2  # of a caller's time: a call that takes less makes no other implementation
KIN = 1 << 18  # pairs of calls without a partner that are looked at one by one
CELLS = 1 << 24  # of the table for two lists of siblings; longer ones are aligned piece by piece
_NO_TENSOR = re.compile(r"(, )?\[\](, )?")
_TOP = (-1, -1)

Pair = tuple[int, int]
"""A position in the baseline's tree and one in the candidate's."""
Positions = Sequence[int]


@dataclass(frozen=True, slots=True)
class Change:
    """A pair of calls of one operator, the ``caller``, whose work goes another way below it.

    ``baseline`` and ``candidate`` are the calls that carry the work there, outermost first; one may be empty, where
    the caller does the work itself.
    """

    caller: Pair
    baseline: tuple[int, ...]
    candidate: tuple[int, ...]


@dataclass(frozen=True)
class Alignment:
    """The ``pairs`` of calls of the same operator; ``stand_ins`` pair different ones that do the same work.

    ``alone`` holds, per side, the calls at the top that have no partner.
    """

    baseline: CallTree
    candidate: CallTree
    pairs: list[Pair]
    stand_ins: list[Pair]
    changes: list[Change]
    alone: tuple[list[int], list[int]]


def align(baseline: CallTree, candidate: CallTree) -> Alignment:
    """Align two call trees."""
    trees = (baseline, candidate)
    found = Alignment(baseline, candidate, [], [], [], ([], []))
    waiting = [_TOP]
    while waiting:
        caller = waiting.pop()
        sides = [_visible(tree, at) for tree, at in zip(trees, caller, strict=True)]
        calls = [_comparable(tree, side) for tree, side in zip(trees, sides, strict=True)]
        ordered = _align_siblings(calls[0], calls[1])
        pairs = [(sides[0][i], sides[1][j]) for i, j in [*ordered, *_moved(calls[0], calls[1], ordered)]]
        if caller == _TOP:
            rest = [set(side) for side in _unpaired(sides, pairs)]
            gaps = [gap for gap in _gaps(ordered, len(sides[0]), len(sides[1])) if any(gap)]
            open_ = [
                [[side[k] for k in gap[at] if side[k] in rest[at]] for at, side in enumerate(sides)] for gap in gaps
            ]
            pairs += _stand_ins(found, open_)
            for k, side in enumerate(sides):
                taken = {pair[k] for pair in [*pairs, *found.stand_ins]}
                found.alone[k].extend(position for position in side if position not in taken)
        else:
            _explain(found, caller, _unpaired(sides, pairs))
        found.pairs.extend(pairs)
        waiting += reversed(pairs)
    return found


def _visible(tree: CallTree, caller: int) -> list[int]:
    """Return what ``caller`` calls, and in place of an operator that only runs others, those."""
    found = []
    for position in tree.children[caller]:
        found += _visible(tree, position) if is_transparent(tree.calls[position][0]) else [position]
    return found


def _comparable(tree: CallTree, positions: Positions) -> list[Call]:
    return [(canonical(name), _tensors(shapes)) for name, shapes in (tree.calls[p] for p in positions)]


@lru_cache(maxsize=1 << 16)
def _tensors(shapes: str) -> str:
    """Return the shapes of the tensors alone: the number of other arguments changes from version to version."""
    return _NO_TENSOR.sub(lambda match: ", " if match[1] and match[2] else "", shapes).removeprefix("[]")


def _unpaired(sides: Sequence[Positions], pairs: Sequence[Pair]) -> list[list[int]]:
    taken = [{pair[k] for pair in pairs} for k in (0, 1)]
    return [[position for position in side if position not in taken[k]] for k, side in enumerate(sides)]


def _gaps(matched: Sequence[Pair], *lengths: int) -> list[tuple[range, range]]:
    """Return what lies between the matched pairs on both sides."""
    edges = [(-1, -1), *matched, lengths]
    return [(range(a[0] + 1, b[0]), range(a[1] + 1, b[1])) for a, b in pairwise(edges)]


def _align_siblings(left: Sequence[Call], right: Sequence[Call]) -> list[Pair]:
    """Return the pairs of places of the heaviest common subsequence of two lists of calls, in order."""
    shorter = min(len(left), len(right))
    head = next((k for k in range(shorter) if left[k] != right[k]), shorter)
    tail = next((k for k in range(shorter - head) if left[-1 - k] != right[-1 - k]), shorter - head)
    middle = _align_different(left[head : len(left) - tail], right[head : len(right) - tail])
    return [
        *((k, k) for k in range(head)),
        *((head + i, head + j) for i, j in middle),
        *((len(left) - k, len(right) - k) for k in range(tail, 0, -1)),
    ]


def _align_different(left: Sequence[Call], right: Sequence[Call]) -> list[Pair]:
    if not left or not right:
        return []
    if len(left) * len(right) > CELLS:
        i, j = len(left) // 2, len(right) // 2
        later = _align_siblings(left[i:], right[j:])
        return [*_align_siblings(left[:i], right[:j]), *((i + a, j + b) for a, b in later)]
    weight = _equal([name for name, _ in left], [name for name, _ in right]) * SAME_OPERATOR
    weight[_equal(left, right)] = SAME_CALL
    return _heaviest(weight)


def _equal(left: Sequence[object], right: Sequence[object]) -> np.ndarray:
    numbers: dict[object, int] = {}
    rows, columns = (np.array([numbers.setdefault(key, len(numbers)) for key in side]) for side in (left, right))
    return np.asarray(rows[:, None] == columns)


def _heaviest(weight: Ids) -> list[Pair]:
    """Return the places of the common subsequence with the largest sum of ``weight``, in which 0 is no pair."""
    best = np.zeros((weight.shape[0] + 1, weight.shape[1] + 1), dtype=np.int32)
    for i, row in enumerate(weight):
        # the best of a cell's upper and left neighbours and its pair; the left ones by a running maximum
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], np.where(row, best[i, :-1] + row, 0)))
    found = []
    i, j = weight.shape
    while i and j:
        if weight[i - 1, j - 1] and best[i, j] == best[i - 1, j - 1] + weight[i - 1, j - 1]:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return found[::-1]


def _moved(left: Sequence[Call], right: Sequence[Call], matched: Sequence[Pair]) -> list[Pair]:
    """Return pairs of the same operator among the calls without a partner: they stand in another order."""
    rest = _unpaired([range(len(left)), range(len(right))], matched)
    waiting: dict[str, list[int]] = {}
    for j in rest[1]:
        waiting.setdefault(right[j][0], []).append(j)
    found = []
    for i in rest[0]:
        if partners := waiting.get(left[i][0]):
            partner = next((j for j in partners if right[j] == left[i]), partners[0])
            partners.remove(partner)
            found.append((i, partner))
    return found


def _stand_ins(found: Alignment, gaps: Sequence[Sequence[Positions]]) -> list[Pair]:
    """File the pairs of different operators over the same tensors; return those of the same found inside a wrapper.

    ``gaps`` hold the calls without a partner. In each they pair in order; what is a wrapper of the other may also
    stand elsewhere.
    """
    for left, right in gaps:
        weight = _kinships(found, left, right)
        found.stand_ins.extend((left[i], right[j]) for i, j in _heaviest(weight))
    everywhere = _unpaired([[p for gap in gaps for p in gap[k]] for k in (0, 1)], found.stand_ins)
    weight = _kinships(found, *everywhere)
    weight[weight < WRAPPED] = 0
    found.stand_ins.extend((everywhere[0][i], everywhere[1][j]) for i, j in _first(weight))
    return [pair for pair in (_inner_pair(found, i, j) for i, j in found.stand_ins) if pair is not None]


def _kinships(found: Alignment, left: Positions, right: Positions) -> Ids:
    """Return the weight of every pair; none where one looks at too many."""
    if not left or not right or len(left) * len(right) > KIN:
        return np.zeros((0, 0), dtype=np.int32)
    sides = ((found.baseline, left), (found.candidate, right))
    tensors = [[_tensors(tree.calls[at][1]) for at in side] for tree, side in sides]
    names = [[canonical(tree.calls[at][0]) for at in side] for tree, side in sides]
    inside = [[_names_inside(tree, at) for at in side] for tree, side in sides]
    weight = _equal(*tensors).astype(np.int32) * SAME_TENSORS
    weight[[not text for text in tensors[0]]] = 0
    for i, j in np.argwhere(weight).tolist():
        if names[1][j] in inside[0][i] or names[0][i] in inside[1][j]:
            weight[i, j] = WRAPPED
    return weight


def _names_inside(tree: CallTree, position: int) -> frozenset[str]:
    return frozenset(canonical(tree.calls[k][0]) for k in _carriers(tree, [position], 0.0)[1:])


def _first(weight: Ids) -> list[Pair]:
    """Return for each row the first column of its own with a weight."""
    taken: dict[int, int] = {}
    for i, row in enumerate(weight):
        place = next((int(j) for j in np.flatnonzero(row) if j not in taken), None)
        if place is not None:
            taken[place] = i
    return [(i, j) for j, i in taken.items()]


def _inner_pair(found: Alignment, i: int, j: int) -> Pair | None:
    """Return the pair of the same operator where one of two calls carries out the other inside it."""
    for k in _carriers(found.baseline, [i], 0.0)[1:]:
        if canonical(found.baseline.calls[k][0]) == canonical(found.candidate.calls[j][0]):
            return k, j
    for k in _carriers(found.candidate, [j], 0.0)[1:]:
        if canonical(found.candidate.calls[k][0]) == canonical(found.baseline.calls[i][0]):
            return i, k
    return None


def _carriers(tree: CallTree, calls: Positions, enough: float) -> tuple[int, ...]:
    """Return the calls that carry the work, from the heaviest of ``calls``, if it takes enough, downwards."""
    way: list[int] = []
    while calls:
        heaviest = max(calls, key=lambda position: tree.median_ns[position])
        if tree.median_ns[heaviest] <= enough:
            break
        way.append(heaviest)
        calls = tree.children[heaviest]
        enough = CARRIES * tree.median_ns[heaviest]
    return tuple(way)


def _explain(found: Alignment, caller: Pair, rest: Sequence[Positions]) -> None:
    """File the other way that a caller's work goes, if one does."""
    trees = (found.baseline, found.candidate)
    sides = zip(trees, caller, rest, strict=True)
    ways = [_carriers(tree, calls, MATTERS * tree.median_ns[at]) for tree, at, calls in sides]
    while all(ways) and len({canonical(t.calls[way[-1]][0]) for t, way in zip(trees, ways, strict=True)}) == 1:
        ways = [way[:-1] for way in ways]  # in the end the same operator does it
    # no way is one only where the caller does the work itself, and not where what it calls does it all the same
    if all(way or _does_itself(tree, at) for tree, at, way in zip(trees, caller, ways, strict=True)) and any(ways):
        found.changes.append(Change(caller, ways[0], ways[1]))


def _does_itself(tree: CallTree, position: int) -> bool:
    inside = sum(tree.median_ns[child] for child in tree.children[position])
    return tree.median_ns[position] - inside > MATTERS * tree.median_ns[position]
