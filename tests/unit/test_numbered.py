"""Operators that torch.compile numbers: paired without their numbers if the sides number them differently."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from profkit.comparison.calls.renamed import canonical
from profkit.comparison.records.diff import OperatorChange
from profkit.report.kinds import diff
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.runs.measurement import measure
from profkit.runs.store import find_runs
from profkit.trace.events import Trace
from profkit.trace.generated import stem, under_stems
from profkit.trace.operators import sum_operators
from profkit.trace.options import By
from profkit.trace.reading.reader import parse
from profkit.views.diff import compare_runs
from tests.builders import forward
from tests.conftest import ROOT, event, trace_json

COMPILED = ROOT / "tests/data/compiled"
STEMS = {
    "Torch-Compiled Region: 0/0": "Torch-Compiled Region",
    "Torch-Compiled Region: 12/3_1": "Torch-Compiled Region",
    "Torch-Compiled Region: !0/0/0": "Torch-Compiled Region",
    "Torch-Compiled Region": "Torch-Compiled Region",
    "graph_0_cpp_fused_relu_0": "cpp_fused_relu",
    "cpp_fused_relu_1": "cpp_fused_relu",
    "graph_0_cpp_fused__mkl_linear_add_mul_relu_151": "cpp_fused__mkl_linear_add_mul_relu",
    "cpp_fused_0": "cpp_fused",
    "cpp_fused_conv2d_3": "cpp_fused_conv2d",
    "cpp_CppMicroGemmFP32Vec_threads8_2": "cpp_CppMicroGemmFP32Vec_threads8",
    "triton_poi_fused_add_cos_sin_0": "triton_poi_fused_add_cos_sin",
    "triton_red_fused__unsafe_view_add_mean_mul_pow_rsqrt_1": "triton_red_fused__unsafe_view_add_mean_mul_pow_rsqrt",
    "triton_poi_fused_add_0d1d2de": "triton_poi_fused_add",
    "triton_poi_fused_add_3_0d1d2d3de": "triton_poi_fused_add",
    "triton__0d1d": "triton_",
    "## Call CompiledFxGraph fal4xpiah2v6blbfmwwonu52dvevbsmlh743q5tkclrt4gcqpzea ##": "## Call CompiledFxGraph",
}


@pytest.mark.parametrize("name", STEMS)
def test_forms_of_names(name: str) -> None:
    assert stem(name) == STEMS[name]
    assert stem(STEMS[name]) == STEMS[name]
    assert canonical(name) == STEMS[name]


@pytest.mark.parametrize(
    "name",
    ["aten::conv2d", "forward", "ProfilerStep#3", "my_op_1", "nn.Module: Linear_0", "cpp_stage_1", "AddBackward0", ""],
)
def test_numbers_that_mean_something(name: str) -> None:
    assert stem(name) is None
    assert canonical(name) == name


def test_hostile_names_take_no_time() -> None:
    begin = time.monotonic()
    for name in (
        "triton" + "_0" * 450 + "!",
        "triton_" + "0" * 900 + "!",
        "cpp_fused" + "_1" * 450 + "!",
        "triton" * 10**7,
    ):
        assert stem(name) is None
    assert time.monotonic() - begin < 1


def operators(by: By = "name") -> dict[str, OperatorChange]:
    found = compare_runs(COMPILED / "compiled-a.json", COMPILED / "compiled-b.json", by)
    return {o.name: o for o in found.workloads[0].operators}


@pytest.mark.parametrize("by", ["name", "shape"])
def test_names_with_counters_are_paired(by: By) -> None:
    found = operators(by)
    assert set(found) == {"Torch-Compiled Region", "cpp_fused_relu", "aten::addmm"}
    relu = found["cpp_fused_relu"]
    assert relu.baseline is not None
    assert relu.candidate is not None
    assert (round(relu.baseline.self_host_ns), round(relu.candidate.self_host_ns)) == (100_000, 150_000)
    assert (relu.baseline_names, relu.candidate_names) == (["graph_0_cpp_fused_relu_0"], ["cpp_fused_relu_1"])
    region = found["Torch-Compiled Region"]
    assert (region.baseline_names, region.candidate_names) == (
        ["Torch-Compiled Region: 0/0"],
        ["Torch-Compiled Region: 0/1"],
    )
    assert found["aten::addmm"].baseline_names == []


def test_nothing_is_removed_unpaired_or_implemented_otherwise() -> None:
    (workload,) = compare_runs(COMPILED / "compiled-a.json", COMPILED / "compiled-b.json").workloads
    assert {o.verdict for o in workload.operators} <= {"inconclusive", "unresolved"}
    assert (workload.implementations, workload.unpaired) == ([], [])
    assert [c.name for c in workload.calls if c.baseline and c.candidate] == [c.name for c in workload.calls]
    assert sum(o.delta_ns for o in workload.attribution.operators) == 0
    names = {share.name: share.delta_ns for share in workload.attribution.operators}
    assert (names["cpp_fused_relu"], names["Torch-Compiled Region"]) == (50_000, -50_000)


def test_the_report_says_that_they_were_paired() -> None:
    comparison = compare_runs(COMPILED / "compiled-a.json", COMPILED / "compiled-b.json")
    said = (
        "cpp_fused_relu: paired although torch.compile numbers its names differently: graph_0_cpp_fused_relu_0 in "
        "compiled-a, cpp_fused_relu_1 in compiled-b."
    )
    for form in ("text", "html"):
        assert said in render(diff.KIND, comparison, form, Selection())
    assert said.replace("_", "\\_") in render(diff.KIND, comparison, "markdown", Selection())
    assert '"cpp_fused_relu_1"' in render(diff.KIND, comparison, "json", Selection())


def compiled(folder: Path, *operators: tuple[str, int]) -> Path:
    folder.mkdir(parents=True)
    for n in range(2):
        records = [r for k in range(3) for r in forward(10_000 * k, *operators, scale=1 + 0.01 * n)]
        (folder / f"{n}.json").write_bytes(trace_json(records))
    return folder


def rows(before: Path, after: Path) -> dict[str, tuple[float | None, float | None]]:
    (workload,) = compare_runs(before, after).workloads
    return {
        o.name: (o.baseline and round(o.baseline.calls), o.candidate and round(o.candidate.calls))
        for o in workload.operators
    }


def test_the_same_numbers_on_both_sides_tell_kernels_apart(tmp_path: Path) -> None:
    kernels = (("cpp_fused_relu_0", 100), ("cpp_fused_relu_1", 200))
    found = rows(compiled(tmp_path / "a", *kernels), compiled(tmp_path / "b", *kernels))
    assert found == {"cpp_fused_relu_0": (1, 1), "cpp_fused_relu_1": (1, 1)}


def test_different_numbers_make_one_row_of_all(tmp_path: Path) -> None:
    """One graph more shifts the numbers, so that an equal name is no sign of the same kernel."""
    before = compiled(tmp_path / "a", ("cpp_fused_relu_0", 100), ("cpp_fused_relu_1", 200))
    after = compiled(tmp_path / "b", ("cpp_fused_relu_1", 100), ("cpp_fused_relu_2", 200))
    assert rows(before, after) == {"cpp_fused_relu": (2, 2)}


def test_a_stem_on_one_side_keeps_its_names(tmp_path: Path) -> None:
    before = compiled(tmp_path / "a", ("cpp_fused_relu_0", 100), ("aten::add", 50))
    after = compiled(tmp_path / "b", ("aten::relu", 100), ("aten::add", 50))
    assert rows(before, after) == {"cpp_fused_relu_0": (1, None), "aten::relu": (None, 1), "aten::add": (1, 1)}


def test_an_older_version_without_numbers_is_paired_too(tmp_path: Path) -> None:
    before = compiled(tmp_path / "a", ("Torch-Compiled Region", 100))
    after = compiled(tmp_path / "b", ("Torch-Compiled Region: 0/0", 100), ("Torch-Compiled Region: 1/0", 100))
    assert rows(before, after) == {"Torch-Compiled Region": (1, 2)}


def nested() -> Trace:
    """A compiled region that calls another one: the total time of both together is that of the outer one."""
    records = [event("Torch-Compiled Region: 0/0", 10, 100, 1), event("Torch-Compiled Region: 1/0", 20, 30, 2)]
    return parse(trace_json([*records, event("aten::relu", 25, 5, 3)]), "t")


def test_total_times_of_one_name_are_a_union() -> None:
    trace = under_stems(nested())
    assert trace is not None
    samples = sum_operators(trace)
    figures: dict[str, Sequence[int]] = {
        key[0]: [int(f[0, k]) for f in samples.figures[:3]] for k, key in enumerate(samples.keys)
    }
    assert figures == {"Torch-Compiled Region": [2, 95_000, 100_000], "aten::relu": [1, 5_000, 5_000]}


def test_a_trace_without_numbered_names_is_not_summed_twice(write_trace: Callable[..., Path]) -> None:
    assert under_stems(parse(trace_json([event("aten::relu", 1, 2, 0)]), "t")) is None
    (found,) = find_runs(write_trace(forward(0, ("aten::relu", 10))))
    assert measure(found, with_calls=True).stem_tables == {}
