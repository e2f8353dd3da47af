"""Comparisons: what is paired, what is shown, what is warned of."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from profkit.cli.commands.capture import command as capture_command_line
from profkit.comparison.gate import judge
from profkit.comparison.gate_rules import parse_rule
from profkit.comparison.records.parts import Judged
from profkit.errors import InputError, UsageError
from profkit.report.kinds import diff
from profkit.report.kinds.diff.rows import select
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.runs import find_runs, write_manifest
from profkit.views.diff import compare_runs
from tests.builders import forward, manifest, write_run
from tests.conftest import event, trace_json


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    write_run(
        tmp_path / "1.13/net",
        manifest("1.13", 3, 1600),
        *[("aten::conv2d", 1000), ("aten::relu", 500), ("aten::tiny", 3), ("aten::gone", 50)],
    )
    write_run(
        tmp_path / "2.0/net",
        manifest("2.0", 3, 1000),
        *[("aten::conv2d", 400), ("aten::relu", 505), ("aten::tiny", 2), ("aten::new", 30)],
    )
    return tmp_path / "1.13", tmp_path / "2.0"


def test_what_changed(pair: tuple[Path, Path]) -> None:
    found = compare_runs(*pair)
    (workload,) = found.workloads
    # the rounds differ by 2% each, and a side is their geometric mean
    expected = [
        ("aten::conv2d", "faster", 2.5, -600_000.0),
        ("aten::gone", "removed", None, -50_000.0),
        ("aten::new", "added", None, 30_000.0),
        ("aten::relu", "inconclusive", 500 / 505, 5_000.0),
        ("aten::tiny", "unresolved", 1.5, -1_000.0),
    ]
    assert [(o.name, o.verdict) for o in workload.operators] == [(name, verdict) for name, verdict, *_ in expected]
    for operator, (_, _, speedup, delta_ns) in zip(workload.operators, expected, strict=True):
        assert operator.speedup == (None if speedup is None else pytest.approx(speedup, rel=1e-3))
        assert operator.delta_ns == pytest.approx(delta_ns, rel=1e-3)
    assert workload.forward.verdict == "faster"
    assert workload.forward.baseline_ns == pytest.approx(1_558_000.0, rel=1e-3)
    assert workload.latency is not None
    assert workload.latency.speedup == pytest.approx(1.6)
    assert found.geomean_speedup.speedup == pytest.approx(1.6)
    assert [(d.field, d.baseline, d.candidate, d.expected) for d in found.differences] == [
        ("torch.version", "1.13.1", "2.0.1", True)
    ]
    assert found.warnings == []


def test_of_itself_nothing_changed(pair: tuple[Path, Path]) -> None:
    found = compare_runs(pair[0], pair[0])
    # rounds that differ by 2% cannot show that nothing changed by less than 2%, nor a 1 µs clock on 3 µs
    assert {o.verdict for o in found.workloads[0].operators} == {"unresolved"}
    assert found.workloads[0].forward.speedup == 1.0
    assert found.differences == []


def test_every_time_lies_in_its_interval(pair: tuple[Path, Path]) -> None:
    (workload,) = compare_runs(*pair).workloads
    latency, forward = workload.latency, workload.forward
    assert latency is not None
    timed = [
        (getattr(side, f"{p}_ns"), getattr(side, f"{p}_interval"))
        for side in (latency.baseline, latency.candidate)
        for p in ("p50", "p90", "p99")
    ]
    timed += [(forward.baseline_ns, forward.baseline_interval), (forward.candidate_ns, forward.candidate_interval)]
    for operator in workload.operators:
        for times in (operator.baseline, operator.candidate):
            if times is not None:
                timed.append((times.self_host_ns, times.self_host_interval))
                timed.append((times.total_host_ns, times.total_host_interval))
    assert len(timed) > 10
    for ns, interval in timed:
        assert (ns is None) == (interval is None)  # p90 and p99 are not known with few forwards
        if interval is None:
            continue
        assert interval.low_ns <= ns <= interval.high_ns


def test_swapping_the_sides_inverts_every_speedup(pair: tuple[Path, Path]) -> None:
    there, back = compare_runs(*pair), compare_runs(*reversed(pair))
    inverse = {o.name: o for o in back.workloads[0].operators}
    for operator in there.workloads[0].operators:
        other = inverse[operator.name]
        assert operator.delta_ns == -other.delta_ns
        if operator.speedup is not None:
            assert operator.speedup == pytest.approx(1 / (other.speedup or 0))


def test_unexpected_differences_stand_apart(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    other = manifest("2.0", 3, 1000, kernel="6.1")
    other = msgspec.structs.replace(other, workload=msgspec.structs.replace(other.workload, weights_sha256="xyz"))
    write_run(tmp_path / "3.0/net", other, ("aten::conv2d", 400))
    found = compare_runs(pair[0], tmp_path / "3.0")
    assert [(d.field, d.expected) for d in found.differences] == [
        ("torch.version", True),
        ("workload.weights_sha256", False),
        ("host.kernel", False),
    ]


def test_an_operator_that_a_round_lacks_counts_zero_there(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    write_run(tmp_path / "2.1/net", manifest("2.1", 2, 1000), ("aten::conv2d", 400))
    (tmp_path / "2.1/net/1.pt.trace.json").write_bytes(trace_json(forward(0, ("aten::other", 10))))
    found = compare_runs(pair[0], tmp_path / "2.1")
    convolution = next(o for o in found.workloads[0].operators if o.name == "aten::conv2d")
    assert convolution.candidate is not None
    assert convolution.candidate.calls == 1.0  # the median over three forwards with one call and one with none


def test_two_lone_traces_of_other_people(write_trace: Callable[..., Path]) -> None:
    before = write_trace([event("aten::conv2d", 0, 100, 0)], "before.json")
    after = write_trace([event("aten::conv2d", 0, 50, 0)], "after.json")
    found = compare_runs(before, after)
    assert found.workloads[0].forward.rule == "envelope"
    assert found.workloads[0].operators[0].speedup == pytest.approx(2.0)
    assert found.workloads[0].operators[0].verdict == "inconclusive"
    assert found.workloads[0].latency is None
    assert found.geomean_speedup.speedup == pytest.approx(2.0)
    assert "a single forward" in found.warnings[0]


def test_a_mended_trace_is_warned_of(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    path = pair[1] / "net/0.pt.trace.json"
    path.write_bytes(path.read_bytes()[:-40])
    warnings = compare_runs(*pair).warnings
    assert any("has been repaired: 1 × file ends in mid-event" in warning for warning in warnings)
    assert any("call other operators than the rest" in warning for warning in warnings)


def test_other_files_beside_traces_are_no_traces(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (pair[0] / "diff.json").write_text('{"schema": "diff/1"}')
    (pair[0] / "link").symlink_to(pair[0])
    assert len(find_runs(pair[0])) == 1


def test_nothing_in_common(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    other = manifest("2.0", 1, 1000)
    other = msgspec.structs.replace(other, workload=msgspec.structs.replace(other.workload, name="bert"))
    write_run(tmp_path / "else/bert", other, ("aten::linear", 5))
    with pytest.raises(UsageError, match=r"no workload in common: .* has net; .* has bert"):
        compare_runs(pair[0], tmp_path / "else")


def test_several_runs_of_one_workload(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="several runs of net"):
        compare_runs(tmp_path, pair[0])


def test_a_failed_run_without_a_trace(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    failed = msgspec.structs.replace(manifest("2.1", 0, 1), status="failed", reason="died of SIGSEGV")
    write_run(tmp_path / "2.1/net", failed)
    with pytest.raises(InputError, match="holds no trace: died of SIGSEGV"):
        compare_runs(pair[0], tmp_path / "2.1")


def test_a_failed_workload_does_not_stop_the_others(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    for side in pair:
        described = manifest(side.name, 3, 1600)
        other = msgspec.structs.replace(described, workload=msgspec.structs.replace(described.workload, name="other"))
        write_run(side / "other", other, ("aten::conv2d", 400))
    failed = msgspec.structs.replace(manifest("2.0", 0, 1), status="failed", reason="died of SIGSEGV")
    failed = msgspec.structs.replace(failed, workload=msgspec.structs.replace(failed.workload, name="other"))
    write_manifest(pair[1] / "other", failed)
    found = compare_runs(*pair)
    assert [w.name for w in found.workloads] == ["net"]
    assert "2.0 other is left out: died of SIGSEGV." in found.warnings


def test_no_operator_in_a_forward_is_said(write_trace: Callable[..., Path]) -> None:
    step = event("ProfilerStep#1", 1000, 100, 9, cat="user_annotation")
    path = write_trace([event("aten::conv2d", 0, 100, 0), step])
    found = select(compare_runs(path, path), Selection())
    assert found.workloads[0].operators == []
    assert any("no operator starts in a forward" in warning for warning in found.warnings)
    assert any("both sides are the same run" in warning for warning in found.warnings)


def test_what_other_forwards_call_is_not_replaced(tmp_path: Path) -> None:
    """Most forwards explain where the operator's work went; one calls it elsewhere."""
    inner = [event("aten::linear", 1, 90, 1), event("aten::old", 2, 85, 2)]
    forwards = [[event("profkit.forward", 0, 100, 0, cat="user_annotation"), *inner] for _ in range(3)]
    forwards[2].append(event("aten::old", 95, 3, 3))
    for label, name in (("before", "aten::old"), ("after", "aten::new")):
        records = [
            {**r, "ts": r["ts"] + 1000 * k, "name": r["name"].replace("aten::old", name)}
            for k, forward_ in enumerate(forwards)
            for r in forward_
        ]
        (tmp_path / f"{label}.json").write_bytes(trace_json(records))
    found = compare_runs(tmp_path / "before.json", tmp_path / "after.json")
    assert {o.name: o.verdict for o in found.workloads[0].operators if o.name != "aten::linear"} == {
        "aten::old": "removed",
        "aten::new": "added",
    }


def test_work_that_moved_into_a_caller_is_judged_on_the_whole(tmp_path: Path) -> None:
    """``aten::relu_`` took 300 µs with ``aten::clamp_min_`` below it, and takes 500 µs alone."""
    for label, total, inner in (("before", 300, 270), ("after", 500, 0)):
        records = {}
        for number in range(3):
            scale = 1 + 0.01 * number
            relu = [event("aten::relu_", 1, total * scale, 1)]
            below = [event("aten::clamp_min_", 5, inner * scale, 2)] if inner else []
            rest = [event("aten::conv2d", 600, 200 * scale, 3)]
            mark = event("profkit.forward", 0, 1000, 0, cat="user_annotation")
            records[number] = [{**r, "ts": r["ts"] + 2000 * k} for k in range(3) for r in (mark, *relu, *below, *rest)]
        folder = tmp_path / label
        folder.mkdir()
        for number, round_ in records.items():
            (folder / f"{number}.pt.trace.json").write_bytes(trace_json(round_))
    comparison = compare_runs(tmp_path / "before", tmp_path / "after")
    operators = {o.name: o for o in comparison.workloads[0].operators}
    relu_, clamp = operators["aten::relu_"], operators["aten::clamp_min_"]
    assert (relu_.judged_on, relu_.verdict) == ("total", "slower")
    assert relu_.speedup == pytest.approx(0.6, rel=0.01)
    assert relu_.judged_ns == pytest.approx((303_000, 505_000), rel=0.01)
    assert relu_.delta_ns == pytest.approx(202_000, rel=0.01)
    assert relu_.total == msgspec.convert(relu_, Judged, from_attributes=True)
    assert (clamp.judged_on, clamp.verdict, clamp.paired_with) == ("self", "replaced", "aten::relu_")
    assert operators["aten::conv2d"].judged_on == "self"
    parts = comparison.workloads[0].attribution  # which is of self times: the parts add up
    assert {o.name: o.delta_ns for o in parts.operators}["aten::clamp_min_"] == pytest.approx(-272_700, rel=0.01)
    for form in ("text", "markdown", "html"):
        shown = " ".join(render(diff.KIND, comparison, form, Selection()).replace("\\_", "_").split())
        assert "‡ total host time, which includes the called operators" in shown
        assert "aten::clamp_min_: its work is done by aten::relu_ in after, and counted in that row ‡." in shown
    rules = ("aten::relu_ > 3%", "aten::relu_.total > 3%", "aten::relu_.self > 3%")
    gates = judge(comparison, map(parse_rule, rules)).gates
    assert [gate.outcome for gate in gates] == ["failed", "failed", "inconclusive"]
    assert "use aten::relu_.total" in gates[2].found


def test_the_command_that_captures_again() -> None:
    """It is one that the command line takes: a file brings its own weights, and a user's process has no command."""
    described = manifest("2.0", 3, 1000)
    for source, word, weights, more in (
        ("torchvision", "net", "pretrained", ["--batch", "4", "--weights", "pretrained", "--label", "2.0"]),
        ("file", "FILE.py:FUNCTION", "own", ["--label", "2.0"]),
        ("module", "PACKAGE.MODULE:FUNCTION", "own", ["--label", "2.0"]),
        ("huggingface", "net", "random", ["--batch", "4", "--label", "2.0"]),
    ):
        workload = msgspec.structs.replace(described.workload, source=source, batch=4, weights=weights)
        text = msgspec.structs.replace(described, workload=workload).capture_command()
        assert text is not None
        words = shlex.split(text)
        assert words[:3] == ["profkit", "capture", word]
        assert words[-len(more) :] == more
        capture_command_line.make_context("capture", words[2:])
    hub = msgspec.structs.replace(described.workload, source="huggingface", name="hf-org--net")
    assert "capture hf:org/net --torch" in (msgspec.structs.replace(described, workload=hub).capture_command() or "")
    process = msgspec.structs.replace(described.workload, source="process")
    assert msgspec.structs.replace(described, workload=process).capture_command() is None


def test_a_manifest_cannot_point_outside_its_folder(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    path = pair[1] / "net/profkit.json"
    path.write_text(path.read_text().replace("0.pt.trace.json", "../0.pt.trace.json"))
    with pytest.raises(InputError, match="outside its folder"):
        compare_runs(*pair)


def test_the_observer_effect_is_a_finding(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    write_run(tmp_path / "2.2/net", manifest("2.2", 3, 300), ("aten::conv2d", 400))
    found = compare_runs(pair[0], tmp_path / "2.2")
    (finding,) = (f for f in found.workloads[0].findings if f.rule == "observer effect")
    assert "slows the two sides differently" in finding.what
    assert "(1.34x)" in finding.evidence[1]
    assert not any("profiler" in text for text in found.warnings)


def test_a_warning_of_several_rounds_is_said_once(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    texts = [*(f"round {n}: latency not stable after 9 warm-up forwards" for n in range(3)), "round 1: other", "own"]
    described = msgspec.structs.replace(manifest("2.2", 3, 1000), warnings=texts)
    write_run(tmp_path / "2.2/net", described, ("aten::conv2d", 400))
    warnings = compare_runs(pair[0], tmp_path / "2.2").warnings
    assert [text for text in warnings if text.startswith("2.2 net: ")][-3:] == [
        "2.2 net: rounds 0, 1, 2: latency not stable after 9 warm-up forwards",
        "2.2 net: round 1: other",
        "2.2 net: own",
    ]
