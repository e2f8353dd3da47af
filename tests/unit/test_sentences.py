"""The sentences of a comparison: they explain only a change that is shown."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from profkit.comparison.records.diff import (
    Attribution,
    ForwardChange,
    LatencyChange,
    OperatorShare,
    Side,
    WorkloadChange,
)
from profkit.comparison.records.parts import Judged, Latency
from profkit.report.kinds.diff.document import attribution_table
from profkit.report.sentences import attribution_note, attribution_title, explains_change, headline, verdict_words

FASTER = Judged(speedup=1.25, low=1.2, high=1.3, p_value=0.001, q_value=0.001, verdict="faster")
SLOWER = Judged(speedup=0.8, low=0.77, high=0.83, p_value=0.001, q_value=0.001, verdict="slower")
MUCH_SLOWER = Judged(speedup=0.6, low=0.55, high=0.65, p_value=0.001, q_value=0.001, verdict="slower")
UNKNOWN = Judged(speedup=1.1, low=0.9, high=1.3, p_value=0.3, q_value=0.3, verdict="inconclusive")
SAME = Judged(speedup=1.0, low=0.99, high=1.01, p_value=0.9, q_value=0.9, verdict="same")


def test_a_bound_of_zero_in_words() -> None:
    """A saved result may have it: it is no number of percent."""
    zero = Judged(speedup=0.9, low=0.0, high=0.95, verdict="inconclusive")
    assert verdict_words(zero) == "inconclusive, between 5.3% slower and any factor slower"
    assert verdict_words(replace(zero, verdict="slower")) == "11.1% slower [5.3, -]"


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.99, 1.01, "same", "the same, between 1.0% faster and 1.0% slower"),
        (0.9999, 1.0001, "same", "the same, between 0.0% faster and 0.0% slower"),
        (1.0001, 1.0002, "same", "the same, to within 0.1%"),
        (0.9, 1.3, "inconclusive", "inconclusive, between 23.1% faster and 11.1% slower"),
        (0.016, 88.0, "inconclusive", "inconclusive, between 98.9% faster and 62.5x slower"),
        (0.5, 1.0, "inconclusive", "inconclusive, between 0.0% faster and 2.00x slower"),
    ],
)
def test_a_range_in_words(low: float, high: float, verdict: Any, words: str) -> None:
    assert verdict_words(Judged(speedup=1.0, low=low, high=high, verdict=verdict)) == words


def fields(judged: Judged) -> dict[str, Any]:
    return {name: getattr(judged, name) for name in Judged.__struct_fields__}


def change(latency: Judged | None, profiled: Judged, delta_ns: int = -200) -> WorkloadChange:
    side = Side(label="a", path="a", torch=None, fpmath=None, mode=None, rounds=5, forwards=50)
    times = Latency(p50_ns=1000.0, p90_ns=None, p99_ns=None, mean_ns=1000.0, n=50)
    return WorkloadChange(
        name="net",
        baseline=side,
        candidate=replace(side, label="b"),
        forward=ForwardChange(rule="annotation", baseline_ns=1000.0, candidate_ns=800.0, **fields(profiled)),
        latency=None if latency is None else LatencyChange(baseline=times, candidate=times, **fields(latency)),
        operators=[],
        attribution=Attribution(
            forward_delta_ns=delta_ns,
            baseline_ns=1000,
            operators=[OperatorShare(name="aten::conv2d", delta_ns=delta_ns)],
            outside_operators_ns=0,
        ),
        outputs=None,
    )


@pytest.mark.parametrize(
    ("latency", "profiled", "delta_ns"), [(FASTER, FASTER, -200), (None, FASTER, -200), (SLOWER, SLOWER, 200)]
)
def test_a_change_that_is_shown_is_explained(latency: Judged | None, profiled: Judged, delta_ns: int) -> None:
    found = change(latency, profiled, delta_ns)
    assert explains_change(found)
    assert "largest part aten::conv2d" in headline(found)
    assert attribution_title(found).startswith("attribution of the change")
    assert attribution_note(found) == ""


@pytest.mark.parametrize(
    ("latency", "profiled", "delta_ns", "reason"),
    [
        (UNKNOWN, FASTER, -200, "faster under the profiler, but not shown to change with the profiler off"),
        (SAME, SLOWER, 200, "slower under the profiler, but the same with the profiler off"),
        (FASTER, SLOWER, 200, "slower under the profiler, but faster with the profiler off"),
        (FASTER, UNKNOWN, -200, "it is not shown to change under the profiler."),
        (UNKNOWN, UNKNOWN, -200, "it is not shown to change."),
        (None, SAME, -200, "it is not shown to change."),
        (SLOWER, MUCH_SLOWER, 200, "it is slower by another factor under the profiler"),
        (FASTER, FASTER, 200, "its mean did not move the way its median did"),
    ],
)
def test_a_change_that_is_not_shown_is_not_explained(
    latency: Judged | None, profiled: Judged, delta_ns: int, reason: str
) -> None:
    found = change(latency, profiled, delta_ns)
    assert not explains_change(found)
    assert "largest part" not in headline(found)
    table = attribution_table(found, "a", "b")
    assert "attribution" not in table.title
    assert reason in table.note
