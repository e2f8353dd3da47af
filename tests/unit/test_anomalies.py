"""Sound JSON that is no span with a start and a duration, or has odd times: counted, and never a wrong number."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profkit.trace import dialect
from profkit.trace.events import Trace
from profkit.trace.forward import find_forwards
from profkit.trace.operators import sum_operators
from profkit.trace.options import Detail
from profkit.trace.reading.reader import parse, read
from tests.conftest import ROOT, event, trace_json
from tests.unit.test_cli import run

VENDORS = ROOT / "tests/data/vendors"
FIRST = event("aten::mm", 1, 10)


def found(*records: dict[str, Any]) -> dict[str, int]:
    """What is odd about these records beside one span; that span is always read right."""
    samples = sum_operators(parse(trace_json([FIRST, *records]), "t"))
    assert samples.keys[0] == ("aten::mm", None)
    assert samples.self_ns[0][0] == 10_000
    return {name: count for name, count in samples.anomalies.items() if count}


def figures(trace: Trace) -> dict[str, tuple[int, int]]:
    """Self host and self device time per operator, in ns."""
    samples = sum_operators(trace)
    rows = zip(samples.keys, samples.self_ns[0].tolist(), samples.self_device_ns[0].tolist(), strict=True)
    return {name: (host, device) for (name, _), host, device in rows}


@pytest.mark.parametrize("phase", sorted(dialect.PHASES - {"X", "B", "E"}))
def test_records_of_other_phases_are_counted_by_it(phase: str) -> None:
    trace = parse(trace_json([FIRST, event("aten::mm", 20, 5, ph=phase)]), "t")
    assert trace.other_events == {phase: 1}
    assert len(trace.events) == 1
    assert found(event("aten::mm", 20, 5, ph=phase)) == {}


@pytest.mark.parametrize(("phase", "anomaly"), [("", "no_phase"), ("Q", "unknown_phase"), ("XX", "unknown_phase")])
def test_a_phase_that_nobody_writes_is_an_anomaly(phase: str, anomaly: str) -> None:
    assert found(event("aten::mm", 20, 5, ph=phase)) == {anomaly: 1}


def test_a_record_without_any_field_is_no_anomaly() -> None:
    """JAX ends its traces with one."""
    assert found({}) == {}


@pytest.mark.parametrize("value", ["absent", None])
@pytest.mark.parametrize(
    ("fields", "anomaly"),
    [(["ts"], "no_start"), (["dur"], "no_duration"), (["ts", "dur"], "no_start")],
)
def test_without_a_start_or_a_duration(fields: list[str], anomaly: str, value: str | None) -> None:
    records = [event("aten::add", 20 + k, 0.25) for k in range(3)]
    for name in fields:
        records[1] |= {name: value}
        if value == "absent":
            del records[1][name]
    assert found(*records) == {anomaly: 1}
    trace = parse(trace_json([FIRST, *records]), "t")
    assert trace.events.start_ns.tolist() == [1_000, 20_000, 22_000]


@pytest.mark.parametrize("phase", ["B", "E"])
def test_a_begin_or_an_end_without_a_time(phase: str) -> None:
    assert found({"ph": phase, "cat": "cpu_op", "name": "aten::mm"})["no_start"] == 1


def test_a_begin_and_an_end_without_each_other() -> None:
    mark = {"cat": "cpu_op", "name": "aten::mm", "pid": 1}
    assert found({"ph": "B", "ts": 20, "tid": 1, **mark}) == {"begin_without_end": 1}
    assert found({"ph": "E", "ts": 20, "tid": 1, **mark}) == {"end_without_begin": 1}
    both = {"begin_without_end": 1, "end_without_begin": 1}
    assert found({"ph": "B", "ts": 20, "tid": 1, **mark}, {"ph": "E", "ts": 30, "tid": 2, **mark}) == both
    assert found({"ph": "E", "ts": 20, "tid": 1, **mark}, {"ph": "B", "ts": 30, "tid": 1, **mark}) == both


def test_an_end_closes_the_latest_begin_and_needs_no_name() -> None:
    place = {"cat": "cpu_op", "pid": 1, "tid": 1}
    records = [
        {"ph": "B", "name": "aten::linear", "ts": 20.25, **place},
        {"ph": "B", "name": "aten::addmm", "ts": 30, **place},
        {"ph": "E", "ts": 40, "pid": 1, "tid": 1},
        {"ph": "E", "ts": 50, "pid": 1, "tid": 1},
    ]
    trace = parse(trace_json(records), "t")
    assert figures(trace) == {"aten::linear": (19_750, 0), "aten::addmm": (10_000, 0)}


@st.composite
def call_trees(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Thread, begin and end of spans, each inside another or apart, parents before children; no two times are equal."""
    spans: list[tuple[int, int, int]] = []
    at = 0

    def grow(thread: int, depth: int) -> None:
        nonlocal at
        while len(spans) < 30 and draw(st.booleans()):
            at += 1
            mine = len(spans)
            spans.append((thread, at, 0))
            if depth < 4:
                grow(thread, depth + 1)
            at += 1
            spans[mine] = (thread, spans[mine][1], at)

    for thread in range(2):
        grow(thread, 0)
    return spans


@given(call_trees())
@settings(max_examples=150, deadline=None)
def test_begins_and_ends_give_the_same_as_spans(spans: list[tuple[int, int, int]]) -> None:
    place = {"cat": "cpu_op", "pid": 1}
    whole = [event(f"aten::{k}", 0.125 * b, 0.125 * (e - b), tid=t) for k, (t, b, e) in enumerate(spans)]
    begins = [
        {"ph": "B", "name": f"aten::{k}", "tid": t, "ts": 0.125 * b, **place} for k, (t, b, _) in enumerate(spans)
    ]
    ends = [{"ph": "E", "tid": t, "ts": 0.125 * e, "pid": 1} for t, _, e in spans]
    trace = parse(trace_json([*begins, *ends]), "t")
    assert figures(trace) == figures(parse(trace_json(whole), "t"))
    assert trace.anomalies == {}


def test_a_negative_duration_adds_nothing_to_any_time() -> None:
    operators = [event("aten::mm", 0, 100, 0), event("aten::add", 5, -3, 1), event("aten::mul", 10, 5, 2)]
    kernels = [
        event("gemm", 20, 40, cat="kernel", tid=7, args={"External id": 1}),
        event("gemm", 70, -9, cat="kernel", tid=7, args={"External id": 1}),
    ]
    operators[0]["args"]["External id"] = 1
    trace = parse(trace_json([*operators, *kernels]), "t")
    assert figures(trace) == {"aten::mm": (95_000, 40_000), "aten::add": (0, 0), "aten::mul": (5_000, 0)}
    assert trace.anomalies == {"negative": 2}
    assert sum_operators(trace).anomalies["negative"] == 2
    step = event("ProfilerStep#1", 50, -20, cat="user_annotation")
    wall = find_forwards(parse(trace_json([*operators, step]), "t")).wall_ns
    assert (wall >= 0).all()


@pytest.mark.parametrize("duration", ["1e308", "9e18", "9" * 30, "9" * 4_000])
def test_sums_of_huge_durations_do_not_wrap(duration: str) -> None:
    records = ",".join(
        f'{{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":{k},"ts":0,"dur":{duration}}}' for k in range(2_000)
    )
    trace = parse(f'{{"traceEvents":[{records}]}}'.encode(), "t")
    samples = sum_operators(trace)
    assert samples.anomalies["implausible"] == 2_000
    assert samples.total_ns[0][0] == samples.self_ns[0][0] == int(trace.events.duration_ns[0]) * 2_000 > 0


# devices


def test_the_launches_of_other_vendors() -> None:
    for name in ("mtia.json", "privateuse1-driver.json"):
        assert figures(read(VENDORS / name)) == {"aten::mm": (100_000, 40_000)}, name


def test_the_kernels_of_the_autograd_profiler() -> None:
    """Flows tie them to the operators; the flows are read although nobody asked for them."""
    for detail in (Detail.NONE, Detail.ALL):
        assert figures(read(VENDORS / "cuda-of-the-autograd-profiler.json", detail=detail)) == {
            "add": (134_490, 134_176)
        }


def launched(runtime: str, work: str, correlation: int = 77) -> Trace:
    operator = event("aten::mm", 0, 100, 0)
    call = event("launch", 20, 5, cat=runtime, args={"correlation": correlation})
    return parse(
        trace_json([operator, call, event("gemm", 200, 40, cat=work, tid=9, args={"correlation": correlation})]), "t"
    )


@pytest.mark.parametrize("runtime", sorted(dialect.RUNTIME))
@pytest.mark.parametrize("work", ["kernel", "gpu_memcpy", "gpu_memset", "mtia_ccp_events", "hpu_op"])
def test_every_vendors_calls_launch_work(runtime: str, work: str) -> None:
    trace = launched(runtime, work)
    assert figures(trace) == {"aten::mm": (100_000, 40_000)}
    assert sum_operators(trace).anomalies["unattributed"] == 0


@pytest.mark.parametrize("work", ["npu_kernel", "collective_comm", "mtia_insight"])
def test_work_of_a_category_that_nobody_knows_is_counted(work: str) -> None:
    trace = launched("cuda_runtime", work)
    assert figures(trace) == {"aten::mm": (100_000, 0)}
    assert sum_operators(trace).anomalies["unattributed"] == 1


def test_work_that_no_operator_launched_is_counted() -> None:
    records = [event("aten::mm", 0, 100, 0), event("gemm", 20, 40, cat="kernel", tid=9, args={"correlation": 5})]
    assert sum_operators(parse(trace_json(records), "t")).anomalies["unattributed"] == 1


@given(call_trees(), st.data())
@settings(max_examples=150, deadline=None)
def test_device_times_are_those_of_a_recursion(spans: list[tuple[int, int, int]], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from("abc"), min_size=len(spans), max_size=len(spans)))
    owners = data.draw(st.lists(st.integers(0, len(spans) - 1), max_size=20)) if spans else []
    records = [
        event(names[k], b, e - b, k, tid=t) | {"args": {"Ev Idx": k, "External id": k + 1}}
        for k, (t, b, e) in enumerate(spans)
    ]
    records += [
        event("gemm", 1_000 + 10 * n, n + 1, cat="kernel", tid=99, args={"External id": owner + 1})
        for n, owner in enumerate(owners)
    ]
    parents = [
        max((i for i, (u, c, f) in enumerate(spans) if u == t and c < b and e < f), default=-1) for t, b, e in spans
    ]
    own: dict[str, int] = {}
    total: dict[str, int] = {}
    for n, owner in enumerate(owners):
        own[names[owner]] = own.get(names[owner], 0) + 1_000 * (n + 1)
        above, row = set(), owner
        while row >= 0:
            above.add(names[row])
            row = parents[row]
        for name in above:
            total[name] = total.get(name, 0) + 1_000 * (n + 1)
    samples = sum_operators(parse(trace_json(records), "t"))
    keys = [name for name, _ in samples.keys]
    assert dict(zip(keys, samples.self_device_ns[0].tolist(), strict=True)) == {k: own.get(k, 0) for k in keys}
    assert dict(zip(keys, samples.total_device_ns[0].tolist(), strict=True)) == {k: total.get(k, 0) for k in keys}


# in words


def test_commands_say_what_is_left_out(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    records = [FIRST, event("aten::mm", 20, None), event("aten::add", 30, 5, ph="B"), event("aten::add", 40, -5)]
    path.write_text(json.dumps({"traceEvents": records}))
    expected = ("1 no_duration", "1 begin_without_end", "1 negative")
    for command in (["ops", path], ["info", path], ["diff", path, path]):
        assert run(*command) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert all(words in said for words in expected), command
    assert run("repair", path, tmp_path / "out.json") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"{words} (not repaired)" in said for words in expected)
    assert (tmp_path / "out.json").read_bytes() == path.read_bytes()
