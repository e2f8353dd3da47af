"""Operator statistics, against whole expected tables."""

from __future__ import annotations

from profkit.trace.events import Trace
from profkit.trace.forward import find_forwards
from profkit.trace.operators import OperatorSamples, sum_operators
from profkit.trace.options import By
from profkit.trace.reading.reader import parse
from tests.conftest import event, trace_json

TRACE = parse(
    trace_json(
        [
            event("profkit.forward", 0, 50, 0, cat="user_annotation"),
            event("aten::conv2d", 1, 30, 1, args={"Ev Idx": 1, "Input Dims": [[1, 3, 8, 8], [4, 3, 3, 3]]}),
            event("aten::convolution", 3, 25, 2),
            event("aten::empty", 4, 2, 3),
            event("aten::to", 35, 10, 4),
            event("aten::to", 36, 6, 5),  # nested in itself: its time counts once
            event("aten::empty", 60, 2, 6),  # between the forwards
            event("profkit.forward", 100, 50, 7, cat="user_annotation"),
            event("aten::conv2d", 101, 20, 8, args={"Ev Idx": 8, "Input Dims": [[2, 3, 8, 8], [4, 3, 3, 3]]}),
            event("aten::empty", 110, 4, 9, tid=2),  # another thread
            event("aten::conv2d", 105, 6, 10, tid=2, args={"Ev Idx": 10, "Input Dims": [[1, 3, 8, 8], [4, 3, 3, 3]]}),
        ]
    ),
    "t",
)


def table(samples: OperatorSamples, row: int) -> list[tuple[str, int, int, int]]:
    """(key, calls, self µs, total µs) per operator that was called."""
    return [
        (" ".join(filter(None, key)), int(calls), int(self_ns) // 1000, int(total_ns) // 1000)
        for key, calls, self_ns, total_ns in zip(
            samples.keys, samples.calls[row], samples.self_ns[row], samples.total_ns[row], strict=True
        )
        if calls
    ]


def per_forward(trace: Trace, by: By = "name") -> OperatorSamples:
    return sum_operators(trace, find_forwards(trace), by)


def test_whole_file() -> None:
    samples = sum_operators(TRACE)
    assert table(samples, 0) == [
        ("aten::conv2d", 3, 30, 56),
        ("aten::convolution", 1, 23, 25),
        ("aten::empty", 3, 8, 8),
        ("aten::to", 2, 10, 10),
    ]
    assert samples.anomalies == {
        "clamped": 0,
        "crossing": 1,
        "negative": 0,
        "implausible": 0,
    }  # conv2d of thread 2 ends at 111


def test_per_forward() -> None:
    samples = per_forward(TRACE)
    assert table(samples, 0) == [
        ("aten::conv2d", 1, 5, 30),
        ("aten::convolution", 1, 23, 25),
        ("aten::empty", 1, 2, 2),
        ("aten::to", 2, 10, 10),
    ]
    assert table(samples, 1) == [("aten::conv2d", 2, 25, 26), ("aten::empty", 1, 4, 4)]


def test_by_shape() -> None:
    assert table(sum_operators(TRACE, by="shape"), 0) == [
        ("aten::conv2d [[1, 3, 8, 8], [4, 3, 3, 3]]", 2, 10, 36),
        ("aten::convolution []", 1, 23, 25),
        ("aten::empty []", 3, 8, 8),
        ("aten::to []", 2, 10, 10),
        ("aten::conv2d [[2, 3, 8, 8], [4, 3, 3, 3]]", 1, 20, 20),
    ]


def test_a_trace_without_operators() -> None:
    samples = sum_operators(parse(b'{"traceEvents": []}', "t"))
    assert samples.keys == ()
    assert samples.calls.shape == (1, 0)
