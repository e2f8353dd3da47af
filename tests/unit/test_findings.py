"""The findings of a comparison: each rule on a real case, or on a real comparison with one fact changed, and silent."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from msgspec.structs import replace

from profkit.comparison.findings import find
from profkit.comparison.records.diff import PrimitiveChange, PrimitiveTimes, WorkloadChange
from profkit.comparison.records.findings import Finding
from profkit.runs.manifest import Manifest
from profkit.runs.store import read_manifest
from profkit.views.diff import compare_runs
from tests.conftest import ROOT

TRACES = ROOT / "traces"
Changed = tuple[WorkloadChange, Manifest, Manifest]


@cache
def compared(before: str, after: str) -> WorkloadChange:
    return compare_runs(TRACES / before, TRACES / after).workloads[0]


@cache
def manifest(label: str) -> Manifest:
    return read_manifest(TRACES / label / "resnet50")


def found(before: str, after: str) -> dict[str, Finding]:
    return {finding.rule: finding for finding in compared(before, after).findings}


def ruled_out(before: str, after: str) -> dict[str, str]:
    return {cause.rule: cause.what for cause in compared(before, after).ruled_out}


def test_weights_that_2_15_reorders_in_every_forward() -> None:
    finding = found("2.0-frozen", "2.15-frozen")["weight reorders"]
    assert finding.what == (
        "2.15-frozen reorders weights into another layout in every forward: 53 reorders that 2.0-frozen does not make"
    )
    assert finding.delta_ns == pytest.approx(4.99e6, rel=1e-3)
    assert finding.certainty == "observed"
    assert finding.evidence[:2] == ["reorders of weights 0 ns → 4.99 ms per forward", "reorder 512x512x3x3 +1.63 ms"]
    assert "Freeze the model" in finding.advice
    back = found("2.15-frozen", "2.0-frozen")["weight reorders"]
    assert (back.delta_ns, back.what, back.advice) == (-(finding.delta_ns or 0), finding.what, "")


def test_reorders_on_both_sides_are_not_judged_by_one_pass_each() -> None:
    assert "weight reorders" not in found("1.13", "2.0")
    assert "weight reorders" not in found("2.0", "2.15")


def test_another_implementation_of_an_operator() -> None:
    finding = found("2.0", "2.0-frozen")["other implementation of an operator"]
    assert finding.what == (
        "aten::max_pool2d is done by aten::mkldnn_max_pool2d, and was done by aten::max_pool2d_with_indices"
    )
    assert finding.evidence == ["1 call: 2.33 ms → 78.1 µs per forward"]
    assert finding.advice == ""


def test_aarch64_without_onednn() -> None:
    """The wheel of 1.13.1 for aarch64 has no oneDNN; one trace a side, so that nothing is judged."""
    files = [ROOT / f"tests/data/aarch64/{version}-eager-FP32.pt.trace.json.gz" for version in ("1.13.1", "2.0.1")]
    change = compare_runs(*files).workloads[0]
    findings = [f for f in change.findings if f.rule == "other implementation of an operator"]
    assert any("aten::_slow_conv2d_forward" in finding.what for finding in findings)
    assert {finding.certainty for finding in change.findings} == {"observed"}
    assert change.ruled_out == []


def test_a_fallback_from_onednn_is_named() -> None:
    back = found("2.0-frozen", "2.0")["other implementation of an operator"]
    assert back.what.endswith("and was done by aten::mkldnn_max_pool2d: it no longer runs in oneDNN")
    assert back.advice == "Look at the shapes with --by shape."


def test_bf16_without_effect_is_ruled_out() -> None:
    assert ruled_out("2.0", "2.0-bf16") == {
        "primitive cache": "primitive cache: same hit rate (100.0%) on both sides",
        "outputs": "outputs: identical on both sides",
        "fpmath mode": "bf16 in 2.0-bf16 had no effect: 4431 of 4431 oneDNN executions are marked bf16",
    }
    assert "fpmath mode" not in ruled_out("2.0", "2.15")


CASES = ROOT / "tests/data/findings"  # real captures of small models; capture.sh there says how they were made


SHARED = {"observer effect": "many short calls"}  # the capture of another rule, which shows this one too


@pytest.mark.parametrize(
    ("rule", "before", "after", "what", "evidence", "certainty"),
    [
        ("many short calls", "2.0-frozen", "2.0", "1200 operator calls of less than 5.00 µs each", "µs of", "observed"),
        (
            "page faults",
            "2.0-MALLOC_MMAP_THRESHOLD_-4294967296-MALLOC_TRIM_THRESHOLD_-4294967296",
            "2.0-MALLOC_MMAP_THRESHOLD_-131072-MALLOC_TRIM_THRESHOLD_-4294967296",
            "has more page faults in every forward",
            "page faults 0 → 49158 per forward",
            "observed",
        ),
        (
            "threads",
            "2.0-threads1",
            "2.0-threads8",
            "ran with 8 threads on 2 processors",
            "torch.threads 8",
            "observed",
        ),
        (
            "primitive cache",
            "2.0-ONEDNN_PRIMITIVE_CACHE_CAPACITY-1024",
            "2.0-ONEDNN_PRIMITIVE_CACHE_CAPACITY-0",
            "finds fewer oneDNN primitives in the cache",
            "cache hit rate 100.0% → 0.0%",
            "observed",
        ),
        (
            "reference implementations",
            "2.0-frozen-ONEDNN_MAX_CPU_ISA-AVX512_CORE",
            "2.0-frozen-ONEDNN_MAX_CPU_ISA-SSE41",
            "ran in a reference implementation in 2.0-frozen-ONEDNN_MAX_CPU_ISA-SSE41",
            "jit:avx512_core → simple_nchw:any",
            "observed",
        ),
        (
            "copies and conversions",
            "2.0",
            "2.0-autocast",
            "copies or converts tensors more often",
            "aten::copy_: 24 → 73 calls",
            "observed",
        ),
        (
            "outputs",
            "2.0",
            "2.0-dtype-bf16",
            "the outputs of 2.0-dtype-bf16 differ",
            "top-1 agreement 87.5%",
            "observed",
        ),
        (
            "observer effect",
            "2.0-frozen",
            "2.0",
            "the profiler slows the two sides differently",
            "under the profiler",
            "observed",
        ),
        (
            "machine",
            "2.0",
            "2.0-frozen",
            "other work on the machine disturbed 5 of 6 rounds",
            "2.0: 3 of 3 rounds (other processes used 5",
            "observed",
        ),
    ],
)
def test_each_rule_on_a_real_case(rule: str, before: str, after: str, what: str, evidence: str, certainty: str) -> None:
    folder = CASES / SHARED.get(rule, rule).replace(" ", "-")
    change = compare_runs(folder / before, folder / after).workloads[0]
    finding = next(finding for finding in change.findings if finding.rule == rule)
    assert what in finding.what
    assert any(evidence in text for text in finding.evidence)
    assert finding.certainty == certainty
    back = compare_runs(folder / after, folder / before).workloads[0].findings
    again = [finding for finding in back if finding.rule == rule]
    if rule in ("many short calls", "copies and conversions"):  # of the candidate alone
        assert again == []
    else:
        assert len(again) == 1


def changed(**facts: Any) -> Changed:
    """Return a real comparison in which nothing stands out, with some facts replaced."""
    return replace(compared("1.13-frozen", "2.0-frozen"), **facts), manifest("1.13-frozen"), manifest("2.0-frozen")


def test_a_comparison_in_which_nothing_stands_out() -> None:
    assert find(*changed())[0] == []


def cache_missed() -> Changed:
    primitives = compared("1.13-frozen", "2.0-frozen").primitives
    assert primitives is not None
    return changed(
        primitives=replace(primitives, candidate=replace(primitives.candidate, hit_rate=0.0, create_ns=13e6))
    )


def in_reference_code() -> Changed:
    primitives = compared("1.13-frozen", "2.0-frozen").primitives
    assert primitives is not None
    fast, slow = (
        PrimitiveTimes(implementations=[name], fpmath="fp32", calls=1.0, exec_ns=ns)
        for name, ns in (("jit:avx512_core", 1e5), ("ref:any", 5e6))
    )
    problem = PrimitiveChange(kind="convolution", problem="mb1_ic3oc64", baseline=fast, candidate=slow)
    return changed(primitives=replace(primitives, problems=[problem]))


def more_copies() -> Changed:
    row = next(o for o in compared("1.13-frozen", "2.0-frozen").operators if o.baseline and o.candidate)
    assert row.candidate is not None
    times = replace(row.candidate, calls=(row.baseline.calls if row.baseline else 0) + 10)
    copies = replace(row, name="aten::copy_", candidate=times, delta_ns=3e6, verdict="slower", judged_on="self")
    return changed(operators=[copies])


def short_calls() -> Changed:
    row = next(o for o in compared("1.13-frozen", "2.0-frozen").operators if o.candidate)
    assert row.candidate is not None
    times = replace(row.candidate, calls=5000.0, self_host_ns=15e6)
    return changed(operators=[replace(row, candidate=times)])


def with_counters(side: Manifest, faults: int) -> Manifest:
    rounds = [replace(r, counters=replace(r.counters, minor_faults=[faults] * len(r.latency_ns))) for r in side.rounds]
    return replace(side, rounds=rounds)


def faulting() -> Changed:
    change, before, after = changed()
    return change, with_counters(before, 10), with_counters(after, 20_000)


def too_many_threads() -> Changed:
    change, before, after = changed()
    assert after.torch is not None
    return change, before, replace(after, torch=replace(after.torch, threads=64), host=replace(after.host, cores=2))


def disturbed() -> Changed:
    change, before, after = changed()
    first = replace(after.rounds[0], disturbed="other processes used 30% of the CPU time")
    return change, before, replace(after, rounds=[first, *after.rounds[1:]])


def slow_under_the_profiler() -> Changed:
    forward = compared("1.13-frozen", "2.0-frozen").forward
    return changed(forward=replace(forward, candidate_ns=2 * forward.candidate_ns))


def both_slow_under_the_profiler() -> Changed:
    change = compared("1.13-frozen", "2.0-frozen")
    assert change.latency is not None
    walls = [2 * side.p50_ns for side in (change.latency.baseline, change.latency.candidate)]
    return changed(forward=replace(change.forward, baseline_ns=walls[0], candidate_ns=walls[1]))


def moved_outputs() -> Changed:
    outputs = compared("1.13-frozen", "2.0-frozen").outputs
    assert outputs is not None
    return changed(outputs=replace(outputs, cosine_similarity=0.97, max_abs_error=0.5, top1_agreement=0.0))


@pytest.mark.parametrize(
    ("case", "rule", "what", "evidence"),
    [
        (cache_missed, "primitive cache", "2.0-frozen finds fewer oneDNN primitives in the cache", "100.0% → 0.0%"),
        (in_reference_code, "reference implementations", "1 oneDNN problem", "jit:avx512_core → ref:any +4.90 ms"),
        (more_copies, "copies and conversions", "2.0-frozen copies or converts tensors more often", "aten::copy_"),
        (short_calls, "many short calls", "5000 operator calls of less than 5.00 µs each", "15.0 ms of"),
        (faulting, "page faults", "2.0-frozen has more page faults", "page faults 10 → 20000 per forward"),
        (disturbed, "machine", "disturbed 1 of 10 rounds", "2.0-frozen: 1 of 5 rounds (other processes used 30%"),
        (slow_under_the_profiler, "observer effect", "slows the two sides differently", "under the profiler"),
        (both_slow_under_the_profiler, "observer effect", "up to 2.00 times slower", "(2.00x)"),
        (too_many_threads, "threads", "2.0-frozen ran with 64 threads on 2 processors", "host.cores 2"),
        (
            moved_outputs,
            "outputs",
            "the outputs of 2.0-frozen differ from those of 1.13-frozen",
            "top-1 agreement 0.0%",
        ),
    ],
)
def test_one_changed_fact_makes_one_finding(case: Callable[[], Changed], rule: str, what: str, evidence: str) -> None:
    (finding,), _ = find(*case())
    assert finding.rule == rule
    assert what in finding.what
    assert evidence in "; ".join(finding.evidence)
    assert finding.advice


def test_a_machine_without_other_work_is_ruled_out() -> None:
    change, before, after = changed()
    quiet = [
        replace(side, rounds=[replace(r, load=replace(r.load, other_share=0.0), disturbed=None) for r in side.rounds])
        for side in (before, after)
    ]
    assert "machine" in {cause.rule for cause in find(change, *quiet)[1]}
    one = replace(quiet[0].rounds[0], disturbed="other processes used 20% of the CPU time")
    disturbed = replace(quiet[0], rounds=[one, *quiet[0].rounds[1:]])
    assert "machine" not in {cause.rule for cause in find(change, disturbed, quiet[1])[1]}


def test_the_largest_time_comes_first() -> None:
    times = [abs(finding.delta_ns or 0.0) for finding in compared("2.0", "2.0-frozen").findings]
    assert len(times) > 1
    assert times == sorted(times, reverse=True)
