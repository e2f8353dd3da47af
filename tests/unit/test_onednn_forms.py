"""oneDNN's log through its versions: every form of an argument, a record, a message and a line of the header."""

from __future__ import annotations

import pytest

from profkit.onednn.descriptors import parse_arguments
from profkit.onednn.grammar import parse_record
from profkit.onednn.log import parse_log
from profkit.onednn.messages import Message, parse_message


@pytest.mark.parametrize(
    ("descriptor", "expected"),
    [
        ("src_f32::blocked:abcd:f0", ("src", "f32", "abcd")),
        ("src_f32:a:blocked:aBcd16b:401408s1s7168s64:f0", ("src", "f32", "aBcd16b")),
        ("wei_s8:ap:blocked:ABcd4b16a4b:f8:s8m1", ("wei", "s8", "ABcd4b16a4b")),
        ("diff_wei_layer_bf16::rnn_packed:::f0", ("diff_wei_layer", "bf16", "rnn_packed")),
        ("src_f8_e5m2::blocked:ab::f0", ("src", "f8_e5m2", "ab")),
        ("wei_f4_e2m1:0:blocked:ab::f0", ("wei", "f4_e2m1", "ab")),
        ("src_fused_u8::blocked:acdb::f0", ("src_fused", "u8", "acdb")),
        ("wei_f7x::blocked:ab::f0", ("wei", "f7x", "ab")),  # a type to come
        ("f32::blocked:ab:f0", ("data", "f32", "ab")),
        ("src_layer:f32::blocked:abc::f0", ("src_layer", "f32", "abc")),
        ("src:f8_e4m3:ao:blocked:ab::f0", ("src", "f8_e4m3", "ab")),
        ("bia:f32::blocked:ab::f0_mask2", ("bia", "f32", "ab")),
        ("dst:f32:a:any:any::f0", ("dst", "f32", "any")),
        ("wei:bf16:a:opaque:::f0", ("wei", "bf16", "opaque")),
        ("wei:f32::sparse:csr::f0", ("wei", "f32", "sparse")),
        ("fsrc:nChw8c", ("src", "", "nChw8c")),
        ("fbia:x", ("bia", "", "x")),
        ("in:f32_nchw", ("src", "f32", "nchw")),
        ("out:s8_blocked", ("dst", "s8", "blocked")),
        ("bia_undef::undef::f0", None),
        ("bia:undef::undef:::", None),
        ("fws:undef", None),
        ("#", None),
    ],
)
def test_an_argument_in_every_notation(descriptor: str, expected: tuple[str, str, str] | None) -> None:
    assert parse_arguments(descriptor) == (() if expected is None else (expected,))


SDPA = "exec,gpu,sdpa,ocl:micro:any"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"primitive,{SDPA},,query:f16:1x2x384x128,key:s8:1x2x128x384,val:s8:1x2x384x128",
            ("sdpa", "ocl:micro:any", "query:f16 key:s8 val:s8", "1x2x384x128:1x2x128x384:1x2x384x128"),
        ),
        (
            f"primitive,{SDPA},kq_attr-scales:wei:11:f16,query:f16:1x2,key:s8:1x3,val:s8:1x4,msk:f16:1x1",
            ("sdpa", "ocl:micro:any", "query:f16 key:s8 val:s8 msk:f16", "1x2:1x3:1x4:1x1"),
        ),
        (
            f"primitive,{SDPA},undef,query:f16::blocked:abcd::f0 key:s8::blocked:abcd::f0,,msk:causal,1x2:1x3:1x4",
            ("sdpa", "ocl:micro:any", "query:f16 key:s8", "msk:causal 1x2:1x3:1x4"),
        ),
        (
            "ukernel,exec,cpu,brgemm,,undef,src:f32::blocked:ab::f0 wei:f32::blocked:ab::f0,,bs:1,2x2:2x3",
            ("brgemm", "undef", "src:f32 wei:f32", "bs:1 2x2:2x3"),
        ),
        (
            "primitive,exec,cpu2gpu,reorder,ocl:ref:any,undef,src:f32::blocked:ab::f0 dst:f16::blocked:ab::f0,,,2x2",
            ("reorder", "ocl:ref:any", "src:f32 dst:f16", "2x2"),
        ),
        (
            "exec,cpu,convolution,jit:avx2,backward_data,src_f32::blocked:abcd:f0,,alg:convolution_direct,mb1_ic2oc2",
            ("convolution", "jit:avx2", "src:f32", "backward_data mb1_ic2oc2"),
        ),
        ("exec,cpu,gemm,jit:avx2,undef,,,,m2n3k4a_dt:f32", ("gemm", "jit:avx2", "", "m2n3k4a_dt:f32")),
        ("exec,cpu,concat,simple:any,undef,#,axis:1,#", ("concat", "simple:any", "", "#")),
        ("exec,cpu,sum,jit:any,undef,src_f32::blocked:ab:f0,num:2,1x576", ("sum", "jit:any", "src:f32", "1x576")),
        ("exec,reorder,jit:uni,undef,src_f32::blocked:abcd:f0,num:1,1x2", ("reorder", "jit:uni", "src:f32", "1x2")),
        ("exec,rnn,ref:any,forward_inference,,alg:lstm,l1d1mb2", ("rnn", "ref:any", "", "alg:lstm l1d1mb2")),
        ("primitive,create_nested:cache_miss,zero_pad, unknown info", ("zero_pad", "undef", "", "")),
        ("primitive,exec,unknown primitive info", ("unknown", "undef", "", "")),
        (
            "graph,exec,cpu,100006,matmul_post_ops,a;b,,in0_f32:0:strided:undef:2x3:3s1 out0_f32:4:any:undef:2x3:any,"
            "fpm:strict,dnnl_backend",
            ("graph matmul_post_ops", "dnnl_backend", "in0:f32 out0:f32", "a;b 2x3"),
        ),
        (
            "graph,exec,cpu,7,sdp,a,b,,in0_bf16:0:opaque:constant:2x3:77 in1_s8:1:strided:undef:-9223372036854775808:1,"
            "fpm:strict,scratchpad:library:0,sdp_t,dnnl_backend",
            ("graph sdp", "sdp_t", "in0:bf16 in1:s8", "a,b 2x3:-9223372036854775808"),
        ),
        (
            "exec,cpu,100002,conv0;relu0,data:NCX; filter:OIX;,in0_f32:0:strided:undef:8x3:3s1,dnnl_backend",
            ("graph partition", "dnnl_backend", "in0:f32", "conv0;relu0 8x3"),
        ),
        ("exec,cpu,100002,conv0;relu0,,#,dnnl_backend", ("graph partition", "dnnl_backend", "", "conv0;relu0")),
        (
            "graph,exec,gpu,_gen_index(_gen_index),18446744073709551615,attrs:{axis:2},"
            "inputs:{f32:102:strided:undef:1x16:16x1},outputs:{s32:1021:strided:undef:1x16:16x1}",
            ("graph _gen_index(_gen_index)", "undef", "data:f32 data:s32", "1x16:1x16"),
        ),
    ],
)
def test_a_record_in_every_form(text: str, expected: tuple[str, str, str, str]) -> None:
    found = parse_record(text)
    assert found is not None
    assert (found.kind, found.implementation, found.data_types, found.problem) == expected
    assert found.is_graph == expected[0].startswith("graph ")
    assert found.is_nested == ("nested" in text or "_gen_index" in text)


@pytest.mark.parametrize(
    "text",
    [
        "primitive,exec,cpu,matmul,brg,undef,src:f32::blocked:ab::f0,,2x2:2x2,x,y",  # a field too many
        "primitive,exec,cpu,matmul,brg,undef,src:f32::blocked:ab::f0,attr-scratchpad:user,2x2:2x2",  # one too few
        "exec,cpu,matmul,brg,undef,2x2:2x2",
        "exec,cpu,matmul,b\0g,undef,,,,2x2:2x2",
        "exec:check,cpu,matmul,brg,undef,,,,2x2:2x2",
        "compile,cpu,matmul",
        "graph,exec,cpu,x,sdp,a,,in0_f32:0:strided:undef:2x3:3s1,fpm:strict,dnnl_backend",  # no id
        "graph,exec,cpu,7,sdp,a,,in0_f32:0:strided:undef:2x3:3s1",  # no backend
        f"primitive,{SDPA},,query:f16:1x2,key",
        "primitive",
    ],
)
def test_what_is_left_of_a_damaged_record_is_none(text: str) -> None:
    assert parse_record(text) is None


@pytest.mark.parametrize(
    ("operation", "cached"),
    [
        ("exec", None),
        ("create", False),
        ("create:cache_miss", False),
        ("create:cache_hit", True),
        ("create:kernel_cache_hit", True),
        ("create:persistent_cache_hit", True),
        ("create:from_cache_blob", True),
        ("create_nested:cache_hit", True),
    ],
)
def test_what_a_cache_answered(operation: str, cached: bool | None) -> None:
    found = parse_record(f"primitive,{operation},cpu,matmul,brg,undef,,,,2x2:2x2")
    assert found is not None
    assert (found.cached, found.is_nested) == (cached, "nested" in operation)


@pytest.mark.parametrize(
    ("attributes", "post_ops"),
    [
        ("attr-scratchpad:user attr-post-ops:sum+eltwise_relu ", "sum+eltwise_relu"),
        ("scratchpad_mode:user;post_ops:'sum;eltwise_relu:0.5;';", "sum+eltwise_relu:0.5"),
        ("oscale:2;", ""),
    ],
)
def test_fused_operations(attributes: str, post_ops: str) -> None:
    found = parse_record(f"exec,cpu,convolution,jit:avx2,forward_inference,,{attributes},,mb1")
    assert found is not None
    assert found.post_ops == post_ops


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "primitive,create:check,matmul,dimension src:1 is inconsistent with weights:0,src/common/matmul.cpp:144\r",
            ("create:check", "matmul", "", "dimension src:1 is inconsistent with weights:0"),
        ),
        (
            "primitive,exec:check,primitive,unused argument (4113),src\\common\\primitive_exec_types.cpp:74",
            ("exec:check", "primitive", "", "unused argument (4113)"),
        ),
        (
            "primitive,create:dispatch,sdpa,gpu,sdpa,ocl:micro:any,,query:f16:1,key:f16:1,val:f16:1,bad mask,a.cpp:1",
            ("create:dispatch", "sdpa", "ocl:micro:any", "bad mask"),
        ),
        (
            "primitive,create:dispatch,matmul,cpu,matmul,brg:avx2,undef,,,,2x2:2x2,got f32, not bf16,src/a.hpp:1",
            ("create:dispatch", "matmul", "brg:avx2", "got f32, not bf16"),
        ),
        (
            "graph,create:dispatch,sdp_decomp_matmul,matmul direct layout: impl:brg_matmul:avx2,src/graph/a.cpp:1",
            ("create:dispatch", "sdp_decomp_matmul", "", "matmul direct layout: impl:brg_matmul:avx2"),
        ),
        (
            "primitive,warning,exec,gpu,matmul,ocl:ref:any,undef,,,,2x2:2x2, profiling error: no event",
            ("warning", "matmul", "ocl:ref:any", "profiling error: no event"),
        ),
        ("cpu,acl,unsupported: format", ("create:dispatch", "", "acl", "unsupported: format")),
        ("common,error,runtime,no device", ("error", "runtime", "", "no device")),
        ("error,no device", ("error", "", "", "no device")),
        ("primitive,exec:error,out of memory,src/a.cpp:1", ("exec:error", "", "", "out of memory")),
        ("ukernel,create:check,brgemm,bad shape,src/a.cpp:1", ("create:check", "brgemm", "", "bad shape")),
        ("graph,compile:dispatch,sdp,no kernel,src/a.cpp:1", ("compile:dispatch", "sdp", "", "no kernel")),
        ("common,profiling,queue is not enabled", ("profiling", "", "", "queue is not enabled")),
        ("gpu,debuginfo,conv,a,b", ("debuginfo", "conv", "", "a,b")),
        ("exec,kernel execution complete (j:1),0.5", ("exec", "", "", "kernel execution complete (j:1)")),
    ],
)
def test_a_message_in_every_form(text: str, message: tuple[str, str, str, str]) -> None:
    assert parse_message(text) == message
    log = parse_log(f"onednn_verbose,v1,1795377218046.5,{text}\n".encode())
    assert log.messages == {Message(*message): 1}
    assert (len(log), log.information, log.skipped) == (0, 0, 0)


@pytest.mark.parametrize(
    "line",
    [
        b"info,oneDNN v3.13.3 (commit 0)",
        b"v1,graph,info,template:operation,engine",
        b"v1,common,info,filter format is enabled, hit components: matmul",
        b"v0,info,gpu,engine,0,backend:Level Zero,name:x",
        b"v0,timestamp,operation,engine,primitive,exec_time\r",
        b"v1,info,gpu,gemm,consider:32x2,1x4x4,score:1995444.45",
    ],
)
def test_the_header_is_no_record(line: bytes) -> None:
    log = parse_log(b"onednn_verbose," + line + b"\n")
    assert (len(log), log.messages, log.information, log.skipped) == (0, {}, 1, 0)


@pytest.mark.parametrize("mark", ["onednn_verbose,", "dnnl_verbose,", "mkldnn_verbose,", "onednn_verbose,v0,"])
@pytest.mark.parametrize("stamp", ["", "1795377218046.857910,"])
@pytest.mark.parametrize("component", ["", "primitive,"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marks_stamps_and_ends_of_lines(mark: str, stamp: str, component: str, end: str) -> None:
    text = f"{mark}{stamp}{component}exec,cpu,reorder,jit:uni,undef,src_f32::blocked:ab:f0,,,64x3,0.5{end}"
    log = parse_log(text.encode())
    assert (log.start_ns.tolist(), log.duration_ns.tolist(), log.skipped) == (
        [1795377218046857910 if stamp else -1],
        [500_000],
        0,
    )


def test_partitions_of_onednn_graph_before_it_was_part_of_onednn() -> None:
    log = parse_log(
        b"onednn_graph_verbose,info,oneDNN Graph v0.5.0 (commit 0)\n"
        b"onednn_graph_verbose,exec,cpu,100002,convolution_post_ops,conv0;relu0,data:NCX;,"
        b"in0_f32:0:strided:undef:8x3:3s1,fpm:strict,dnnl_backend,3.5\n"
    )
    assert (log.version, log.duration_ns.tolist(), log.information) == (None, [3_500_000], 1)
    assert log.primitives[0].kind == "graph convolution_post_ops"
