"""Other people's real traces, beside the TensorBoard plugin's operator table, run in this process."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profkit.trace import dialect
from profkit.trace.events import Trace
from profkit.trace.file import TraceFile
from profkit.trace.forward import find_forwards
from profkit.trace.operators import sum_operators
from profkit.trace.reading.reader import read, write_mended
from profkit.trace.spans import nest
from tests.conftest import FIXTURES, ROOT, needs_fixtures

pytest.importorskip("torch_tb_profiler", reason="the TensorBoard plugin is not installed")

GPU = ["tb_plugin/resnet50_num_workers_0.worker0.1623143089861.pt.trace.json.gz", "tracelens/h100_bert_small.json.gz"]
CPU = ["hta/rank_non_gpu.json.gz", "hta/cpu_only_rank-34.pt.trace.json.gz"]
OURS = sorted((ROOT / "traces").glob("*/*/*.json.gz"))[::4]
AARCH64 = sorted((ROOT / "tests/data/aarch64").glob("*.json.gz"))
PLUGIN_RUNTIME = frozenset({"runtime"})
Row = tuple[int, float, float, float, float]


def plugin_rows(path: Path) -> dict[str, Row]:
    """Calls, self and total host time, self and total device time (µs) per operator, as the plugin has them."""
    from torch_tb_profiler.profiler.data import RunProfileData

    data = RunProfileData.parse("worker", "", str(path), "/tmp")
    data.process()
    return {
        o.name: (o.calls, o.self_host_duration, o.host_duration, o.self_device_duration, o.device_duration)
        for o in data.op_list_groupby_name
    }


def our_rows(trace: Trace) -> dict[str, Row]:
    s = sum_operators(trace)
    columns = zip(
        s.keys, s.calls[0], s.self_ns[0], s.total_ns[0], s.self_device_ns[0], s.total_device_ns[0], strict=True
    )
    return {key[0]: (int(c), *(float(v) / 1000 for v in values)) for key, c, *values in columns}


def runtime_us(trace: Trace) -> dict[str, float]:
    """Time of the runtime calls whose External id an operator has, which the plugin takes off its self time."""
    operators, calls = trace.operator_events, trace.events.take(trace.has_category(PLUGIN_RUNTIME))
    names = {int(i): trace.names[n] for i, n in zip(operators.external_id, operators.name, strict=True)}
    found: dict[str, float] = {}
    for external, ns in zip(calls.external_id.tolist(), calls.duration_ns.tolist(), strict=True):
        if external in names:
            found[names[external]] = found.get(names[external], 0.0) + ns / 1000
    return found


def device_us_by_launch(trace: Trace, categories: frozenset[str]) -> dict[str, float]:
    """Device time per operator, by the External id of the runtime call that launched the work."""
    operators, calls = trace.operator_events, trace.events.take(trace.has_category(categories))
    work = trace.events.take(trace.has_category(dialect.DEVICE))
    names = {int(i): trace.names[n] for i, n in zip(operators.external_id, operators.name, strict=True)}
    launches = dict(zip(calls.correlation.tolist(), calls.external_id.tolist(), strict=True))
    found: dict[str, float] = {}
    for correlation, ns in zip(work.correlation.tolist(), work.duration_ns.tolist(), strict=True):
        if (name := names.get(launches.get(correlation, -1))) is not None:
            found[name] = found.get(name, 0.0) + ns / 1000
    return found


THEIRS = [pytest.param(FIXTURES / name, marks=needs_fixtures, id=name) for name in CPU]


@pytest.mark.parametrize("path", [*THEIRS, *(pytest.param(path, id=path.name) for path in (*OURS, *AARCH64))])
def test_host_times_of_cpu_traces(path: Path) -> None:
    """Names are the same; calls and times differ only as the rules do.

    The plugin orders by (start, -end), drops a child that crosses its parent's end, merges an only child of the same
    name, and counts nested calls of one name twice in the total. So it may have fewer calls, never more, and where it
    has as many calls, the self times of operators that call none of what is missing agree to its float of µs.
    """
    trace = read(path)
    theirs, ours = plugin_rows(path), our_rows(trace)
    assert set(theirs) <= set(ours)
    nested_in_itself = self_callers(trace)
    lost = {name for name in ours if name not in theirs or theirs[name][0] != ours[name][0]}
    for name, (calls, self_us, total_us, _, _) in theirs.items():
        assert calls <= ours[name][0], name
        if name not in lost | nested_in_itself and trace.resolution_ns == 1:
            assert total_us == pytest.approx(ours[name][2], abs=0.5), name
            assert self_us == pytest.approx(ours[name][1], abs=0.5), name
        if name not in lost | nested_in_itself:
            assert total_us == pytest.approx(ours[name][2], abs=0.5), name
    assert lost <= nested_in_itself | {"aten::empty"} | leaves(trace), lost


def self_callers(trace: Trace) -> set[str]:
    """Names of operators that stand somewhere under a call of their own name."""
    events = trace.operator_events
    parent = nest(events).parent
    found, ancestor = set(), parent.copy()
    while (ancestor >= 0).any():
        same = (ancestor >= 0) & (events.name[ancestor] == events.name)
        found |= {trace.names[i] for i in np.unique(events.name[same])}
        ancestor = np.where(ancestor >= 0, parent[ancestor], -1)
    return found


def leaves(trace: Trace) -> set[str]:
    """Names of operators that call no other: those that a clock of 1 µs truncates to nothing."""
    events = trace.operator_events
    nesting = nest(events)
    callers = {trace.names[i] for i in np.unique(events.name[nesting.parent[nesting.parent >= 0]])}
    return {trace.names[i] for i in np.unique(events.name)} - callers


@needs_fixtures
@pytest.mark.parametrize("name", GPU)
def test_device_times(name: str) -> None:
    """Self times per operator are the plugin's, but for two of its rules, which a model of them predicts.

    It takes the runtime calls that carry an operator's External id off that operator's self host time, and ties
    device work to operators by such calls only. It knows them by the category of 1.8 to 1.11, Runtime, alone: on
    newer traces it has no device time at all. There profkit's figures, by the kernels' own ids, are checked against
    the other way round, by correlation and launch.
    """
    trace = read(FIXTURES / name)
    theirs, ours = plugin_rows(FIXTURES / name), our_rows(trace)
    runtime, by_launch = runtime_us(trace), device_us_by_launch(trace, PLUGIN_RUNTIME)
    every_launch = device_us_by_launch(trace, dialect.RUNTIME)
    assert len(theirs) > 20
    for operator, (calls, self_us, _, self_device_us, _) in theirs.items():
        row = ours[operator]
        if calls == row[0] and operator not in self_callers(trace):
            assert self_device_us == pytest.approx(by_launch.get(operator, 0.0), abs=1.0), operator
            assert self_us == pytest.approx(row[1] - runtime.get(operator, 0.0), abs=1.0 + 0.01 * row[1]), operator
        assert row[3] == pytest.approx(every_launch.get(operator, 0.0), abs=1.0), operator
    assert sum(row[3] for row in ours.values()) > 0


@needs_fixtures
def test_all_device_work_is_attributed_or_counted() -> None:
    for name in [*GPU, "tracelens/mi300_bert_small.json.gz", "tracelens/trace.json.gz", "hta/triton_example.json.gz"]:
        trace = read(FIXTURES / name)
        samples = sum_operators(trace)
        work = trace.events.take(trace.has_category(dialect.DEVICE))
        attributed = int(samples.self_device_ns.sum())
        total = int(work.duration_ns.sum())
        assert attributed == total or samples.anomalies["unattributed"] > 0
        assert attributed >= 0.95 * total, name


@needs_fixtures
@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("tb_plugin/resnet50_num_workers_0.worker0.1623143089861.pt.trace.json.gz", "1.8 to 1.11"),
        ("hta/rank_non_gpu.json.gz", "1.13"),
        ("hta/simple_add_trace.json.gz", "2.0 to 2.3"),
        ("hta/inference_rank_1.json.gz", "1.8 to 1.11"),
    ],
)
def test_dialects(name: str, versions: str) -> None:
    assert read(FIXTURES / name).dialect == versions


def test_modules_and_stacks() -> None:
    """By module and by stack every call is counted once; modules come from frames, stacks from the events too."""
    others = FIXTURES / "hta/rank_non_gpu.json.gz"
    for path in (ROOT / "tests/data/aarch64/2.0.1-eager-FP32.pt.trace.json.gz", others):
        if not path.is_file():
            continue
        trace = read(path)
        whole = sum_operators(trace)
        for by in ("module", "stack", "shape"):
            samples = sum_operators(trace, by=by)
            assert samples.calls.sum() == whole.calls.sum()
            assert samples.self_ns.sum() == whole.self_ns.sum()
    trace = read(ROOT / "tests/data/aarch64/2.0.1-eager-FP32.pt.trace.json.gz")
    table = TraceFile(trace).operators("module").to_pandas()
    convolutions = table[table["name"] == "aten::conv2d"]
    assert len(convolutions) == 53
    assert all(module.startswith("ResNet_0/") for module in convolutions["module"])
    assert convolutions["module"].str.contains("Bottleneck").sum() == 52


@needs_fixtures
def test_several_threads_and_a_training_trace() -> None:
    trace = read(FIXTURES / "hta/ns_resolution_rank-0.pt.trace.json.gz")
    assert len(np.unique(trace.operator_events.track)) > 1
    assert any(name.startswith("autograd::engine::evaluate_function") for name in trace.names)
    assert {flow[1] for flow in trace.flow_records} == {"fwdbwd", "ac2g"}
    forwards = find_forwards(trace)
    samples = sum_operators(trace, forwards)
    inside = int((forwards.of(trace.operator_events) >= 0).sum())
    assert samples.calls.sum() == inside


@needs_fixtures
def test_a_float64_would_make_overlaps() -> None:
    """Absolute µs with fractions: read as float64, 63 operators seem to cross their parent's end; none does."""
    path = FIXTURES / "hta/ns_resolution_rank-0.pt.trace.json.gz"
    events = read(path).operator_events
    assert nest(events).anomalies["crossing"] == 0
    records = [r for r in json.loads(gzip.decompress(path.read_bytes()))["traceEvents"] if r.get("cat") == "cpu_op"]
    start, end = (np.array(c) * 1_000 for c in zip(*((r["ts"], r["ts"] + r["dur"]) for r in records), strict=True))
    start_ns, end_ns = start.astype(np.int64), end.astype(np.int64)
    assert nest(replace(events, start_ns=start_ns, duration_ns=end_ns - start_ns)).anomalies["crossing"] == 63


@needs_fixtures
def test_all_detail_is_there_on_demand() -> None:
    trace: Any = TraceFile(read(FIXTURES / "tracelens/h100_bert_small.json.gz"))
    assert len(trace.spans()) == len(trace.trace.events)
    assert len(trace.flows()) == 86 + 107
    assert trace.spans().to_arrow().num_rows == len(trace.trace.events)
    assert trace.forwards()["wall_ns"].tolist() == [4426114]


def test_a_mended_trace_opens_in_the_plugin(tmp_path: Path) -> None:
    """A real trace, cut in the middle and with a raw newline in a name: strict JSON again, with the same operators."""
    text = gzip.decompress(OURS[0].read_bytes())
    broken = text[: len(text) * 2 // 3].replace(b'"aten::conv2d"', b'"aten::conv\n2d"', 1)
    (tmp_path / "broken.pt.trace.json").write_bytes(broken)
    mended = tmp_path / "mended.pt.trace.json"
    assert set(write_mended(tmp_path / "broken.pt.trace.json", mended).repairs) == {
        "raw newline in a string",
        "file ends in mid-event",
    }
    json.loads(mended.read_bytes())
    theirs = plugin_rows(mended)
    assert set(theirs) <= set(our_rows(read(mended)))
    assert theirs["aten::mkldnn_convolution"][0] > 100
