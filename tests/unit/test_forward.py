"""Where a forward begins and ends: the first rule that applies, named."""

from __future__ import annotations

from typing import Any

import pytest

from profkit.trace.forward import find_forwards
from profkit.trace.reading.reader import parse
from tests.conftest import event, trace_json

ANNOTATION = {"cat": "user_annotation"}
FRAME = {"cat": "python_function"}

OPERATORS = [event("aten::conv2d", 10, 20, 5), event("aten::relu", 40, 10, 6)]
MODULES = [event("nn.Module: ResNet_0", 8, 45, **FRAME), event("nn.Module: Conv2d_0", 9, 22, **FRAME)]
SCRIPT = [event("forward", 7, 50, 4), event("forward", 8, 10, 5)]
STEPS = [event("ProfilerStep#3", 5, 60, 1, **ANNOTATION), event("ProfilerStep#4", 70, 10, 9, **ANNOTATION)]
OLD_STEPS = [event("ProfilerStep#3", 5, 60, cat="Operator")]
OURS = [event("profkit.forward", 6, 52, 2, **ANNOTATION), event("profkit.forward", 71, 8, 10, **ANNOTATION)]


@pytest.mark.parametrize(
    ("records", "rule", "starts", "walls"),
    [
        (OPERATORS, "envelope", [10], [40]),
        (OPERATORS + MODULES, "module", [8], [45]),
        (OPERATORS + MODULES + SCRIPT, "script", [7], [50]),
        (OPERATORS + MODULES + SCRIPT + STEPS, "step", [5, 70], [60, 10]),
        (OPERATORS + OLD_STEPS, "step", [5], [60]),
        (OPERATORS + MODULES + SCRIPT + STEPS + OURS, "annotation", [6, 71], [52, 8]),
        ([], "envelope", [], []),
    ],
)
def test_the_first_rule_that_applies(
    records: list[dict[str, Any]], rule: str, starts: list[int], walls: list[int]
) -> None:
    forwards = find_forwards(parse(trace_json(records), "t"))
    assert forwards.rule == rule
    assert forwards.start_ns.tolist() == [s * 1000 for s in starts]
    assert forwards.wall_ns.tolist() == [w * 1000 for w in walls]


def test_events_belong_to_the_forward_they_start_in() -> None:
    trace = parse(trace_json(OURS + [event("aten::a", t, 1, 20 + t) for t in (5, 6, 57, 58, 70, 71, 78, 79)]), "t")
    assert find_forwards(trace).of(trace.operator_events).tolist() == [-1, 0, 0, -1, -1, 1, 1, -1]


def test_forwards_of_two_threads_at_once_keep_their_own_operators() -> None:
    records = [
        event("profkit.forward", 0, 100, 0, **ANNOTATION),
        event("aten::a", 5, 1, 1),
        event("profkit.forward", 10, 20, 2, tid=2, **ANNOTATION),
        event("aten::b", 15, 1, 3),
        event("aten::c", 16, 1, 4, tid=2),
        event("aten::d", 60, 30, 5),  # after the other has ended
        event("aten::e", 70, 1, 6, tid=2),  # in none of its own thread
        event("aten::f", 20, 1, 7, tid=3),  # a helper: of the latest that is open
        event("aten::g", 80, 1, 8, tid=3),
    ]
    trace = parse(trace_json(records), "t")
    assert find_forwards(trace).of(trace.operator_events).tolist() == [0, 0, 1, 0, -1, 1, 0]
