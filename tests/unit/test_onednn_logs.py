"""Whole logs of oneDNN: what is shown of each kind of log, and that every line of it is counted once."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from profkit.errors import UsageError
from profkit.onednn.join import join
from profkit.onednn.log import LONGEST_LINE, Log, parse_log, read_log
from profkit.onednn.messages import Message
from profkit.onednn.summary import phase, primitives_by_operator
from profkit.report.document import Table
from profkit.report.formats.json import render_json
from profkit.report.kinds.kind import Selection
from profkit.report.kinds.primitives import KIND
from profkit.report.rendering import FORMATS, make_picture, render
from profkit.report.saved import schema
from profkit.trace.reading.reader import read
from profkit.views.primitives import PrimitiveRow, PrimitivesView, view_log
from tests.conftest import ROOT, event
from tests.unit.test_cli import Capsys, run

DATA = ROOT / "tests/data/onednn"
MARK = re.compile(rb"(?:onednn|dnnl|mkldnn|onednn_graph|dnnl_graph)_verbose,")
CONVOLUTION = "mb1_ic3oc64_ih224oh112kh7sh2dh0ph3_iw224ow112kw7sw2dw0pw3"
RECORD = b"onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:ab::f0,,,64x3,0.5\n"


def view_of(name: str) -> PrimitivesView:
    return view_log(read_log(DATA / name))


def summary(row: PrimitiveRow) -> tuple[object, ...]:
    return row.kind, row.implementation, row.data_types, row.problem, row.calls, row.exec_ns


def accounted(log: Log) -> int:
    return len(log) + sum(log.messages.values()) + log.information + log.skipped


def test_a_gemm_without_implementation_is_an_execution() -> None:
    view = view_of("gemm-without-implementation.log")
    types = "src:s8 wei:s8 dst:s32"
    assert [summary(row) for row in view.primitives] == [
        ("gemm_api", "undef", types, "32x32:32x32", 1, 3_500_000),
        ("gemm_api", "undef", types, "64x32:32x32", 1, 250_000),
        ("reorder", "jit:uni", "src:f32 dst:f32", "32x32", 1, 125_000),
    ]
    assert (view.skipped_lines, view.message_lines) == (0, 0)
    (grouped, _) = view_log(read_log(DATA / "gemm-without-implementation.log"), "implementation").primitives
    assert (grouped.kind, grouped.implementation, grouped.calls, grouped.exec_ns) == ("gemm_api", "undef", 2, 3_750_000)


def test_a_gemm_without_implementation_belongs_to_its_operator(write_trace: Callable[..., Path]) -> None:
    at = 1_795_377_218_046_857
    forward = event("profkit.forward", at - 5, 100, 0, cat="user_annotation")
    log = parse_log(
        b"onednn_verbose,v1,1795377218046.857910,primitive,exec,cpu,gemm_api,,undef,"
        b"src_s8::blocked:ab:f0 wei_s8::blocked:ab:f0 dst_s32::blocked:ab:f0,,,32x32:32x32,0.004\n"
    )
    joined = join(log, read(write_trace([forward, event("aten::_int_mm", at, 20, 1)])))
    (use,) = primitives_by_operator(joined)["aten::_int_mm"]
    assert (use.kind, use.implementation, use.calls, use.exec_ns) == ("gemm_api", "undef", 1.0, 4000.0)


def test_names_of_arguments_with_an_underscore() -> None:
    (old,) = view_of("rnn-2.7.3.log").primitives
    assert old.data_types == ("src_layer:f32 src_iter:f32 wei_layer:bf16 wei_iter:bf16 bias:f32 dst_layer:f32")
    rows = view_of("rnn-f32-and-bf16.log").primitives
    assert [(row.data_types, row.calls, row.exec_ns) for row in rows] == [
        ("src_layer:f32 wei_layer:f32 dst_layer:f32", 1, 500_000),
        ("src_layer:bf16 wei_layer:bf16 dst_layer:bf16", 1, 250_000),
    ]


def test_a_creation_for_another_primitive_is_not_summed_twice() -> None:
    log = read_log(DATA / "gpu-nested-creation.log")
    assert (log.version, log.information, log.skipped) == ("3.8.0", 5, 0)
    rows = {(row.kind, row.data_types): row for row in view_log(log).primitives}
    executed = rows["gemm", "src_a:f16 src_b:bf16 dst:f32"]
    assert (executed.calls, executed.exec_ns) == (1, 125_000)
    nested = rows["gemm", "src_a:f32 src_b:f32 dst:f32"]
    assert (nested.cache_misses, nested.create_ns) == (1, 60_250_000)
    whole = phase(log, np.ones(len(log), dtype=bool))
    assert (whole.calls, whole.exec_ns, whole.cache_misses, whole.create_ns) == (2, 375_000, 1, 60_500_000)
    assert log.messages == {Message("exec:check", "primitive", "", "unused primitive execution argument (80)"): 1}


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_a_partition_alone_is_the_whole(form: str) -> None:
    shown = render(KIND, view_of("graph-partition-alone.log"), form, Selection())
    assert re.findall(r"(\d[\d.]*)%", shown) == ["100.0"]


def test_partitions_have_no_share_beside_their_primitives() -> None:
    log = read_log(DATA / "3.13.3-graph.log.gz")
    shown = KIND.document(view_log(log, "kind"), Selection(), None)
    (table,) = (block for block in shown.blocks if isinstance(block, Table))
    partitions = [row[3].text for row in table.rows if row[0].text.startswith("graph ")]
    rest = [float(row[3].text.rstrip("%")) for row in table.rows if not row[0].text.startswith("graph ")]
    assert set(partitions) == {"-"}
    assert sum(rest) == pytest.approx(100, abs=0.05 * len(rest))


def test_partitions_alone_are_summed() -> None:
    log = read_log(DATA / "graph-partition-alone.log")
    (row,) = view_log(log).primitives
    assert summary(row) == (
        "graph sdp",
        "sdp_primitive_v1_kernel_t",
        "in0:f16 out0:f16",
        "matmul_qk;scale_mul;softmax;matmul_v 1x2x2x2",
        1,
        500_000,
    )
    assert phase(log, np.ones(1, dtype=bool)).exec_ns == 500_000


@pytest.mark.parametrize("form", FORMATS)
def test_what_the_log_does_not_say_is_not_said(form: str) -> None:
    view = view_of("dnnl-1.6.0-without-threads.log")
    assert (view.onednn, view.isa, view.threads) == ("1.6.0", "Intel AVX2", None)
    text = render(KIND, view, form, Selection())
    assert not re.search(r"(?:None|null|\b0) threads", text)
    assert form not in ("text", "markdown", "html") or "Intel AVX2." in text
    only_threads = view_log(parse_log(b"onednn_verbose,info,cpu,runtime:OpenMP,nthr:1\n" + RECORD))
    assert form not in ("text", "markdown", "html") or "1 thread." in render(KIND, only_threads, form, Selection())


def test_the_first_versions() -> None:
    oldest = view_of("mkldnn-0.18.1.log")
    assert (oldest.onednn, oldest.isa) == ("0.18.1", "Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2)")
    assert [summary(row) for row in oldest.primitives] == [
        ("inner_product", "gemm:blas", "", "mb64ic784oc128", 1, 6_250_000),
        (
            "convolution",
            "jit:avx2",
            "",
            "mb1_g1ic3oc64_ih224oh112kh7sh2dh0ph3_iw224ow112kw7sw2dw0pw3",
            1,
            1_500_000,
        ),
    ]
    assert (oldest.primitives[0].cache_misses, oldest.primitives[0].create_ns) == (1, 500_000)
    view = view_of("mkldnn-1.0.0.log")
    assert (view.onednn, view.skipped_lines) == ("1.0.0", 0)
    types = "src:f32 wei:f32 bia:f32 dst:f32"
    assert [summary(row) for row in view.primitives] == [("convolution", "jit:avx2", types, CONVOLUTION, 1, 1_500_000)]


def test_weights_that_the_first_versions_reorder() -> None:
    log = parse_log(
        b"mkldnn_verbose,exec,reorder,jit:uni,undef,in:f32_oihw out:f32_OIhw8i8o,num:1,32x16x3x3,0.5\n"
        b"mkldnn_verbose,exec,reorder,jit:uni,undef,in:f32_nchw out:f32_nChw8c,num:1,1x16x8x8,0.25\n"
        b"mkldnn_verbose,exec,convolution,jit:avx2,forward_inference,fsrc:nChw8c fwei:OIhw8i8o fbia:undef fdst:nChw8c,"
        b"alg:convolution_direct,mb1_g1ic16oc32_ih8oh8kh3sh1dh0ph1_iw8ow8kw3sw1dw0pw1,0.75\n"
    )
    found = phase(log, np.ones(3, dtype=bool))
    assert (found.reorders, found.weights_reorders, found.weights_reorder_ns) == (2, 1, 500_000)


def test_all_that_is_logged_with_verbose_all() -> None:
    log = read_log(DATA / "3.13.3-verbose-all.log")
    assert (len(log), sum(log.messages.values()), log.information, log.skipped) == (39, 34, 7, 0)
    assert log.duration_ns.sum() == pytest.approx(15_003_384, abs=len(log))
    view = view_log(log)
    assert view.message_lines == 34
    counts: Counter[str] = Counter()
    for row in view.messages:
        counts[row.operation] += row.count
    assert counts == {"create:dispatch": 22, "debuginfo": 1, "exec:check": 11}
    found = {(row.kind, row.implementation, row.text): row.count for row in view.messages}
    assert found["rnn", "brgemm:undef", "unsupported datatype"] == 8
    assert found["reorder", "jit_direct_copy:uni", "memory formats for src and dst tensors do not match"] == 2
    assert found["reorder", "jit_direct_copy:uni", "unsupported attribute"] == 1
    assert found["reorder", "", "unsupported src tensor layout"] == 4
    assert found["primitive", "", "unused primitive execution argument (80)"] == 11
    gemm = next(row for row in view.primitives if row.kind == "gemm_api")
    assert (gemm.implementation, gemm.calls, gemm.exec_ns) == ("undef", 1, 13_161_100)
    jsonschema.validate(json.loads(render_json(view)), schema("primitives"))


def test_messages_of_arm_compute_library() -> None:
    log = read_log(DATA / "acl-verbose-all.log")
    assert (len(log), log.information, log.skipped) == (2, 3, 0)
    assert log.messages == {
        Message("create:dispatch", "matmul", "gemm:acl", "unsupported datatype combination"): 1,
        Message("create:start", "inner_product", "brg_matmul:sve_256", ""): 1,
        Message("exec:external", "", "", "CpuGemmAssemblyWrapperKernel/sve_hybrid_fp32_mla_6x4VL"): 1,
    }


def test_the_report_lists_messages() -> None:
    view = view_of("3.13.3-verbose-all.log")
    text = render(KIND, view, "text", Selection())
    assert "34 log lines are messages, not records." in text
    assert "could not be read" not in text
    dispatch, _, other = text.partition("Why oneDNN did not choose an implementation")[2].partition("Other messages")
    assert re.search(r"rnn +brgemm:undef +unsupported datatype +8\n", dispatch)
    assert "exec:check: unused primitive execution argument (80)" in other
    cut = render(KIND, view, "text", Selection(top=1))
    assert "8 more messages: --top 0 shows them all" in cut
    page = render(KIND, view, "html", Selection())
    assert "Why oneDNN did not choose an implementation" in page
    assert "Messages" not in render(KIND, view_of("rnn-2.7.3.log"), "text", Selection())


def test_a_filter_chooses_messages_too() -> None:
    view = view_of("3.13.3-verbose-all.log")
    chosen = KIND.select(view, Selection(pattern="jit_direct_copy"))
    assert chosen.primitives == []
    assert {row.implementation for row in chosen.messages} == {"jit_direct_copy:uni"}
    for form in FORMATS:
        assert render(KIND, view, form, Selection(pattern="jit_direct_copy"))
    with pytest.raises(UsageError, match="no primitive to draw"):
        make_picture(KIND, view, "primitives", Selection(pattern="jit_direct_copy"))


def test_errors_are_shown_before_other_messages() -> None:
    check = b"onednn_verbose,v1,primitive,exec:check,primitive,unused argument (80),src/a.cpp:1\n"
    error = b"onednn_verbose,v1,common,error,runtime,device not found,src/b.cpp:2\n"
    text = render(KIND, view_log(parse_log(check * 3 + error + RECORD)), "text", Selection())
    assert text.index("error: device not found") < text.index("exec:check: unused argument")


@pytest.mark.parametrize(
    ("data", "counts"),  # records, messages, header lines, skipped
    [
        # 3.5 and 3.6 print the header's template in two parts, each with the mark
        (b"onednn_verbose,v0,primitive,info,template:onednn_verbose,v0,operation,engine,exec_time\n", (0, 0, 2, 0)),
        (b"onednn_verbose,v1," + RECORD, (1, 0, 1, 0)),  # an empty message of GPUs
        (RECORD[:40] + RECORD, (1, 0, 0, 1)),
        (RECORD[:40] + b"[W] a thread, b, c\n" + RECORD[40:], (0, 0, 0, 1)),
        (b"onednn_verbose,v1,primitive,create:disp" + RECORD, (1, 0, 0, 1)),
        (b"onednn_verbose,v1,primitive,exec:check,x" + RECORD, (1, 1, 0, 0)),
        (RECORD.replace(b"jit:uni", b"jit\0uni"), (0, 0, 0, 1)),
        (RECORD.replace(b"0.5", b"0.\x005"), (0, 0, 0, 1)),
        (b"\0" * 100 + RECORD, (1, 0, 0, 0)),  # a log that was cut while it was written
        (RECORD.replace(b"0.5", b"-nan"), (0, 0, 0, 1)),
        (RECORD.replace(b"0.5", b"0,5"), (0, 0, 0, 1)),  # a locale with a decimal comma
        (RECORD.replace(b"64x3", b"9" * (LONGEST_LINE + 1)), (0, 0, 0, 1)),
        (RECORD.replace(b"v1", b"v7"), (1, 0, 0, 0)),
        (RECORD.replace(b"exec,", b"exec2,"), (0, 0, 0, 1)),
        (b"onednn_verbose,v1,primitive,exec,cpu,x,0.5\n" * 2, (0, 0, 0, 2)),
    ],
)
def test_a_line_is_a_record_or_a_message_or_the_header_or_skipped(
    data: bytes, counts: tuple[int, int, int, int]
) -> None:
    log = parse_log(data)
    assert (len(log), sum(log.messages.values()), log.information, log.skipped) == counts


def every_log() -> list[bytes]:
    packed = [gzip.decompress(path.read_bytes()) for path in sorted(DATA.glob("*.log.gz"))]
    begin = [data[: data.rindex(b"\n", 0, 30_000) + 1] for data in packed]
    return [*begin, *(path.read_bytes() for path in sorted(DATA.glob("*.log")))]


def test_every_line_with_a_mark_is_counted_once() -> None:
    logs = every_log()
    assert len(logs) > 12
    for data in logs:
        log = parse_log(data)
        assert accounted(log) == len(MARK.findall(data)) == len(re.findall(rb"(?m)^\w+_verbose,", data))
        assert log.skipped == 0


def test_every_line_of_a_damaged_log_is_counted_once() -> None:
    chance = random.Random(5)
    logs = every_log()
    for _ in range(300):
        a, b = (chance.choice(logs) for _ in range(2))
        start, end = chance.randrange(len(a)), chance.randrange(len(b))
        noise = bytes(chance.choice(b"\0\r\n,:_ v1\xff") for _ in range(chance.randrange(12)))
        data = a[start : start + 4000] + noise + b[max(0, end - 4000) : end]
        assert accounted(parse_log(data)) == len(MARK.findall(data))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16(encoding: str) -> None:
    text = (DATA / "3.13.3-verbose-all.log").read_text().replace("\n", "\r\n")
    expected, found = parse_log(text.encode()), parse_log(text.encode(encoding))
    assert found.primitives == expected.primitives
    assert found.duration_ns.tolist() == expected.duration_ns.tolist()
    assert (found.version, found.isa, found.messages) == (expected.version, expected.isa, expected.messages)
    # PowerShell appends UTF-16 to a file that another shell began
    assert len(parse_log(text.encode() + text.encode(encoding))) == 2 * len(expected)


def test_messages_alone_are_shown_and_a_header_alone_is_refused(tmp_path: Path, capsys: Capsys) -> None:
    path = tmp_path / "verbose.log"
    header = b"onednn_verbose,v1,info,oneDNN v3.7.0 (commit 0)\n"
    path.write_bytes(header + b"onednn_verbose,v1,primitive,create:dispatch,matmul,unsupported isa,src/a.cpp:1\n")
    for form in FORMATS:
        assert run("onednn", path, "--format", form) == 0
    assert "unsupported isa" in capsys.readouterr().out
    path.write_bytes(header)
    assert run("onednn", path) == 3
    assert "contains no oneDNN record, only the header." in capsys.readouterr().err
    path.write_bytes(RECORD[:-10])
    assert run("onednn", path) == 3
    assert "contains no oneDNN record that can be read; 1 could not be." in capsys.readouterr().err


def test_long_lines_take_no_long_time_and_no_long_page() -> None:
    word = b"a" * (LONGEST_LINE // 2)
    tensors = b"in0_f32:0:strided:undef:2x3:3s1" + word
    log = parse_log(
        b"onednn_verbose,v1,graph,exec,cpu,7,sdp,a,," + tensors + b",fpm:strict,sdp_t,dnnl_backend,0.5\n"
        b"onednn_verbose,v1,common,error,runtime," + word + b"\n"
        b"onednn_verbose,info,cpu,isa:" + word + b"\n"
        b"onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src_" + b"f1_" * 100_000 + b"::a,,,2x2,0.5\n"
    )
    assert (len(log), log.information, log.skipped, log.isa) == (2, 1, 0, None)
    (message,) = log.messages
    assert message.text == "a" * 1000 + "…"


def test_one_of_each_is_said_in_the_singular() -> None:
    view = view_log(parse_log(RECORD + b"onednn_verbose,v1,primitive,exec:check,a,b\n" + RECORD[:60] + b"\n"))
    text = render(KIND, view, "text", Selection())
    assert "1 log record could not be read and is not counted." in text
    assert "1 log line is a message, not a record." in text
