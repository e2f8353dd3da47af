"""The forward that the user names, annotations that nobody named, and the forwards of several processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profkit.errors import UsageError
from profkit.runs import find_runs, write_manifest
from profkit.runs.measurement import measure
from profkit.trace.forward import find_forwards, unused_annotations, user_annotations
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading.reader import parse, read
from profkit.views.diff import compare_runs
from profkit.views.many import compare_many
from profkit.views.operators import view_operators
from tests.builders import forward, manifest
from tests.conftest import ROOT, event, trace_json
from tests.unit.test_cli import run

RECIPE = ROOT / "tests/data/forwards/recipe-2.15.json"
EVENT_LIST = ROOT / "tests/data/forwards/eventlist-2.15.json"
NAMED = ReadOptions(forward="model_inference")
ANNOTATION = {"cat": "user_annotation"}
Capsys = pytest.CaptureFixture[str]


@pytest.mark.parametrize("path", [RECIPE, EVENT_LIST], ids=lambda path: path.name)
def test_the_recipe_of_the_tutorial(path: Path) -> None:
    """Its ``record_function("model_inference")`` is the forward; without its name there is one envelope."""
    trace = read(path)
    found = find_forwards(trace)
    assert (found.rule, len(found)) == ("envelope", 1)
    named = find_forwards(trace, "model_inference")
    assert (named.rule, len(named)) == ("named", 5)
    assert named.wall_ns.tolist() == [397_690, 62_442, 46_780, 41_802, 40_280]
    assert unused_annotations(trace, found) == {"model_inference": 5}
    assert unused_annotations(trace, named) == {}


def test_every_command_takes_the_name(tmp_path: Path, capsys: Capsys) -> None:
    name = ["--forward", "model_inference"]
    assert run("ops", RECIPE, *name, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["forwards"]["count"] == 5
    assert run("ops", RECIPE, *name, "--per-forward", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["forwards"]["rule"], document["forwards"]["count"]) == ("named", 5)
    assert {row["name"]: row["calls"] for row in document["operators"]}["aten::linear"] == 2
    assert run("info", RECIPE, *name, "--format", "json") == 0
    (trace,) = json.loads(capsys.readouterr().out)["traces"]
    assert (trace["rule"], len(trace["forward_ns"])) == ("named", 5)
    assert run("diff", RECIPE, RECIPE, *name, "--format", "json") == 0
    (workload,) = json.loads(capsys.readouterr().out)["workloads"]
    assert (workload["forward"]["rule"], workload["baseline"]["forwards"]) == ("named", 5)
    for side in ("a", "b"):
        (tmp_path / side / "net").mkdir(parents=True)
        (tmp_path / side / "net/t.json").write_bytes(
            RECIPE.read_bytes().replace(b"12393", b"123" + side.encode().hex()[:2].encode())
        )
    assert run("compare", tmp_path / "a/net", tmp_path / "b/net", *name, "--format", "json") == 0
    assert [r["entries"][0]["wall"]["n"] for r in json.loads(capsys.readouterr().out)["runs"]] == [5, 5]
    assert run("lanes", RECIPE, RECIPE, *name, "-o", tmp_path / "lanes.json") == 0
    lanes = json.loads((tmp_path / "lanes.json").read_bytes())["traceEvents"]
    assert sum(e["name"] == "aten::linear" and e["pid"] == 1 for e in lanes) == 2  # of one forward, not of all five
    pytest.importorskip("pyarrow")
    assert run("export", RECIPE, *name, "--parquet", tmp_path / "tables") == 0
    assert "forwards.parquet  5 rows" in capsys.readouterr().out


def test_an_unknown_name_lists_the_annotations(capsys: Capsys) -> None:
    commands = [["ops", RECIPE], ["info", RECIPE], ["diff", RECIPE, RECIPE], ["lanes", RECIPE, RECIPE]]
    for command in commands:
        assert run(*command, "--forward", "inference") == 2
        error = capsys.readouterr().err
        assert "recipe-2.15.json: the trace has no span named 'inference'" in error
        assert "Its annotations are: model_inference (5)." in error
    other = sorted((ROOT / "traces/2.0/resnet50").glob("vm_*.gz"))[0]
    assert run("diff", RECIPE, other, "--forward", "model_inference") == 2  # the other process reads that side
    assert "It has no annotation: put torch.profiler.record_function(NAME) around" in capsys.readouterr().err


def test_an_error_about_many_long_annotations_is_short(write_trace: Callable[..., Path]) -> None:
    records = [event(f"{k:03}" + "x" * 10_000, 10 * k, 5, **ANNOTATION) for k in range(200)]
    with pytest.raises(UsageError) as error:
        find_forwards(read(write_trace(records)), "y" * 100_000)
    assert len(str(error.value)) < 2000
    assert "and 190 more" in str(error.value)


@pytest.mark.parametrize(
    ("records", "starts"),
    [
        ([event("f", 1, 9, **ANNOTATION), event("f", 2, 3, **ANNOTATION), event("f", 20, 9, **ANNOTATION)], [1, 20]),
        ([event("f", 1, 9, **ANNOTATION), event("f", 30, 9)], [1]),  # an annotation before an operator
        ([event("f", 30, 9), event("aten::relu", 31, 1)], [30]),
        ([event("f", 40, 9, cat="python_function")], [40]),
        ([event("f", 50, 9, cat="gpu_user_annotation"), event("f", 51, 9, **ANNOTATION)], [51]),  # the host's
    ],
)
def test_what_a_name_finds(records: list[dict[str, Any]], starts: list[int]) -> None:
    found = find_forwards(parse(trace_json([*records, event("aten::add", 100, 1)]), "t"), "f")
    assert found.rule == "named"
    assert found.start_ns.tolist() == [start * 1000 for start in starts]


def test_a_name_comes_before_every_rule(write_trace: Callable[..., Path]) -> None:
    records = [*forward(10, ("aten::conv2d", 30)), event("part", 12, 5, **ANNOTATION)]
    (found,) = find_runs(write_trace(records))
    assert view_operators(found).forwards.rule == "annotation"
    assert view_operators(found, options=ReadOptions(forward="part")).forwards.wall_ns == [5_000]


def test_latency_is_not_that_of_a_named_part(tmp_path: Path) -> None:
    """The latency is of the whole forward, so it says nothing of an annotation inside it."""
    for side, us in (("1.13", 20), ("2.0", 10)):
        records = [
            r
            for k in range(3)
            for r in (*forward(1000 * k, ("aten::conv2d", 500)), event("part", 1000 * k + 2, us, **ANNOTATION))
        ]
        described = manifest(side, 1, 600)
        (tmp_path / side / "net").mkdir(parents=True)
        (tmp_path / side / "net/0.pt.trace.json").write_bytes(trace_json(records))
        write_manifest(tmp_path / side / "net", described)
    sides, part = (tmp_path / "1.13", tmp_path / "2.0"), ReadOptions(forward="part")
    (workload,) = compare_runs(*sides, options=part).workloads
    assert (workload.latency, workload.forward.speedup) == (None, pytest.approx(2.0))
    assert compare_runs(*sides).workloads[0].latency is not None
    overview = compare_many(sides, options=part)
    assert (overview.walls, overview.runs[1].entries[0].speedup) == ({"net": "profiled"}, pytest.approx(2.0))


# hints


def test_a_hint_names_the_option(capsys: Capsys) -> None:
    hint = "annotations repeat that were not taken for forwards: model_inference (5 times). If one of them is the "
    for command in ("ops", "info"):
        assert run(command, RECIPE) == 0
        assert hint in capsys.readouterr().out.replace("\n", " ")
        assert run(command, RECIPE, "--forward", "model_inference") == 0
        assert "Hint" not in capsys.readouterr().out
    assert measure(find_runs(RECIPE)[0]).hints[0].endswith("forward, name it: --forward model_inference")


def test_annotations_that_are_no_hint() -> None:
    own = ["ProfilerStep#1", "Optimizer.step#SGD.step", "enumerate(DataLoader)#_Iter.__next__", "nccl:all_reduce"]
    records = [event(name, 10 * k, 5, **ANNOTATION) for k, name in enumerate(own * 2)]
    records += [event("once", 200, 5, **ANNOTATION), event("mine it's", 210, 5, **ANNOTATION)]
    records += [event("mine it's", 220, 5, **ANNOTATION), event("aten::relu", 221, 1)]
    trace = parse(trace_json(records), "t")
    assert user_annotations(trace) == {"mine it's": 2, "once": 1}
    assert unused_annotations(trace, find_forwards(trace)) == {"mine it's": 2}


def test_old_exporters_write_annotations_as_operators() -> None:
    names = ["aten::linear", "AddmmBackward0", "predict", "predict"]
    records = [event(name, 10 * k, 5, cat="Operator") for k, name in enumerate(names)]
    trace = parse(trace_json(records), "t")
    assert trace.dialect == "1.8 to 1.11"
    assert user_annotations(trace) == {"predict": 2}
    assert find_forwards(trace, "predict").start_ns.tolist() == [20_000, 30_000]


# processes


def test_each_process_of_a_file_has_its_own_envelope() -> None:
    records = [event("aten::a", 10, 5, pid=1), event("aten::b", 20, 5, pid=2), event("aten::a", 30, 5, pid=1)]
    records.append(event("aten::b", 60, 5, pid=2, tid=9))
    trace = parse(trace_json(records), "t")
    found = find_forwards(trace)
    assert (found.start_ns.tolist(), found.end_ns.tolist()) == ([10_000, 20_000], [35_000, 65_000])
    assert found.of(trace.operator_events).tolist() == [0, 1, 0, 1]


def test_a_helper_thread_works_for_the_forward_of_its_process() -> None:
    records = [
        event("profkit.forward", 0, 100, **ANNOTATION, pid=1),
        event("profkit.forward", 10, 100, **ANNOTATION, pid=2),
        event("aten::a", 20, 1, pid=1, tid=5),
        event("aten::a", 20, 1, pid=2, tid=5),
        event("aten::a", 105, 1, pid=1, tid=5),  # after the forward of its process
        event("aten::a", 105, 1, pid=2, tid=5),
    ]
    trace = parse(trace_json(records), "t", Detail.NONE)
    assert find_forwards(trace).of(trace.operator_events).tolist() == [0, 1, -1, 1]
