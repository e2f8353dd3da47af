"""One decision everywhere: headline, tables, compare, fpmath verdicts and gates of all pairs of the example runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path

import pytest
from msgspec.structs import replace

from profkit.comparison.diff import compare
from profkit.comparison.gate import judge
from profkit.comparison.gate_rules import parse_rule
from profkit.comparison.records.diff import Comparison, WorkloadChange
from profkit.report.kinds.diff.document import attribution_table, wall_times_table
from profkit.report.sentences import answers, explains_change, headline
from profkit.runs.contents import RunContents
from profkit.runs.measurement import Measurement, measure
from profkit.runs.store import MANIFEST_NAME, find_runs
from profkit.views import many
from profkit.views.diff import PendingComparison
from profkit.views.many import compare_many
from tests.conftest import ROOT

LABELS = sorted(path.name for path in (ROOT / "traces").iterdir())
PAIRS = list(permutations(LABELS, 2))
WITHOUT_EFFECT = ("accepted without effect", "not accepted")


@pytest.fixture(scope="module")
def comparisons() -> Mapping[tuple[str, str], Comparison]:
    """Every ordered pair of the example runs; each run is read once."""

    def measured(path: Path) -> Measurement:
        (run,) = find_runs(path)
        return replace(measure(run, with_calls=True), data=RunContents(run).read())

    runs = {label: measured(ROOT / "traces" / label) for label in LABELS}
    return {(a, b): compare([(runs[a], runs[b])], a, b)["name"] for a, b in PAIRS}


@pytest.fixture
def workloads(comparisons: Mapping[tuple[str, str], Comparison]) -> Iterator[WorkloadChange]:
    return (workload for comparison in comparisons.values() for workload in comparison.workloads)


def outcome(comparison: Comparison, rule: str) -> str:
    (gate,) = judge(comparison, [parse_rule(rule)]).gates
    return gate.outcome


def test_the_examples_hold_every_case(workloads: Iterator[WorkloadChange]) -> None:
    every = list(workloads)
    assert {w.inference.verdict for w in every} >= {"faster", "slower", "inconclusive"}
    assert {explains_change(w) for w in every} == {True, False}
    assert {o.judged_on for w in every for o in w.operators} == {"self", "total"}
    assert {v.outcome for w in every for v in w.fpmath} == {"accepted without effect"}


def test_headline_table_and_gate(comparisons: Mapping[tuple[str, str], Comparison]) -> None:
    for comparison in comparisons.values():
        (workload,) = comparison.workloads
        verdict, text = workload.inference.verdict, headline(workload)
        table = wall_times_table(workload, "a", "b")
        assert verdict is not None
        assert (
            f"{verdict} [" in text if workload.inference.is_shown else "inconclusive, between" in text or "same" in text
        )
        assert table.rows[0][-1].text.removeprefix("~ ") == verdict
        assert [row[0].text.split(",")[0] for row in table.rows] == ["latency p50", "forward"]
        expected = {"faster": "passed", "slower": "failed", "inconclusive": "inconclusive"}
        if verdict in expected:
            assert outcome(comparison, "forward > 0%") == expected[verdict]
        else:
            assert outcome(comparison, "forward > 2%") == "passed"
        assert {outcome(comparison, f"{p} > 3%") for p in ("p90", "p99")} == {"inconclusive"}


def test_only_a_change_that_is_shown_is_explained(workloads: Iterator[WorkloadChange]) -> None:
    for workload in workloads:
        explained = explains_change(workload)
        shown, profiled = workload.inference, workload.forward
        bounds = [bound or 0.0 for bound in (shown.low, profiled.low, shown.high, profiled.high)]
        same_factor = max(bounds[:2]) <= min(bounds[2:])
        assert explained == (shown.is_shown and profiled.verdict == shown.verdict and same_factor)
        assert ("largest part" in headline(workload)) == explained
        assert ("attribution" in attribution_table(workload, "a", "b").title) == explained
        parts = workload.attribution
        assert sum(o.delta_ns for o in parts.operators) + parts.outside_operators_ns == parts.forward_delta_ns


def test_compare_comes_to_the_verdicts_of_diff(
    comparisons: Mapping[tuple[str, str], Comparison], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "_to_explain", lambda overview: None)  # findings are tested elsewhere, and read traces
    for (a, b), comparison in comparisons.items():
        overview = compare_many([ROOT / "traces" / a, ROOT / "traces" / b])
        (entry,) = overview.runs[1].entries
        found = comparison.workloads[0].inference
        assert (entry.verdict, entry.speedup, entry.low) == (found.verdict, found.speedup, found.low)
        assert (b in overview.fastest and a not in overview.fastest) == (found.verdict == "faster")
    for a in LABELS:  # a larger table controls more false discoveries, so it may show less, but nothing else
        for run in compare_many([ROOT / "traces"], baseline=ROOT / "traces" / a).runs[1:]:
            ours, theirs = run.entries[0].verdict, comparisons[a, run.label].workloads[0].inference.verdict
            assert ours == theirs or ours == "inconclusive"


def test_a_row_agrees_with_itself_and_with_its_gate(comparisons: Mapping[tuple[str, str], Comparison]) -> None:
    for comparison in comparisons.values():
        (workload,) = comparison.workloads
        implementations = {i.operator: i for i in workload.implementations}
        for o in workload.operators:
            before, after = o.judged_ns
            assert o.delta_ns == pytest.approx((after or 0) - (before or 0))
            assert (o.paired_with is not None) == (o.verdict == "replaced")
            if o.verdict == "replaced":
                assert o.speedup is None
            if before and after and o.speedup is not None:
                assert o.speedup == pytest.approx(before / after, rel=1e-6)
            if o.is_shown:
                assert (o.delta_ns < 0) == (o.verdict == "faster")
                assert outcome(comparison, f"{o.name} > 0%") == ("passed" if o.verdict == "faster" else "failed")
            assert (o.judged_on == "total") == (o.name in implementations and None not in (before, after))
            if o.judged_on == "total":
                found = implementations[o.name]
                assert (found.baseline.total_host_ns, found.candidate.total_host_ns) == pytest.approx((before, after))
                assert o.total.verdict == o.verdict
                assert outcome(comparison, f"{o.name}.self > 0%") == "inconclusive"


def test_work_that_moved_into_relu_is_no_slowdown_by_itself(
    comparisons: Mapping[tuple[str, str], Comparison],
) -> None:
    operators = {o.name: o for o in comparisons["1.13", "2.0-frozen"].workloads[0].operators}
    relu_ = operators["aten::relu_"]
    assert relu_.speedup is not None
    assert 0.5 < relu_.speedup < 0.7
    assert operators["aten::clamp_min_"].paired_with == "aten::relu_"


def test_bf16_without_effect_explains_nothing(comparisons: Mapping[tuple[str, str], Comparison]) -> None:
    for (a, b), comparison in comparisons.items():
        (workload,) = comparison.workloads
        for verdict in workload.fpmath:
            assert not {"faster", "slower"} & set(" ".join(verdict.evidence).split())
        references = {v.reference for v in workload.fpmath if v.outcome in WITHOUT_EFFECT}
        is_twin = bool(references & {workload.baseline.path, workload.candidate.path})
        assert is_twin == (a != b and a.replace("-bf16", "") == b.replace("-bf16", ""))
        assert any(text.startswith("Warning: bf16 had no effect") for text in answers(comparison)) == is_twin


def test_few_disturbed_rounds_show_nothing_anywhere(
    tmp_path: Path, comparisons: Mapping[tuple[str, str], Comparison]
) -> None:
    """Of two runs that differ beyond the noise, three rounds are left, which other work disturbed."""
    labels = ("1.13", "2.0-frozen")
    assert comparisons[labels].workloads[0].inference.verdict == "faster"
    for label in labels:
        shutil.copytree(ROOT / "traces" / label, tmp_path / label)
        (path,) = (tmp_path / label).rglob(MANIFEST_NAME)
        manifest = json.loads(path.read_bytes())
        manifest["rounds"] = [{**r, "disturbed": "other processes used 40%"} for r in manifest["rounds"][:3]]
        path.write_text(json.dumps(manifest))
    paths = [tmp_path / label for label in labels]
    with PendingComparison([tuple(find_runs(path)[0] for path in paths)], tuple(map(str, paths))) as pending:
        comparison = pending.result()["name"]
    (workload,) = comparison.workloads
    judged = [
        workload.inference,
        workload.forward,
        *workload.operators,
        *workload.resources,
        comparison.geomean_speedup,
    ]
    assert {j.verdict for j in judged} <= {"inconclusive", "unresolved", "added", "removed", "replaced"}
    assert "no verdict" in headline(workload)
    assert "other work disturbed rounds" in headline(workload)
    assert sum("other work disturbed rounds" in text for text in comparison.warnings) == 2
    for rule in ("latency > 0%", "latency > 1us", "forward > 1us", "aten::flatten > 1us", "geomean > 0%"):
        assert outcome(comparison, rule) == "inconclusive"
    assert any("too few for an interval" in finding.what for finding in workload.findings)
    overview = compare_many(paths)
    run = overview.runs[1]
    assert (run.entries[0].verdict, run.geomean_speedup.verdict) == ("inconclusive", "inconclusive")
    assert run.entries[0].wall.p50_interval is None
    (warning,) = overview.warnings
    assert "no verdict on 2.0-frozen: other work disturbed rounds" in warning
