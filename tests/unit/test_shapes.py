"""Input shapes as keys: one spelling, however the file writes them and however it was read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profkit.runs import find_runs
from profkit.trace.operators import sum_operators
from profkit.trace.reading.reader import parse, read
from profkit.views.diff import compare_runs
from profkit.views.operators import view_operators
from tests.conftest import ROOT, event, trace_json

SHAPES = ROOT / "tests/data/shapes"


def test_spacing_does_not_make_two_rows() -> None:
    (found,) = find_runs(SHAPES / "tensorlist-spacing.json")
    (row,) = view_operators(found, by="shape").operators
    assert (row.input_dims, row.calls) == ("[[[2, 16], [2, 16]], []]", 2)


def test_a_mended_file_has_the_shapes_of_a_sound_one() -> None:
    found = compare_runs(SHAPES / "shapes-sound.json", SHAPES / "shapes-one-float-tid.json", "shape")
    (row,) = found.workloads[0].operators
    assert (row.name, row.input_dims) == ("aten::mm", "[[2, 16], [16, 4]]")
    assert row.baseline is not None
    assert row.candidate is not None
    assert read(SHAPES / "shapes-one-float-tid.json").repairs == {"id of another type": 1}
    assert (found.workloads[0].implementations, found.workloads[0].unpaired) == ([], [])


def spelled(value: Any, choice: random.Random) -> str:
    """JSON with random white space."""

    def space() -> str:
        return choice.choice(["", " ", "\n ", "\t", "  "])

    if isinstance(value, list):
        return "[" + space() + (space() + "," + space()).join(spelled(item, choice) for item in value) + space() + "]"
    return json.dumps(value)


@pytest.mark.parametrize("seed", range(20))
def test_any_spacing_through_any_path_gives_the_same_key(seed: int) -> None:
    choice = random.Random(seed)
    shape = choice.choice([[], [[]], [[1, 3, 224, 224], [64, 3, 7, 7], [], ""], [[[2, 4], [2, 4]], [0], [-1]]])
    events = [
        f'{{"ph": "X", "cat": "cpu_op", "name": "a", "pid": 1, "tid": 1, "ts": {10 * k}, "dur": 5, '
        f'"args": {{"Ev Idx": {k}, "Input Dims": {spelled(shape, choice)}}}}}'
        for k in range(8)
    ]
    for damage in ("", ', {"ph": "M", "name": "n", "tid": 1.5}', ', {"name": "cut'):
        text = '{"traceEvents": [' + ", ".join(events) + damage + ("" if damage.endswith("cut") else "]}")
        samples = sum_operators(parse(text.encode(), "t"), by="shape")
        assert samples.keys == (("a", json.dumps(shape)),)
        assert samples.calls.tolist() == [[8]]


def test_no_inputs_and_inputs_that_were_not_recorded_are_one_row(write_trace: Callable[..., Path]) -> None:
    """Both have the shapes []; two rows of one key would count one of them only."""
    records = [event("a", 1, 2, 0), event("a", 4, 3, 1, args={"Ev Idx": 1, "Input Dims": []})]
    samples = sum_operators(parse(trace_json(records), "t"), by="shape")
    assert samples.keys == (("a", "[]"),)
    assert (samples.calls.tolist(), samples.self_ns.tolist()) == ([[2]], [[5_000]])
    (found,) = find_runs(write_trace(records))
    (row,) = view_operators(found, by="shape", per_forward=True).operators
    assert (row.calls, row.self_host_ns) == (2, 5_000)


def test_a_stack_that_is_given_and_one_of_frames_are_one_row() -> None:
    records = [
        event("f.py(1): f", 0, 50, cat="python_function"),
        event("a", 1, 2, 0),
        event("a", 4, 3, 1, args={"Ev Idx": 1, "Call stack": "f.py(1): f"}),
    ]
    samples = sum_operators(parse(trace_json(records), "t"), by="stack")
    assert samples.keys == (("a", "f.py(1): f"),)
    assert samples.calls.tolist() == [[2]]
