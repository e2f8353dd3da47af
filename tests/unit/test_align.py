"""Which operator is which: small trees with a known answer, properties, and real captures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profkit.comparison.calls.align import Alignment, _heaviest, align
from profkit.comparison.calls.implementations import implementations, moved_callees, replacements, unpaired
from profkit.comparison.calls.merged_tree import call_changes
from profkit.comparison.gate import judge
from profkit.comparison.gate_rules import parse_rule
from profkit.comparison.records.diff import WorkloadChange
from profkit.trace.calls import CallTree
from profkit.views.diff import compare_runs
from tests.conftest import ROOT

AARCH64 = ROOT / "tests/data/aarch64"
Node = tuple[str, str, float, Sequence["Node"]]  # type: ignore[misc]  # a tree of them


def node(name: str, ns: float, *children: Node, shape: str = "[[1, 3]]") -> Node:
    return (name, shape, ns, children)


def tree(*nodes: Node) -> CallTree:
    calls: list[tuple[str, str]] = []
    parent: list[int] = []
    total: list[float] = []

    def add(item: Node, above: int) -> None:
        at = len(calls)
        calls.append((item[0], item[1]))
        parent.append(above)
        total.append(item[2])
        for child in item[3]:
            add(child, at)

    for item in nodes:
        add(item, -1)
    return CallTree(tuple(calls), tuple(parent), np.array([total], dtype=np.int64))


def named(found: Alignment) -> list[tuple[str, str]]:
    return [(found.baseline.calls[i][0], found.candidate.calls[j][0]) for i, j in found.pairs]


def convolution(primitive: str, ns: float) -> Node:
    return node("aten::conv2d", ns, node("aten::_convolution", ns, node(primitive, 0.9 * ns, node("aten::empty", 1.0))))


def test_an_operator_that_went_another_way_below() -> None:
    found = align(
        tree(convolution("aten::slow", 100), convolution("aten::slow", 100)),
        tree(convolution("aten::fast", 20), convolution("aten::slow", 90)),
    )
    (change,) = implementations(found)
    assert (change.operator, change.calls) == ("aten::_convolution", 1)
    assert (change.baseline.path, change.candidate.path) == (["aten::slow"], ["aten::fast"])
    assert (change.baseline.total_host_ns, change.candidate.total_host_ns, change.speedup) == (100, 20, 5)
    assert replacements(found)[1]["aten::fast"] == ("aten::slow", 1)


def test_an_operator_of_whose_calls_some_went_elsewhere() -> None:
    slow, fast = convolution("aten::slow", 100), convolution("aten::fast", 20)
    found = align(tree(slow, slow, slow), tree(fast, slow, slow))
    assert moved_callees(found, lambda call: call[0]) == {"aten::slow": "aten::fast", "aten::fast": "aten::slow"}
    few = align(tree(*[slow] * 9), tree(fast, *[slow] * 8))
    assert moved_callees(few, lambda call: call[0]) == {"aten::fast": "aten::slow"}  # a ninth changes little


def test_part_of_the_work_of_an_operator_that_moved_is_not_compared() -> None:
    """In 2.0.1 for aarch64, oneDNN does 20 of the 53 convolutions that PyTorch did itself before."""
    sides = [AARCH64 / f"{version}-eager-FP32.pt.trace.json.gz" for version in ("1.13.1", "2.0.1")]
    comparison = compare_runs(*sides)
    operators = {o.name: o for o in comparison.workloads[0].operators}
    slow = operators["aten::_slow_conv2d_forward"]
    assert (slow.verdict, slow.speedup, slow.paired_with) == ("replaced", None, "aten::mkldnn_convolution")
    assert operators["aten::_convolution"].judged_on == "total"
    rule = parse_rule("aten::_slow_conv2d_forward.total > 3%")
    assert "mkldnn_convolution does a part of it" in judge(comparison, [rule]).gates[0].found


def test_a_renamed_operator_is_the_same() -> None:
    found = align(
        tree(node("aten::reshape", 10, node("aten::_reshape_alias", 9))),
        tree(node("aten::reshape", 10, node("aten::view", 9))),
    )
    assert ("aten::_reshape_alias", "aten::view") in named(found)
    assert implementations(found) == []
    assert replacements(found)[0]["aten::_reshape_alias"] == ("aten::view", 1)


def test_bookkeeping_is_no_other_implementation() -> None:
    found = align(
        tree(node("aten::mkldnn_convolution", 1000, node("aten::empty", 5))),
        tree(node("aten::mkldnn_convolution", 1000, node("aten::empty", 5), node("aten::resize_", 4))),
    )
    assert implementations(found) == []


def test_inserted_and_moved_calls_do_not_shift_the_others() -> None:
    a, b, c = (node(name, 10) for name in ("aten::a", "aten::b", "aten::c"))
    assert named(align(tree(a, b, c), tree(node("aten::new", 1), a, b, c))) == [
        ("aten::a",) * 2,
        ("aten::b",) * 2,
        ("aten::c",) * 2,
    ]
    moved = align(tree(a, b, c), tree(b, c, a))
    assert sorted(named(moved)) == [("aten::a",) * 2, ("aten::b",) * 2, ("aten::c",) * 2]


def test_the_same_shapes_go_together() -> None:
    small, large = (node("aten::relu", 10, shape=shape) for shape in ("[[1, 8]]", "[[1, 64]]"))
    found = align(tree(small, large), tree(large))
    assert found.pairs == [(1, 0)]
    assert [u.calls for u in unpaired(found)] == [1]


def test_eager_against_fused() -> None:
    eager = tree(
        convolution("aten::mkldnn_convolution", 100),
        node("aten::batch_norm", 20),
        node("aten::relu_", 5, node("aten::clamp_min_", 4)),
    )
    frozen = tree(node("forward", 130, node("aten::relu_", 5)))
    found = align(eager, frozen)
    assert named(found) == [("aten::relu_", "aten::relu_")]
    assert [(u.side, u.name) for u in unpaired(found)] == [
        ("baseline", "aten::conv2d"),
        ("baseline", "aten::batch_norm"),
    ]
    (change,) = implementations(found)
    assert (change.baseline.path, change.candidate.path) == (["aten::clamp_min_"], [])


def test_a_wrapper_that_the_other_side_lacks() -> None:
    eager = tree(convolution("aten::mkldnn_convolution", 100))
    compiled = tree(node("Torch-Compiled Region: 0/0", 100, node("aten::_convolution", 90, node("aten::fast", 85))))
    found = align(eager, compiled)
    assert ("aten::_convolution", "aten::_convolution") in named(found)
    assert implementations(found)[0].candidate.path == ["aten::fast"]


def test_another_operator_over_the_same_tensors_stands_in() -> None:
    shape = "[[1, 64, 56, 56], [64, 64, 3, 3], []]"
    a, b = node("aten::add", 5), node("aten::mul", 5)
    found = align(
        tree(a, node("aten::conv2d", 10, shape=shape), b),
        tree(a, node("mkldnn::_convolution_pointwise", 8, shape=shape[:-5] + "]"), b),
    )
    assert replacements(found)[1]["mkldnn::_convolution_pointwise"] == ("aten::conv2d", 1)
    assert unpaired(found) == []


def test_one_call_more_is_no_other_implementation() -> None:
    plain = tree(node("aten::linear", 1000, node("aten::addmm", 990)))
    quantized = tree(node("aten::linear", 1500, node("aten::quantize", 500), node("aten::addmm", 990)))
    for found in (align(plain, quantized), align(quantized, plain)):
        assert implementations(found) == []
        assert "aten::quantize" not in {**replacements(found)[0], **replacements(found)[1]}


def test_a_deep_tree() -> None:
    deep = node("aten::bottom", 1)
    for _ in range(800):
        deep = node("aten::deep", 1, deep)
    both = tree(deep)
    assert len(align(both, both).pairs) == 801
    changes = call_changes(both, both)
    assert [change.parent for change in changes] == list(range(-1, 800))


def test_what_is_looked_through_counts_its_calls() -> None:
    compiled = tree(*(node("Torch-Compiled Region: 0/0", 10, node("aten::mm", 4)) for _ in range(12)))
    found = {change.name: change.baseline for change in call_changes(compiled, compiled)}
    region = found["Torch-Compiled Region: 0/0"]
    assert region is not None
    assert (region.calls, region.total_host_ns) == (12, 72)


names = st.sampled_from(["aten::a", "aten::b", "aten::c", "aten::d", "forward"])
nodes = st.recursive(
    st.builds(lambda n, ns: (n, "[[1]]", ns, ()), names, st.integers(1, 100)),
    lambda inner: st.builds(
        lambda n, ns, c: (n, "[[1]]", ns, tuple(c)), names, st.integers(1, 100), st.lists(inner, max_size=4)
    ),
    max_leaves=20,
)
trees = st.lists(nodes, max_size=6).map(lambda n: tree(*n))


@given(trees, trees)
@settings(max_examples=200, deadline=None)
def test_every_call_has_one_partner_at_most(baseline: CallTree, candidate: CallTree) -> None:
    found = align(baseline, candidate)
    for k in (0, 1):
        partners = [pair[k] for pair in found.pairs]
        assert len(partners) == len(set(partners))
        assert not set(partners) & set(found.alone[k])
    assert all(a == b for a, b in named(found))


@given(trees)
@settings(max_examples=100, deadline=None)
def test_with_itself_every_operator_is_paired(same: CallTree) -> None:
    found = align(same, same)
    assert all(i == j for i, j in found.pairs)
    assert len(found.pairs) == sum(name != "forward" for name, _ in same.calls)
    assert not found.changes
    assert not found.stand_ins


@given(st.integers(0, 6), st.integers(0, 6), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_no_common_subsequence_is_heavier(rows: int, columns: int, chance: Random) -> None:
    generator = np.random.default_rng(chance.randrange(1 << 30))
    weight = generator.choice([0, 0, 1, 7, 8], (rows, columns)).astype(np.int32)

    def best(i: int, j: int) -> int:
        if i == rows or j == columns:
            return 0
        here = weight[i, j] + best(i + 1, j + 1) if weight[i, j] else 0
        return max(here, best(i + 1, j), best(i, j + 1))

    found = _heaviest(weight)
    assert sum(int(weight[i, j]) for i, j in found) == best(0, 0)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(found))


def compared(before: Path, after: Path) -> WorkloadChange:
    return compare_runs(before, after).workloads[0]


def test_the_studys_pair_on_aarch64() -> None:
    """53 convolutions each; 20 of them went from PyTorch's own loop to oneDNN on the Arm Compute Library."""
    found = compared(*(AARCH64 / f"{v}-eager-FP32.pt.trace.json.gz" for v in ("1.13.1", "2.0.1")))
    (change,) = found.implementations
    assert (change.operator, change.calls) == ("aten::_convolution", 20)
    assert change.baseline.path == ["aten::thnn_conv2d", "aten::_slow_conv2d_forward"]
    assert change.candidate.path == ["aten::mkldnn_convolution"]
    assert change.baseline.total_host_ns == pytest.approx(10.1e9, rel=0.01)
    verdicts = {o.name: (o.verdict, o.paired_with) for o in found.operators}
    assert verdicts["aten::mkldnn_convolution"] == ("replaced", "aten::thnn_conv2d")
    assert verdicts["aten::as_strided_"] == ("added", None)
    assert found.unpaired == []


def test_eager_against_frozen_on_aarch64() -> None:
    found = compared(AARCH64 / "1.13.1-eager-FP32.pt.trace.json.gz", AARCH64 / "2.0.1-frozen-FP32.pt.trace.json.gz")
    ways = {c.operator: (c.calls, c.baseline.path, c.candidate.path) for c in found.implementations}
    assert ways["aten::relu_"] == (49, ["aten::clamp_min_"], [])
    assert ways["aten::max_pool2d"] == (1, ["aten::max_pool2d_with_indices"], ["aten::mkldnn_max_pool2d"])
    assert Counter({u.name: u.calls for u in found.unpaired if u.side == "baseline"}) == {
        "aten::conv2d": 53,
        "aten::batch_norm": 53,
        "aten::linear": 1,
    }


def test_whole_microseconds_hide_no_caller() -> None:
    """Every forward of the 1.13 capture loses other callers to truncation; together they show one tree."""
    found = compared(ROOT / "traces/1.13", ROOT / "traces/2.0")
    assert found.implementations == []
    assert [(u.name, u.calls) for u in found.unpaired] == [("aten::empty", 1)]
