"""Traces without operators: what they are instead is said, and device work is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profkit.errors import InputError
from profkit.report.kinds import operators
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.runs import find_runs
from profkit.runs.measurement import measure
from profkit.trace.nature import nature_of
from profkit.trace.reading.reader import read
from profkit.views.information import describe_run
from profkit.views.operators import view_operators
from tests.conftest import ROOT, event
from tests.unit.test_cli import run

FILES = ROOT / "tests/data/without_operators"
Capsys = pytest.CaptureFixture[str]


def frame(category: str, name: str = "x", **more: Any) -> dict[str, Any]:
    return {**event(name, 1, 2, cat=category), **more}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("metadata-only.json", "It holds metadata only (2 names of processes and threads): nothing was recorded; "),
        ("no-events.json", "It has no events at all: nothing ran while it was recorded"),
        ("null-events.json", "It has no events at all: nothing ran while it was recorded"),
        ("gpu-step-only.json", "It holds device work only (2 kernels and copies): record with activities=[Profiler"),
    ],
)
def test_it_says_what_it_is_instead(name: str, said: str, capsys: Capsys) -> None:
    assert run("ops", FILES / name) == 0
    assert said in capsys.readouterr().out
    assert run("info", FILES / name) == 0
    assert said[:30] in capsys.readouterr().out
    assert run("diff", FILES / name, ROOT / "traces/2.0/resnet50") == 3
    assert "has no operator, so it has no forward either. It h" in capsys.readouterr().err


def test_a_trace_of_jax_is_refused_by_name(capsys: Capsys) -> None:
    path = FILES / "jax-empty-event.json"
    for command in (["ops", path], ["diff", path, path], ["compare", path, path], ["lanes", path, path]):
        assert run(*command) in (2, 3)  # compare: one run twice
    error = capsys.readouterr().err
    assert "jax-empty-event.json: is a trace of JAX or XLA, not of torch.profiler. Pass a trace that torch.pr" in error
    assert "It is a trace of JAX or XLA, not of torch.profiler." in error
    assert run("info", path) == 0
    assert "JAX or XLA" in capsys.readouterr().out


TF = {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "/job:localhost/replica:0/task:0/device:CPU:0"}}
PROGRAMS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "TensorFlow": ([TF, frame("Op", "MatMul")], {}),
    "JAX or TensorFlow (the profiler of XLA)": (
        [frame("", "ThreadpoolListener")],
        {"metadata": {"highres-ticks": True}},
    ),
    "ONNX Runtime": ([frame("Session", "model_loading_uri"), frame("Node", "conv1_kernel_time")], {}),
    "Chrome or Perfetto": ([frame("devtools.timeline", "RunTask"), frame("__metadata", ph="M")], {}),
    "Clang (-ftime-trace)": ([frame("", "ExecuteCompiler")], {"beginningOfTime": 1}),
    "VizTracer": ([frame("FEE", "f (a.py:1)")], {"viztracer_metadata": {"version": "0.16"}}),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_other_programs_write_chrome_traces_too(program: str, write_trace: Callable[..., Path], capsys: Capsys) -> None:
    records, header = PROGRAMS[program]
    path = write_trace(records, **header)
    assert run("ops", path) == 3
    assert f"is a trace of {program}, not of torch.profiler" in capsys.readouterr().err
    assert describe_run(find_runs(path)[0]).traces[0].dialect == program


@pytest.mark.parametrize(
    ("records", "said", "is_foreign"),
    [
        (
            [frame("python_function", "a.py(1): f")],
            "no operators, only 1 spans of the categories python_function",
            False,
        ),
        ([frame("user_annotation"), frame("kernel")], "device work but no operators (1 kernels and copies)", False),
        ([frame("mtia_runtime")], "no operators, only 1 spans of the categories mtia_runtime", False),
        ([frame("", "aten::relu")], "Its 1 spans lack the category cpu_op", False),
        ([frame("render", "draw")], "a Chrome trace of another program, not of torch.profiler: 1 spans", True),
        ([{"ph": "C", "name": "memory", "ts": 1}], "no spans, only other records (1 of phase C)", False),
    ],
)
def test_kinds_of_traces_without_operators(
    records: list[dict[str, Any]], said: str, is_foreign: bool, write_trace: Callable[..., Path]
) -> None:
    nature = nature_of(read(write_trace(records)))
    assert nature is not None
    assert said in nature.text
    assert nature.is_foreign == is_foreign
    assert len(nature.text) < 500


def test_a_trace_with_operators_is_one(write_trace: Callable[..., Path]) -> None:
    """Whatever the names in it look like."""
    trace = read(write_trace([event("hlo_module", 1, 2, 0), event("viztracer_metadata", 4, 2, 1)], schemaVersion=1))
    assert nature_of(trace) is None
    assert trace.dialect == "2.0 to 2.3"


# device work


def test_a_device_only_trace_shows_its_kernels() -> None:
    view = view_operators(find_runs(FILES / "gpu-step-only.json")[0])
    assert [(k.name, k.category, k.calls, k.device_ns) for k in view.kernels] == [
        ("gemm", "kernel", 1, 50_250),
        ("relu", "kernel", 1, 10_250),
    ]
    assert view.contents is not None
    for form in ("text", "markdown", "html"):
        text = render(operators.KIND, view, form, Selection())
        assert "gemm" in text
        assert "50.2 µs" in text or "50.3 µs" in text
    chosen = render(operators.KIND, view, "text", Selection(pattern="relu"))
    assert "gemm" not in chosen
    assert "16.9%" in chosen  # of all device work, selected or not
    document = json.loads(render(operators.KIND, view, "json", Selection(top=1)))
    assert [kernel["name"] for kernel in document["kernels"]] == ["gemm"]


def test_kernels_of_one_name_are_summed(write_trace: Callable[..., Path]) -> None:
    records = [frame("kernel", "a", dur=3), frame("kernel", "b", dur=9), frame("kernel", "a", dur=4)]
    records += [frame("gpu_memcpy", "a", dur=1)]
    view = view_operators(find_runs(write_trace(records))[0])
    assert [(k.name, k.category, k.calls, k.device_ns) for k in view.kernels] == [
        ("b", "kernel", 1, 9_000),
        ("a", "kernel", 2, 7_000),
        ("a", "gpu_memcpy", 1, 1_000),
    ]


def test_kernels_are_not_listed_beside_operators() -> None:
    view = view_operators(find_runs(ROOT / "tests/data/dialects/gpu.json")[0])
    assert (view.kernels, view.contents) == ([], None)


# beside others


def test_a_trace_without_operators_beside_others_is_left_out(write_trace: Callable[..., Path], tmp_path: Path) -> None:
    write_trace([event("aten::relu", 1, 2, 0)], "run/a.json")
    write_trace([{"ph": "M", "name": "process_name", "pid": 1}], "run/b.json")
    (found,) = find_runs(tmp_path / "run")
    measured = measure(found)
    assert [len(forwards) for forwards in measured.forward_ns] == [1]
    (warning,) = measured.warnings
    assert warning.startswith("b.json is left out. It holds metadata only")
    view = view_operators(found)
    assert [row.name for row in view.operators] == ["aten::relu"]
    assert view.warnings[0].startswith("b.json has no operator. It holds metadata only")
    assert view.contents is None


def test_only_traces_without_forwards_is_an_error(write_trace: Callable[..., Path], tmp_path: Path) -> None:
    for name in "ab":
        write_trace([{"ph": "M", "name": f"process_name {name}", "pid": 1}], f"run/{name}.json")
    (found,) = find_runs(tmp_path / "run")
    with pytest.raises(InputError, match=r"a\.json: has no operator, so it has no forward either\. It holds metadata"):
        measure(found)
