"""oneDNN's log: every grammar against a plain line-by-line reading, damage, and the join to operators."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from profkit.errors import InputError
from profkit.onednn.grammar import Primitive, parse_record, weights_dimensions
from profkit.onednn.join import join
from profkit.onednn.log import Log, parse_log, read_log
from profkit.onednn.merge import encode_document, merge, read_document
from profkit.onednn.summary import phase, primitives_by_operator
from profkit.report.formats.json import render_json
from profkit.report.kinds import kind_of
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.report.saved import schema
from profkit.runs import find_runs
from profkit.runs.contents import RunContents
from profkit.trace.options import Detail
from profkit.trace.reading.reader import read
from profkit.views.diff import compare_runs
from profkit.views.primitives import view_log, view_primitives
from tests.conftest import ROOT, event
from tests.unit.test_cli import Capsys, run

LOGS = sorted((ROOT / "tests/data/onednn").glob("*.log.gz"))
AARCH64 = ROOT / "tests/data/aarch64"


def plain_sums(path: Path) -> dict[tuple[str, str], tuple[int, float]]:
    """Count and sum executions and creations by kind, line by line, each grammar spelled out."""
    line = re.compile(
        r"^onednn_verbose,(?:v1,)?(?:[\d.]+,)?(?:primitive,)?(exec|create:cache_hit|create:cache_miss),cpu,"
        r"(\w+),[^,]+,\w+,[^,]*,[^,]*,[^,]*,[^,]*,([\d.e+-]+)$"
    )
    sums: dict[tuple[str, str], tuple[int, float]] = {}
    for text in gzip.decompress(path.read_bytes()).decode().splitlines():
        if match := line.match(text):
            count, ms = sums.get((match[1], match[2]), (0, 0.0))
            sums[match[1], match[2]] = (count + 1, ms + float(match[3]))
    return sums


def operation(primitive: Primitive) -> str:
    return primitive.operation if primitive.cached is None else f"create:cache_{'hit' if primitive.cached else 'miss'}"


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_grammar(path: Path) -> None:
    log = read_log(path)
    sums: dict[tuple[str, str], tuple[int, float]] = {}
    for number, p in enumerate(log.primitives):
        if not p.is_graph:
            mask = log.primitive == number
            count, ns = sums.get((operation(p), p.kind), (0, 0.0))
            sums[operation(p), p.kind] = (count + int(mask.sum()), ns + float(log.duration_ns[mask].sum()))
    expected = plain_sums(path)
    assert {key: count for key, (count, _) in sums.items()} == {key: count for key, (count, _) in expected.items()}
    for key, (_, ns) in sums.items():
        assert ns == pytest.approx(expected[key][1] * 1e6, abs=len(log))
    assert log.skipped == 0
    assert log.version == path.name.partition("-")[0].removesuffix(".log.gz")
    assert log.threads == 2
    assert log.isa == "Intel AVX-512 with Intel DL Boost and bfloat16 support"
    assert (log.start_ns >= 0).all() == ("without-time" not in path.name)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_the_fpmath_mode(path: Path) -> None:
    modes = Counter(p.fpmath for p in read_log(path).primitives)
    assert set(modes) == ({"fp32"} if path.name.startswith(("2.7", "3.13")) else {"bf16"})


def test_what_a_record_says() -> None:
    found = parse_record(
        "primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core,forward_inference,"
        "src:f32:a:blocked:acdb::f0 wei:bf16:a:blocked:Acdb64a::f0 bia:undef::undef::: dst:f32:a:blocked:acdb::f0,"
        "attr-scratchpad:user attr-fpmath:bf16:true attr-post-ops:eltwise_relu,alg:convolution_direct,"
        "g32mb1_ic64oc128_ih56oh56kh3sh1dh0ph1_iw56ow56kw3sw1dw0pw1"
    )
    assert found == Primitive(
        operation="exec",
        cached=None,
        engine="cpu",
        kind="convolution",
        implementation="brg_conv_fwd:avx512_core",
        prop_kind="forward_inference",
        data_types="src:f32 wei:bf16 dst:f32",
        layouts="src:acdb wei:Acdb64a dst:acdb",
        fpmath="bf16",
        post_ops="eltwise_relu",
        problem="g32mb1_ic64oc128_ih56oh56kh3sh1dh0ph1_iw56ow56kw3sw1dw0pw1",
    )
    assert weights_dimensions(found.kind, found.problem) == "32x4x2x3x3"


@pytest.mark.parametrize(
    ("problem", "dimensions"),
    [
        ("mb1_ic3oc64_ih224oh112kh7sh2dh0ph3_iw224ow112kw7sw2dw0pw3", "64x3x7x7"),
        ("mb1ic512oc1000", "1000x512"),
        ("mb1ic512ih7iw7oc1000", "1000x512x7x7"),
        ("1x512:512x1000", "512x1000"),
    ],
)
def test_weights(problem: str, dimensions: str) -> None:
    kind = "convolution" if "_" in problem else "matmul" if ":" in problem else "inner_product"
    found = parse_record(f"exec,cpu,{kind},jit:avx2,forward,src_f32::blocked:abcd:f0,,,{problem}")
    assert found is not None
    assert weights_dimensions(found.kind, found.problem) == dimensions


@pytest.mark.parametrize(
    "text", ["", "info,cpu", "exec,cpu,convolution", "exec,cpu,,jit,x,,,,", "make,a,b,c,d,e,f,g,h"]
)
def test_what_is_no_record(text: str) -> None:
    assert parse_record(text) is None


RECORD = b"onednn_verbose,1795377218046.857910,exec,cpu,reorder,jit:uni,undef,src_f32::blocked:abcd:f0,,,64x3x7x7,0.5\n"


def parsed(data: bytes) -> Log:
    return parse_log(data)


def test_times_are_exact() -> None:
    log = parsed(RECORD)
    assert log.start_ns.tolist() == [1795377218046857910]
    assert log.duration_ns.tolist() == [500_000]
    assert parsed(RECORD.replace(b".857910", b".5")).start_ns.tolist() == [1795377218046500000]


@pytest.mark.parametrize(
    ("data", "records", "skipped"),
    [
        (RECORD + RECORD[:-20], 1, 1),  # cut in mid-record
        (RECORD + RECORD[:-1], 1, 1),  # cut before the line's end: the duration may lack digits
        (b"loading the model ... " + RECORD, 1, 0),  # begins in mid-line
        (RECORD[:60] + RECORD, 1, 1),  # two records in a line, the first one cut
        (RECORD.replace(b"0.5\n", b"0.5warning: x\n"), 0, 1),  # other output at its end
        (b"epoch 1\n\xff\xfe\n" + RECORD + b"done\n", 1, 0),
        (RECORD.replace(b"\n", b"\r\n"), 1, 0),
        (RECORD.replace(b"onednn_", b"dnnl_"), 1, 0),
        (RECORD.replace(b"exec,", b"exec2,"), 0, 1),
        (RECORD.replace(b"1795377218046.", b"1x."), 0, 1),
        (b"", 0, 0),
    ],
)
def test_damage_is_counted(data: bytes, records: int, skipped: int) -> None:
    log = parsed(data)
    assert (len(log), log.skipped) == (records, skipped)


def test_any_cut_and_any_mixture_is_survived() -> None:
    data = gzip.decompress(LOGS[-1].read_bytes())[:20_000]
    whole = len(parsed(data))
    chance = random.Random(1)
    for _ in range(200):
        at = chance.randrange(len(data))
        assert len(parsed(data[:at])) + len(parsed(data[at:])) <= whole + 1
        noise = bytes(chance.randrange(256) for _ in range(9))
        log = parsed(data[:at] + noise + data[at:])
        assert whole - 2 <= len(log) <= whole
        assert log.skipped <= 3


@pytest.mark.parametrize("length", [b"1e300", b"-5", b"inf", b"nan", b"1_0", b"", b"86400000"])
def test_durations_that_are_none(length: bytes) -> None:
    log = parsed(RECORD.replace(b",0.5", b"," + length))
    assert (len(log), log.skipped) == (0, 1)


@pytest.mark.parametrize("stamp", [b"99999999999999999999.5", b"1.2.3", b"1e5", b"17_5.0"])
def test_time_stamps_that_are_none(stamp: bytes) -> None:
    log = parsed(RECORD.replace(b"1795377218046.857910", stamp))
    assert (len(log), log.skipped) == (0, 1)


def test_a_head_that_makes_no_sense() -> None:
    assert parsed(b"onednn_verbose,info,cpu,runtime:OpenMP,nthr:" + b"9" * 6000 + b"\n" + RECORD).threads is None


def test_a_gzip_of_several_members(tmp_path: Path) -> None:
    path = tmp_path / "several.log.gz"
    path.write_bytes(gzip.compress(RECORD) + gzip.compress(RECORD))
    assert len(read_log(path)) == 2


def test_activations_of_the_weights_dimensions_are_no_weights() -> None:
    """A squeezed layer's activations may have exactly the dimensions of its weights, but in another layout."""
    head = b"onednn_verbose,exec,cpu,"
    log = parsed(
        head + b"convolution,jit:avx2,forward,src_f32::blocked:aBcd8b:f0 wei_f32::blocked:ABcd8b8a:f0 "
        b"dst_f32::blocked:aBcd8b:f0,,,mb8_ic32oc8_ih1oh1kh1sh1dh0ph0_iw1ow1kw1sw1dw0pw0,0.1\n"
        + head
        + b"reorder,jit:uni,undef,src_f32::blocked:abcd:f0 dst_f32::blocked:aBcd8b:f0,,,8x32x1x1,0.2\n"
        + head
        + b"reorder,jit:uni,undef,src_f32::blocked:abcd:f0 dst_f32::blocked:ABcd8b8a:f0,,,8x32x1x1,0.4\n"
    )
    found = phase(log, np.ones(3, dtype=bool))
    assert (found.reorders, found.weights_reorders, found.weights_reorder_ns) == (2, 1, 400_000)


def test_files_that_cannot_be_read(tmp_path: Path, capsys: Capsys) -> None:
    broken = tmp_path / "broken.log.gz"
    broken.write_bytes(b"\x1f\x8b" + b"x" * 100)
    with pytest.raises(InputError, match="is damaged"):
        read_log(broken)
    cut = tmp_path / "cut.log.gz"
    cut.write_bytes(LOGS[0].read_bytes()[:4000])
    assert len(read_log(cut)) > 50
    empty = tmp_path / "empty.log"
    empty.write_bytes(b"hello\n")
    assert run("onednn", empty) == 3
    assert "contains no oneDNN record" in capsys.readouterr().err
    assert run("onednn", tmp_path / "nowhere") == 3
    assert run("onednn", LOGS[0], "--warm") == 2
    assert run("onednn", ROOT / "README.md") == 3


def test_graph_partitions_do_not_count_twice() -> None:
    view = view_log(read_log(next(path for path in LOGS if "graph" in path.name)), "kind")
    kinds = {row.kind: row.calls for row in view.primitives}
    assert kinds["graph convolution_post_ops"] == 60
    assert kinds["convolution"] == 180


@pytest.mark.parametrize("by", ["kind", "implementation", "problem"])
def test_grouping_loses_nothing(by: str) -> None:
    for path in LOGS:
        log = read_log(path)
        view = view_log(log, by)  # type: ignore[arg-type]  # one of the three
        assert sum(r.exec_ns + r.create_ns for r in view.primitives) == log.duration_ns.sum()
        assert sum(r.calls + r.cache_hits + r.cache_misses for r in view.primitives) == len(log)
        jsonschema.validate(json.loads(render_json(view)), schema("primitives"))


def captured(label: str) -> Path:
    return ROOT / "traces" / label / "resnet50"


@pytest.mark.parametrize("label", ["1.13", "2.0", "2.0-frozen", "2.0-bf16"])
def test_every_warm_record_lies_in_an_operator(label: str) -> None:
    (found,) = find_runs(captured(label))
    contents = RunContents(found)
    joined = contents.require_primitives()
    view = view_primitives(contents, warm=True)
    assert view.forwards == 10
    assert view.matched == view.warm_records
    assert view.matched
    assert view.warm_phase is not None
    assert view.cold_phase is not None
    assert view.warm_phase.cache_misses == 0
    assert view.cold_phase.cache_misses > 20
    assert sum(row.exec_ns for row in view.primitives) == view.warm_phase.exec_ns
    assert view.warm_phase.exec_ns <= sum(view.forward_ns)
    uses = primitives_by_operator(joined)
    name = "forward" if "frozen" in label else "aten::mkldnn_convolution"
    assert sum(use.calls for use in uses[name] if use.kind == "convolution") == 53
    assert {use.fpmath for use in uses[name]} == {"bf16" if "bf16" in label else "fp32"}


def test_records_that_add_up_to_more_than_the_forwards_are_no_share_of_them() -> None:
    (found,) = find_runs(captured("2.0"))
    view = view_primitives(RunContents(found), warm=True)
    assert view.warm_phase is not None
    tenfold = msgspec.structs.replace(
        view,
        warm_phase=msgspec.structs.replace(view.warm_phase, exec_ns=10 * view.warm_phase.exec_ns),
        primitives=[msgspec.structs.replace(row, exec_ns=10 * row.exec_ns) for row in view.primitives],
    )
    for shown, column, words in (
        (view, "of forward", "oneDNN takes "),
        (tenfold, "share", "primitives ran at the same time, or lines of the log are repeated"),
    ):
        text = render(kind_of("primitives"), shown, "text", Selection())
        assert words in text
        assert column in text
        shares = [float(share) for share in re.findall(r"([\d.]+)%", text)]
        assert max(shares) <= 100


def test_weights_that_are_reordered_again_and_again() -> None:
    (eager,), (frozen,) = (find_runs(captured(label)) for label in ("2.0", "2.0-frozen"))
    repeated = view_primitives(RunContents(eager)).repeated_reorders
    assert sum(reorder.calls for reorder in repeated) == 53
    assert {reorder.problem for reorder in repeated} >= {"64x3x7x7", "512x512x3x3"}
    assert view_primitives(RunContents(frozen)).repeated_reorders == []


def test_aarch64() -> None:
    log = read_log(AARCH64 / "2.0.1-frozen-FP32.onednn.log.gz")
    assert (log.version, log.isa, log.threads) == ("2.7.3", "AArch64 SVE (256 bits)", 1)
    joined = join(log, read(AARCH64 / "2.0.1-frozen-FP32.pt.trace.json.gz", detail=Detail.SHAPES))
    assert int((joined.operator >= 0).sum()) == int(joined.is_warm.sum()) == 195
    (convolutions,) = [use for use in primitives_by_operator(joined)["forward"] if use.kind == "convolution"]
    assert (convolutions.implementation, convolutions.calls) == ("gemm:acl", 53)


def test_the_clock_may_be_a_tick_late(write_trace: Callable[..., Path]) -> None:
    """Whole microseconds shorten both ends: a record may seem to begin before its operator."""
    at = 1_795_377_218_046_857
    forward = event("profkit.forward", at - 5, 100, 0, cat="user_annotation")
    path = write_trace([forward, event("aten::conv", at + 1, 20, 1), event("aten::other", at + 40, 20, 2)])
    record = RECORD.replace(b"046.857910", b"046.857910")
    joined = join(parsed(record), read(path))
    assert joined.operator_names() == ["aten::conv"]
    assert join(parsed(RECORD.replace(b"046.857910", b"046.957999")), read(path)).operator_names() == [None]


def test_merging(tmp_path: Path) -> None:
    (found,) = find_runs(captured("2.0-frozen"))
    joined = RunContents(found).require_primitives()
    target = tmp_path / "both.json.gz"
    merged, count = merge(joined)
    target.write_bytes(encode_document(merged, target))
    assert count == int(joined.is_warm.sum())
    document = json.loads(gzip.decompress(target.read_bytes()))
    added = [e for e in document["traceEvents"] if e.get("cat") == "onednn"]
    assert len(added) == count
    both = read(target)
    plain = read(found.onednn_trace)  # type: ignore[arg-type]  # it has one
    assert len(both.operator_events) == len(plain.operator_events)
    # nested: every primitive lies within an operator on the same thread
    operators = [e for e in document["traceEvents"] if e.get("cat") == "cpu_op"]
    starts = np.array([float(e["ts"]) for e in operators])
    ends = starts + np.array([float(e["dur"]) for e in operators])
    for e in added[:: max(1, count // 50)]:
        inside = (starts <= e["ts"] + 0.3) & (e["ts"] + e["dur"] <= ends + 0.3)
        assert any(operators[k]["tid"] == e["tid"] for k in np.flatnonzero(inside))


def test_what_changed_among_primitives() -> None:
    found = compare_runs(captured("2.0"), captured("2.0-frozen")).workloads[0].primitives
    assert found is not None
    assert found.baseline.hit_rate == found.candidate.hit_rate == 1.0
    assert found.baseline.weights_reorder_ns > 0
    assert found.candidate.weights_reorder_ns == 0
    gone = [problem for problem in found.problems if problem.kind == "reorder" and problem.candidate is None]
    assert len(gone) > 20
    assert all(problem.changed for problem in gone)


def test_a_log_of_executions_alone_can_be_compared(tmp_path: Path) -> None:
    other = tmp_path / "2.0-bf16/resnet50"
    shutil.copytree(captured("2.0-bf16"), other)
    path = other / "onednn.log.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(line for line in lines if b",create" not in line)))
    primitives = compare_runs(captured("2.0"), other).workloads[0].primitives
    assert primitives is not None
    assert (primitives.candidate.hit_rate, primitives.candidate.cold_hit_rate) == (None, None)


def test_a_log_beyond_the_memory_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.log.gz"
    path.write_bytes(gzip.compress(RECORD * 20_000))
    assert len(read_log(path)) == 20_000
    with pytest.raises(InputError, match="would take more than 1 MiB, the memory limit"):
        read_log(path, memory_limit=1 << 20)


def test_a_trace_beyond_the_memory_limit_is_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b'{"traceEvents": []}' + b" " * (2 << 20)))
    assert read_document(path)[1] == []
    with pytest.raises(InputError, match="is larger than 0 MiB"):
        read_document(path, memory_limit=1 << 20)
