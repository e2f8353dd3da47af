"""Who is responsible: the parts add up, always and exactly."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from profkit.comparison.attribution import attribute, round_to_sum
from profkit.runs import Run
from profkit.runs.contents import RunData
from profkit.runs.measurement import Measurement, OperatorMatrix
from profkit.views.diff import compare_runs
from tests.conftest import ROOT

fractions = st.fractions(-(10**12), 10**12, max_denominator=1000)


@given(st.dictionaries(st.integers(), fractions, min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_dealt_parts_add_up_and_lie_beside_their_fractions(parts: dict[int, Fraction]) -> None:
    dealt = round_to_sum(parts)
    assert sum(dealt.values()) == round(sum(parts.values()))
    for key, part in parts.items():
        assert dealt[key] in (math.floor(part), math.floor(part) + 1)


def measured(forwards: list[list[int]], operators: dict[str, list[int]]) -> Measurement:
    count = sum(map(len, forwards))
    times = np.array(list(operators.values()), dtype=np.int64).reshape(len(operators), count)
    zeros = np.zeros_like(times)
    keys = tuple((name, None) for name in operators)
    edges = np.cumsum([len(f) for f in forwards])[:-1]
    return Measurement(
        data=RunData(Run(Path("run"), ())),
        rule="annotation",
        resolution_ns=1,
        forward_ns=tuple(np.array(f) for f in forwards),
        tables={"name": OperatorMatrix(keys, zeros + 1, times, times, zeros, zeros, edges)},
        anomalies={},
        repairs={},
        torch=None,
    )


def test_a_small_case() -> None:
    found = attribute(
        measured([[100, 101], [102]], {"aten::conv2d": [60, 61, 62], "aten::gone": [10, 10, 11]}),
        measured([[50], [52]], {"aten::conv2d": [20, 21], "aten::new": [5, 5]}),
    )
    assert [(o.name, o.delta_ns) for o in found.operators] == [
        ("aten::conv2d", -41),  # 20.5 - 61
        ("aten::gone", -10),  # -10.33
        ("aten::new", 5),
    ]
    assert found.outside_operators_ns == -4  # -4.17
    assert found.forward_delta_ns == -50  # 51 - 101


@st.composite
def sides(draw: st.DrawFn) -> Measurement:
    rounds = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    times = st.integers(0, 10**10)
    forwards = [draw(st.lists(times, min_size=n, max_size=n)) for n in rounds]
    total = sum(rounds)
    names = draw(st.sets(st.sampled_from("abcdefgh")))
    return measured(forwards, {name: draw(st.lists(times, min_size=total, max_size=total)) for name in names})


@given(sides(), sides())
@settings(max_examples=200, deadline=None)
def test_operators_and_the_rest_are_the_whole(baseline: Measurement, candidate: Measurement) -> None:
    found = attribute(baseline, candidate)
    assert sum(o.delta_ns for o in found.operators) + found.outside_operators_ns == found.forward_delta_ns
    means = [Fraction(sum(int(f.sum()) for f in m.forward_ns), m.forwards) for m in (baseline, candidate)]
    assert found.forward_delta_ns == round(means[1] - means[0])


def test_real_captures() -> None:
    comparison = compare_runs(ROOT / "traces/1.13", ROOT / "traces/2.0")
    found = comparison.workloads[0].attribution
    assert sum(o.delta_ns for o in found.operators) + found.outside_operators_ns == found.forward_delta_ns
    assert {o.name for o in found.operators} == {o.name for o in comparison.workloads[0].operators}
