"""What each range of PyTorch versions writes, a GPU, modules, and times in ns: small traces with known figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from profkit.report.formats.text import render_text
from profkit.report.kinds import operators
from profkit.report.kinds.kind import Selection
from profkit.runs import find_runs
from profkit.trace import dialect
from profkit.trace.operators import By, sum_operators
from profkit.trace.options import Detail
from profkit.trace.reading.reader import read
from profkit.trace.spans import nest
from profkit.views.operators import view_operators
from tests.conftest import ROOT
from tests.data.dialects.make import BASE_US, write

DIALECTS = ROOT / "tests/data/dialects"
MAIN = {
    "1.8-to-1.11.json": ("1.8 to 1.11", 1000),
    "1.12.json": ("1.12", 1000),
    "1.13.json": ("1.13", 1000),
    "2.0.json": ("2.0 to 2.3", 1000),
    "2.1-to-2.3.json": ("2.1 to 2.3", 1000),
    "2.4-to-2.7.json": ("2.4 to 2.7", 1),
    "2.8-to-2.15.json": ("2.8 to 2.15", 1),
}
OTHERS = {
    "autograd-profiler.json": "unknown version: exported by the autograd profiler",
    "gpu-1.8-to-1.11.json": "1.8 to 1.11",
    "gpu.json": "2.4 to 2.7",
    "modules.json": "2.0 to 2.3",
    "ranks-in-ns.json": "2.4 to 2.7",
}


def figures(name: str, by: By = "name") -> dict[tuple[str, str | None], tuple[int, ...]]:
    """Calls, self and total host time, self and total device time (ns) of each operator of a file."""
    samples = sum_operators(read(DIALECTS / name), by=by)
    columns = zip(*(column[0].tolist() for column in samples.figures), strict=True)
    return dict(zip(samples.keys, columns, strict=True))


def test_the_files_are_what_the_script_writes() -> None:
    assert write() == {path.name: path.read_text(encoding="utf-8") for path in DIALECTS.glob("*.json")}


def test_every_dialect_has_a_file() -> None:
    known = {versions for versions, _ in MAIN.values()} | set(OTHERS.values())
    assert known == {entry.versions for entry in dialect.DIALECTS}
    assert {*MAIN, *OTHERS} == {path.name for path in DIALECTS.glob("*.json")}


@pytest.mark.parametrize("name", [*MAIN, *OTHERS])
def test_each_is_recognised_and_read_without_a_repair(name: str) -> None:
    trace = read(DIALECTS / name, detail=Detail.ALL)
    assert trace.dialect == (MAIN[name][0] if name in MAIN else OTHERS[name])
    assert trace.repairs == {}


@pytest.mark.parametrize("name", MAIN)
def test_every_dialect_gives_the_same_figures(name: str) -> None:
    trace = read(DIALECTS / name, detail=Detail.ALL)
    resolution_ns = MAIN[name][1]
    fraction = 250 if resolution_ns == 1 else 0
    assert trace.resolution_ns == resolution_ns
    events = trace.operator_events
    assert (events.start_ns + trace.base_ns).tolist() == [BASE_US * 1000 + 100_000, BASE_US * 1000 + 110_000]
    assert trace.shapes == ("[[1, 8], [4, 8], [4]]", "[[4], [1, 8], [8, 4]]")
    assert figures(name) == {
        ("aten::linear", None): (1, 20_000 - fraction, 50_000, 0, 0),
        ("aten::addmm", None): (1, 30_000 + fraction, 30_000 + fraction, 0, 0),
    }


def test_the_exporter_of_the_autograd_profiler() -> None:
    assert figures("autograd-profiler.json") == {
        ("aten::linear", None): (1, 20_250, 50_250, 0, 0),
        ("aten::addmm", None): (1, 30_000, 30_000, 0, 0),
    }


def test_device_work_goes_to_the_operator_that_launched_it() -> None:
    """By its own External id; without one by its launch; work that nobody in the file launched is counted."""
    assert figures("gpu.json") == {
        ("aten::to", None): (1, 10_000, 30_000, 0, 4_250),
        ("aten::copy_", None): (1, 20_000, 20_000, 4_250, 4_250),
        ("aten::linear", None): (1, 10_000, 60_000, 0, 23_625),
        ("aten::addmm", None): (1, 50_000, 50_000, 20_500 + 3_125, 23_625),
    }
    trace = read(DIALECTS / "gpu.json", detail=Detail.ALL)
    samples = sum_operators(trace)
    assert samples.anomalies["unattributed"] == 1
    work = trace.events.take(trace.has_category(dialect.DEVICE))
    assert sorted(work.duration_ns.tolist()) == [2_000, 3_125, 4_250, 20_500]
    assert {trace.tracks[track] for track in work.track} == {(0, 7), (0, 20)}  # the streams
    assert len(trace.flow_records) == 2
    assert {flow[1] for flow in trace.flow_records} == {"ac2g"}


def test_device_times_are_shown_only_if_there_are_any() -> None:
    (run,) = find_runs(DIALECTS / "gpu.json")
    text = render_text(operators.document(view_operators(run), Selection(pattern="addmm")))
    assert "self device" in text
    assert "23.6 µs" in text
    (run,) = find_runs(DIALECTS / "2.0.json")
    assert "device" not in render_text(operators.document(view_operators(run), Selection()))


def test_modules_and_stacks_of_python_frames() -> None:
    modules = {key: calls for key, (calls, *_) in figures("modules.json", "module").items()}
    assert modules == {
        ("aten::relu", "Net_0"): 1,
        ("aten::linear", "Net_0/Linear_0"): 1,
        ("aten::addmm", "Net_0/Linear_0"): 1,
        ("aten::relu", ""): 1,
    }
    stacks = figures("modules.json", "stack")
    forward, net = "net.py(9): forward", "nn.Module: Net_0"
    assert stacks["aten::addmm", f"{forward};{net};nn.Module: Linear_0"][:3] == (1, 20_000, 20_000)
    assert stacks["aten::relu", forward][:3] == (1, 4_000, 4_000)


def test_modules_and_stacks_that_events_name() -> None:
    """Up to 1.13 an operator carries its own."""
    assert set(figures("1.8-to-1.11.json", "module")) == {
        ("aten::linear", "Net/Linear"),
        ("aten::addmm", "Net/Linear"),
    }
    assert set(figures("1.8-to-1.11.json", "stack")) == {
        ("aten::linear", "net.py(3): forward"),
        ("aten::addmm", "net.py(3): forward"),
    }


def test_absolute_times_with_decimals_lose_no_nanosecond() -> None:
    """Read as float64, the second operator would end after the third has begun."""
    events = read(DIALECTS / "ranks-in-ns.json").operator_events
    base_ns = 1_700_000_000_000_000_000
    assert (events.start_ns - base_ns).tolist() == [100_001, 110_130, 140_621]
    assert events.duration_ns.tolist() == [60_333, 30_490, 10_219]
    nesting = nest(events)
    assert nesting.parent.tolist() == [-1, 0, 0]
    assert nesting.anomalies["crossing"] == 0
    assert 1700000000000110.130 + 30.490 > 1700000000000140.621


def plugin_rows(path: Path) -> dict[str, tuple[float, ...]]:
    """Calls, self and total host time, self and total device time (µs), as the TensorBoard plugin has them."""
    pytest.importorskip("torch_tb_profiler", reason="the TensorBoard plugin is not installed")
    from torch_tb_profiler.profiler.data import RunProfileData

    data = RunProfileData.parse("worker", "", str(path), "/tmp")
    data.process()
    return {
        o.name: (o.calls, o.self_host_duration, o.host_duration, o.self_device_duration, o.device_duration)
        for o in data.op_list_groupby_name
    }


@pytest.mark.parametrize("name", [*MAIN, "modules.json"])
def test_the_plugin_has_the_same_host_times(name: str) -> None:
    theirs = plugin_rows(DIALECTS / name)
    ours = {key[0]: tuple(value / 1000 for value in row[1:3]) for key, row in figures(name).items()}
    assert set(theirs) == set(ours)
    for operator, row in theirs.items():
        # it reads times of decimals into a float64, which at epoch microseconds resolves 0.25 µs
        assert row[1:3] == pytest.approx(ours[operator], abs=1.0), operator


def test_the_plugin_loses_a_call_by_its_float64() -> None:
    theirs = plugin_rows(DIALECTS / "ranks-in-ns.json")
    assert {name: row[0] for name, row in theirs.items()} == {"aten::linear": 1, "aten::t": 1}
    assert figures("ranks-in-ns.json")["aten::addmm", None] == (1, 10_219, 10_219, 0, 0)


def test_the_plugin_has_the_same_device_times() -> None:
    """It takes runtime calls off the host time of the operator that makes them; profkit does not."""
    theirs = plugin_rows(DIALECTS / "gpu-1.8-to-1.11.json")
    ours = figures("gpu-1.8-to-1.11.json")
    assert {name: row[3:] for name, row in theirs.items()} == {
        name: tuple(value / 1000 for value in row[3:]) for (name, _), row in ours.items()
    }
    assert ours["aten::copy_", None] == (1, 20_000, 20_000, 4_000, 4_000)
    assert ours["aten::addmm", None] == (1, 50_000, 50_000, 20_000, 20_000)
    assert theirs["aten::copy_"][1] == 20 - 5
    assert theirs["aten::addmm"][1] == 50 - 5
