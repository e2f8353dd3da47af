"""Aligns two call trees: which call of one side corresponds to which call of the other.

Callers are aligned before their callees. The callees of an aligned pair are aligned in order by the heaviest common
subsequence: the same operator with the same input shapes weighs most, then the same operator. The remaining calls pair
with the same operator at another position. At the top level, where a side may be fused or compiled, a remaining call
may pair with a different operator on the same tensors between the same neighbours (a stand-in), or with a call inside a
wrapper. A renamed operator counts as the same operator. An operator that only runs others (TorchScript's ``forward``, a
compiled region) is replaced by its callees.

The cost of aligning two lists of callees is the product of their lengths, computed by NumPy row by row. A common
beginning or end is matched directly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import msgspec
import numpy as np

from profkit.arrays import Ids
from profkit.comparison.calls.renamed import canonical, is_transparent
from profkit.trace.calls import Call, CallTree

SAME_CALL = 8  # weight of a pair of calls of the same operator with the same shapes
SAME_OPERATOR = 7  # with other shapes; close to SAME_CALL, so that two such pairs weigh more than one exact pair
WRAPPED = 2  # weight of a stand-in pair in which one call contains the other's operator
SAME_TENSORS = 1  # weight of a stand-in pair with only the tensors in common
CARRIES = 0.5  # a callee does most of the work if it takes more than this share of its caller's time
MINOR = 0.2  # a smaller share of the caller's time cannot explain a different implementation
MAX_STAND_IN_PAIRS = 1 << 18  # limit of the quadratic comparison of unpaired calls
CELLS = 1 << 24  # of the table for two lists of callees (64 MiB of int32); longer lists are split in two
_NO_TENSOR = re.compile(r"(, )?\[\](, )?")
_TOP = (-1, -1)

Pair = tuple[int, int]
"""A position in the baseline's tree and one in the candidate's."""
Positions = Sequence[int]


class PathChange(msgspec.Struct, frozen=True):
    """A pair of calls of one operator, ``caller``, whose work is done by different callees on the two sides.

    ``baseline`` and ``candidate`` are the callees that do most of the work, outermost first; one may be empty if the
    caller does the work itself.
    """

    caller: Pair
    baseline: tuple[int, ...]
    candidate: tuple[int, ...]


class Alignment(msgspec.Struct, frozen=True):
    """The ``pairs`` of calls of the same operator; ``stand_ins`` pair different operators that do the same work.

    ``changes`` are the pairs whose work is done by different callees. ``alone`` holds, per side, the unpaired top-level
    calls.
    """

    baseline: CallTree
    candidate: CallTree
    pairs: list[Pair]
    stand_ins: list[Pair]
    changes: list[PathChange]
    alone: tuple[list[int], list[int]]


def align(baseline: CallTree, candidate: CallTree) -> Alignment:
    """Align two call trees, from the top level down."""
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
    """Return the callees of ``caller``; an operator that only runs others is replaced by its callees."""
    found = []
    waiting = tree.children[caller][::-1]
    while waiting:
        position = waiting.pop()
        if is_transparent(tree.calls[position][0]):
            waiting += reversed(tree.children[position])
        else:
            found.append(position)
    return found


def _comparable(tree: CallTree, positions: Positions) -> list[Call]:
    return [(canonical(name), _tensors(shapes)) for name, shapes in (tree.calls[p] for p in positions)]


@lru_cache(maxsize=1 << 16)
def _tensors(shapes: str) -> str:
    """Return the shapes of the tensors only: the number of other arguments differs between versions."""
    return _NO_TENSOR.sub(lambda match: ", " if match[1] and match[2] else "", shapes).removeprefix("[]")


def _unpaired(sides: Sequence[Positions], pairs: Sequence[Pair]) -> list[list[int]]:
    taken = [{pair[k] for pair in pairs} for k in (0, 1)]
    return [[position for position in side if position not in taken[k]] for k, side in enumerate(sides)]


def _gaps(matched: Sequence[Pair], *lengths: int) -> list[tuple[range, range]]:
    """Return the ranges between the matched pairs on both sides."""
    edges = [(-1, -1), *matched, lengths]
    return [(range(a[0] + 1, b[0]), range(a[1] + 1, b[1])) for a, b in pairwise(edges)]


def _align_siblings(left: Sequence[Call], right: Sequence[Call]) -> list[Pair]:
    """Return the pairs of indices of the heaviest common subsequence of two lists of calls, in order."""
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
    """Return the positions of the common subsequence with the largest sum of ``weight``; weight 0 excludes a pair."""
    best = np.zeros((weight.shape[0] + 1, weight.shape[1] + 1), dtype=np.int32)
    for i, row in enumerate(weight):
        # a cell is the maximum of its upper neighbour, the upper left one plus the pair, and (accumulated) the left one
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
    """Return pairs of the same operator among the unpaired calls, which are in a different order."""
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
    """Record pairs of different operators on the same tensors; return the pairs of one operator inside a wrapper.

    ``gaps`` hold the unpaired calls. Within a gap they pair in order; a wrapper may also pair across gaps.
    """
    for left, right in gaps:
        weight = _stand_in_weights(found, left, right)
        found.stand_ins.extend((left[i], right[j]) for i, j in _heaviest(weight))
    everywhere = _unpaired([[p for gap in gaps for p in gap[k]] for k in (0, 1)], found.stand_ins)
    weight = _stand_in_weights(found, *everywhere)
    weight[weight < WRAPPED] = 0
    found.stand_ins.extend((everywhere[0][i], everywhere[1][j]) for i, j in _first_free(weight))
    return [pair for pair in (_inner_pair(found, i, j) for i, j in found.stand_ins) if pair is not None]


def _stand_in_weights(found: Alignment, left: Positions, right: Positions) -> Ids:
    """Return the weight of every pair of calls, shape (len(left), len(right)); empty if there are too many pairs."""
    if not left or not right or len(left) * len(right) > MAX_STAND_IN_PAIRS:
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


def _first_free(weight: Ids) -> list[Pair]:
    """Return, for each row, the first column with a weight that no earlier row took."""
    taken: dict[int, int] = {}
    for i, row in enumerate(weight):
        column = next((int(j) for j in np.flatnonzero(row) if j not in taken), None)
        if column is not None:
            taken[column] = i
    return [(i, j) for j, i in taken.items()]


def _inner_pair(found: Alignment, i: int, j: int) -> Pair | None:
    """Return the pair of calls of one operator, if one of two calls contains a call of the other's operator."""
    for k in _carriers(found.baseline, [i], 0.0)[1:]:
        if canonical(found.baseline.calls[k][0]) == canonical(found.candidate.calls[j][0]):
            return k, j
    for k in _carriers(found.candidate, [j], 0.0)[1:]:
        if canonical(found.candidate.calls[k][0]) == canonical(found.baseline.calls[i][0]):
            return i, k
    return None


def _carriers(tree: CallTree, calls: Positions, enough: float) -> tuple[int, ...]:
    """Return the path of calls that do most of the work: the longest of ``calls`` if it takes more than ``enough`` ns,
    then the longest of its callees, and so on."""
    path: list[int] = []
    while calls:
        heaviest = max(calls, key=lambda position: tree.median_ns[position])
        if tree.median_ns[heaviest] <= enough:
            break
        path.append(heaviest)
        calls = tree.children[heaviest]
        enough = CARRIES * tree.median_ns[heaviest]
    return tuple(path)


def _explain(found: Alignment, caller: Pair, rest: Sequence[Positions]) -> None:
    """Record a change if the work of an aligned pair is done by different callees."""
    trees = (found.baseline, found.candidate)
    sides = zip(trees, caller, rest, strict=True)
    paths = [_carriers(tree, calls, MINOR * tree.median_ns[at]) for tree, at, calls in sides]
    left = _without_common_end(*([canonical(t.calls[at][0]) for at in p] for t, p in zip(trees, paths, strict=True)))
    paths = [path[:length] for path, length in zip(paths, left, strict=True)]
    # an empty path counts as an implementation only if the caller's own self time carries the work
    if all(path or _has_own_work(tree, at) for tree, at, path in zip(trees, caller, paths, strict=True)) and any(paths):
        found.changes.append(PathChange(caller, paths[0], paths[1]))


def _without_common_end(left: Sequence[str], right: Sequence[str]) -> tuple[int, int]:
    """Return the lengths of two paths without the last operators, which do the work on both sides."""
    same = 0
    while same < min(len(left), len(right)) and left[-1 - same] == right[-1 - same]:
        same += 1
    return len(left) - same, len(right) - same


def _has_own_work(tree: CallTree, position: int) -> bool:
    inside = sum(tree.median_ns[child] for child in tree.children[position])
    return tree.median_ns[position] - inside > MINOR * tree.median_ns[position]
