"""The gate: rules, what fails, what noise may do, and where rules come from."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from profkit import units
from profkit.cli.configuration import configured_rules
from profkit.comparison.gate import judge
from profkit.comparison.gate_rules import Quantity, parse_rule
from profkit.comparison.records.diff import Comparison, OperatorChange
from profkit.comparison.records.outputs import NotFinite, OutputsChange
from profkit.comparison.records.parts import Judged
from profkit.errors import InputError, UsageError
from profkit.views.diff import compare_runs
from tests.builders import manifest, write_run
from tests.unit.test_cli import Capsys, run


@pytest.mark.parametrize(
    ("text", "subject", "sign", "limit", "quantity"),
    [
        ("forward > 3%", "forward", ">", 0.03, "ratio"),
        ("latency > +3%", "latency", ">", 0.03, "ratio"),
        ("aten::conv2d.self>=10.5%", "aten::conv2d.self", ">=", 0.105, "ratio"),
        ("forward > -10%", "forward", ">", -0.1, "ratio"),
        ("forward > .5 %", "forward", ">", 0.005, "ratio"),
        ("latency > 30ms", "latency", ">", 30e6, "time"),
        ("p99 <= 1.5 s", "p99", "<=", 1.5e9, "time"),
        ("aten::conv*.total > 20us", "aten::conv*.total", ">", 20e3, "time"),
        ("profiled > 20µs", "profiled", ">", 20e3, "time"),
        ("profiled > 20\u03bcs", "profiled", ">", 20e3, "time"),  # the Greek letter, as some keyboards write it
        ("latency > +2ms", "latency", ">", 2e6, "change"),
        ("latency < -200ns", "latency", "<", -200, "change"),
        (" outputs.cosine < 0.999 ", "outputs.cosine", "<", 0.999, "value"),
        ("outputs.error > 1e-3", "outputs.error", ">", 0.001, "value"),
        ("outputs.top1 < 1", "outputs.top1", "<", 1.0, "value"),
        ("outputs.nan > 0", "outputs.nan", ">", 0.0, "value"),
        ("void f<int>(a > b) > 3%", "void f<int>(a > b)", ">", 0.03, "ratio"),
    ],
)
def test_rules(text: str, subject: str, sign: str, limit: float, quantity: Quantity) -> None:
    rule = parse_rule(text)
    assert rule.limit == pytest.approx(limit)
    assert (rule.text, rule.subject, rule.sign, rule.quantity) == (text.strip(), subject, sign, quantity)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a gate rule: it needs a subject, one of > >= < <=, and a limit"),
        ("forward", "'forward' is not a gate rule: it needs"),
        ("> 3%", "'> 3%' is not a gate rule: it needs"),
        ("forward > fast", "'forward > fast' is not a gate rule: it needs"),
        ("forward == 3%", "'forward == 3%' is not a gate rule: it needs"),
        ("forward => 3%", "'forward => 3%' is not a gate rule: it needs"),
        ("forward > 3", "'forward > 3': the limit of forward needs a unit: %, ns, us, ms or s"),
        ("forward > 3min", "'forward > 3min': 'min' is not a unit; use %, ns, us, ms or s"),
        ("forward > 3MS", "'forward > 3MS': 'MS' is not a unit"),
        ("forward > 1e999ms", "'forward > 1e999ms': the limit is too large"),
        ("latency > 0ms", "'latency > 0ms': a time is never below 0; for a change, write the limit with a sign: +0ms"),
        ("outputs.cosine < 99%", "the limit of outputs.cosine is a number without a unit"),
        ("outputs.error > 1ms", "the limit of outputs.error is a number without a unit"),
        ("geomean > 3ms", "geomean is a ratio over all workloads, not a time: its limit is a percentage"),
        ("geomean > +3ms", "geomean is a ratio over all workloads, not a time: its limit is a percentage"),
    ],
)
def test_what_is_no_rule(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_rule(text)
    assert message in str(error.value)
    assert "Examples of rules: 'latency > 3%', " in str(error.value)


@pytest.mark.parametrize("text", ["x" * 5000, "x" * 5000 + " > 3"])
def test_an_error_quotes_the_beginning_of_a_long_rule(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_rule(text)
    assert len(str(error.value)) < 1000


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    for label, latency, convolution in (("before", 1000, 800), ("after", 1300, 1000)):
        write_run(
            tmp_path / label / "net", manifest(label, 5, latency), ("aten::conv2d", convolution), ("aten::relu", 100)
        )
    return compare_runs(tmp_path / "before", tmp_path / "after")


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ("forward > 3%", "failed"),
        ("forward > 29%", "failed"),
        ("forward > 31%", "passed"),
        ("forward < 31%", "failed"),
        ("latency > 29%", "failed"),
        ("latency > +29%", "failed"),
        ("latency > 31%", "passed"),
        ("profiled > 10%", "failed"),
        ("p50 > 20%", "failed"),
        ("geomean > 20%", "failed"),
        ("aten::conv2d > 10%", "failed"),
        ("aten::conv2d.self > 10%", "failed"),
        ("aten::conv2d.total > 10%", "failed"),
        ("aten::conv2d.self > 60%", "passed"),
        ("aten::conv2d.self > 26%", "inconclusive"),
        ("aten::relu.self > 0%", "inconclusive"),
        ("outputs.cosine < 0.9", "inconclusive"),
        ("latency > 1.2ms", "failed"),
        ("latency > 1300us", "passed"),  # every round took exactly this long: not beyond the limit
        ("latency >= 1300us", "failed"),
        ("latency > 1.4ms", "passed"),
        ("latency < 1.4ms", "failed"),
        ("forward > 1.2ms", "failed"),
        ("profiled > 0.5ms", "failed"),
        ("profiled > 1.1ms", "inconclusive"),
        ("p50 > 1.2ms", "failed"),
        ("p90 > 1.2ms", "inconclusive"),  # too few forwards
        ("p99 > 0.0014s", "inconclusive"),
        ("aten::conv2d > 900us", "failed"),
        ("aten::conv2d.self > 1ms", "inconclusive"),
        ("aten::conv2d.total > 1.1ms", "passed"),
        ("latency > +0.2ms", "failed"),
        ("latency > +299us", "failed"),
        ("latency > +301us", "passed"),
        ("latency < -1ms", "passed"),
        ("p90 > +0.2ms", "inconclusive"),
        ("profiled > +0.1ms", "failed"),
        ("aten::conv2d.self > +100us", "failed"),
        ("aten::conv2d.self > +200us", "inconclusive"),
        ("aten::conv2d.total > +1ms", "passed"),
    ],
)
def test_what_fails(comparison: Comparison, rule: str, outcome: str) -> None:
    (result,) = judge(comparison, [parse_rule(rule)]).gates
    assert result.outcome == outcome


def found(comparison: Comparison, rule: str) -> list[tuple[str, str]]:
    return [(gate.outcome, gate.found) for gate in judge(comparison, [parse_rule(rule)]).gates]


def with_operators(comparison: Comparison, *operators: OperatorChange) -> Comparison:
    workload = msgspec.structs.replace(comparison.workloads[0], operators=list(operators))
    return msgspec.structs.replace(comparison, workloads=[workload])


def alone(change: OperatorChange, side: str) -> OperatorChange:
    """The operator as if the other side lacked it."""
    other = {"baseline": "candidate", "candidate": "baseline"}[side]
    verdict = Judged(verdict="removed" if side == "baseline" else "added")
    fields = {name: getattr(verdict, name) for name in Judged.__struct_fields__}
    return msgspec.structs.replace(change, **{other: None}, total=Judged(), **fields)


def test_a_change_in_time_is_the_ratio_that_the_table_shows(comparison: Comparison) -> None:
    """At the ends of the interval of the ratio lie those of the change, relative to the time that the table shows."""
    workload = comparison.workloads[0]
    change = next(o for o in workload.operators if o.name == "aten::conv2d")
    assert change.baseline is not None
    assert change.low is not None
    assert change.high is not None
    ends = [change.baseline.self_host_ns * (1 / bound - 1) for bound in (change.high, change.low)]
    for end, outcomes in zip(ends, (("failed", "inconclusive"), ("inconclusive", "passed")), strict=True):
        for limit, outcome in zip((end - 1, end + 1), outcomes, strict=True):
            assert found(comparison, f"aten::conv2d.self > {limit:+}ns")[0][0] == outcome
    shown = f"{units.signed_duration(change.delta_ns)} [{units.signed_duration(ends[0])}, "
    assert found(comparison, "aten::conv2d.self > +1s")[0][1].startswith(f"net: {shown}")


def test_an_absolute_time_is_that_of_the_candidate(comparison: Comparison) -> None:
    assert found(comparison, "latency > 1.2ms") == [("failed", "net: 1.30 ms [1.30 ms, 1.30 ms]")]
    ((_, text),) = found(comparison, "profiled > 1s")
    change = comparison.workloads[0].forward
    assert change.candidate_interval is not None
    assert text.startswith(f"net: {units.duration(change.candidate_ns)} [")
    assert units.duration(change.candidate_interval.low_ns) in text


def test_without_a_latency(tmp_path: Path) -> None:
    for label in ("before", "after"):
        described = manifest(label, 3, 1000)
        rounds = [msgspec.structs.replace(r, latency_ns=[]) for r in described.rounds]
        write_run(tmp_path / label / "net", msgspec.structs.replace(described, rounds=rounds), ("aten::conv2d", 800))
    comparison = compare_runs(tmp_path / "before", tmp_path / "after")
    for rule in ("latency > 3%", "latency > 3ms", "latency > +3ms", "p90 > 3%", "p99 > 1s"):
        assert found(comparison, rule) == [("inconclusive", "net: no latency was measured")]
    assert found(comparison, "forward > 50%")[0][0] == "passed"


def test_a_wildcard_is_judged_for_every_operator_that_matches(comparison: Comparison) -> None:
    gates = judge(comparison, [parse_rule("aten::*.self > 10%")]).gates
    assert [(gate.workload, gate.operator, gate.outcome) for gate in gates] == [
        ("net", "aten::conv2d", "failed"),
        ("net", "aten::relu", "passed"),
    ]
    assert gates[0].found.startswith("net aten::conv2d: +2")
    assert [gate.operator for gate in judge(comparison, [parse_rule("aten::conv?d > 10%")]).gates] == ["aten::conv2d"]
    assert judge(comparison, [parse_rule("aten::conv2d > 10%")]).gates[0].operator == "aten::conv2d"
    assert judge(comparison, [parse_rule("latency > 10%")]).gates[0].operator is None


def test_a_wildcard_matches_in_this_case_only(comparison: Comparison) -> None:
    with pytest.raises(UsageError, match=r"no workload has an operator that matches 'aten::CONV\*'.*aten::conv2d"):
        judge(comparison, [parse_rule("aten::CONV*.self > 3%")])


def test_a_name_with_a_wildcard_in_it_is_a_name_first(comparison: Comparison) -> None:
    change = comparison.workloads[0].operators[0]
    names = ("Optimizer.step*", "Optimizer.step#SGD")
    changed = with_operators(comparison, *(msgspec.structs.replace(change, name=name) for name in names))
    assert [gate.operator for gate in judge(changed, [parse_rule("Optimizer.step* > 3%")]).gates] == [names[0]]


def test_an_operator_of_one_side(comparison: Comparison) -> None:
    """It has no ratio; what it takes on the candidate is known if that is the side that has it."""
    conv, relu = comparison.workloads[0].operators
    changed = with_operators(comparison, alone(conv, "candidate"), alone(relu, "baseline"))
    for rule in ("aten::* > 3%", "aten::* > +3ms"):
        assert found(changed, rule) == [
            ("inconclusive", "net aten::conv2d: added, on one side only"),
            ("inconclusive", "net aten::relu: removed, on one side only"),
        ]
    assert found(changed, "aten::relu > 3%") == [("inconclusive", "net: removed, on one side only")]
    assert [outcome for outcome, _ in found(changed, "aten::* > 500us")] == ["failed", "inconclusive"]
    assert [outcome for outcome, _ in found(changed, "aten::conv2d > 5ms")] == ["passed"]


def test_rows_of_one_side_are_not_passed_over(comparison: Comparison) -> None:
    conv = next(o for o in comparison.workloads[0].operators if o.name == "aten::conv2d")
    rows = [msgspec.structs.replace(conv, input_dims=f"[[{n}]]") for n in range(4)]
    changed = with_operators(comparison, rows[0], alone(rows[1], "baseline"), alone(rows[2], "candidate"))
    assert [outcome for outcome, _ in found(changed, "aten::conv2d > 60%")] == ["passed", "inconclusive"]
    assert found(changed, "aten::conv2d > 60%")[1][1] == "net: 2 of 3 rows are on one side only (added, removed)"
    assert found(changed, "aten::conv* > 60%")[1][1].startswith("net aten::conv2d: 2 of 3 rows")
    texts = [text for _, text in found(changed, "aten::conv* > 60ms")]
    assert texts[0].startswith("net aten::conv2d [[0]]: 1.")
    assert texts[1].startswith("net aten::conv2d [[2]]: 1.")
    assert texts[2] == "net aten::conv2d: 1 of 3 rows are on one side only (removed)"


def test_a_wildcard_that_matches_in_one_workload_only(comparison: Comparison) -> None:
    """A pattern describes a set of operators, which may be empty in a workload; a name says that there is one."""
    net = comparison.workloads[0]
    other = msgspec.structs.replace(net, name="other", operators=[o for o in net.operators if "relu" in o.name])
    both = msgspec.structs.replace(comparison, workloads=[net, other])
    assert [gate.workload for gate in judge(both, [parse_rule("aten::conv* > 3%")]).gates] == ["net"]
    assert found(both, "aten::conv2d > 3%")[1] == ("inconclusive", "other: not in this workload")


def test_a_percentile_of_too_few_forwards_decides_nothing(comparison: Comparison) -> None:
    found = judge(comparison, [parse_rule("p90 > 20%"), parse_rule("p99 > 40%")])
    assert [gate.outcome for gate in found.gates] == ["inconclusive", "inconclusive"]
    assert "too few forwards for p99: it takes 100 in every round and 1,000 on each side" in found.gates[1].found


def test_a_percentile_of_enough_forwards_is_judged(tmp_path: Path) -> None:
    for label, latency in (("before", 1000), ("after", 1300)):
        described = manifest(label, 5, latency)
        rounds = [msgspec.structs.replace(r, latency_ns=r.latency_ns * 7) for r in described.rounds]
        write_run(tmp_path / label / "net", msgspec.structs.replace(described, rounds=rounds), ("aten::conv2d", 800))
    found = judge(
        compare_runs(tmp_path / "before", tmp_path / "after"), [parse_rule(f"{p} > 20%") for p in ("p90", "p99")]
    )
    assert [gate.outcome for gate in found.gates] == ["failed", "inconclusive"]
    latency_change = found.workloads[0].latency
    assert latency_change is not None
    assert latency_change.p90 is not None
    assert latency_change.p90.verdict == "slower"
    assert latency_change.baseline.p90_ns is not None
    assert (latency_change.p99, latency_change.baseline.p99_ns) == (None, None)


def test_outputs(comparison: Comparison) -> None:
    def outcome(outputs: OutputsChange, rule: str) -> str:
        workload = msgspec.structs.replace(comparison.workloads[0], outputs=outputs)
        return judge(msgspec.structs.replace(comparison, workloads=[workload]), [parse_rule(rule)]).gates[0].outcome

    near = OutputsChange(cosine_similarity=0.99, max_abs_error=0.5, comparable=True)
    assert outcome(near, "outputs.cosine < 0.999") == "failed"
    assert outcome(near, "outputs.cosine < 0.9") == "passed"
    assert outcome(near, "outputs.error > 0.1") == "failed"
    broken = OutputsChange(cosine_similarity=None, max_abs_error=None, comparable=False, finite=False)
    assert outcome(broken, "outputs.cosine < 0.9") == "failed"
    assert outcome(broken, "outputs.top1 < 1") == "failed"
    assert outcome(broken, "outputs.nan > 0") == "inconclusive"  # an older file, which has no counts
    counted = msgspec.structs.replace(broken, candidate_not_finite=NotFinite(nan=0, infinite=3, values=9))
    assert outcome(counted, "outputs.nan > 0") == "passed"
    assert outcome(near, "outputs.top1 < 1") == "inconclusive"  # not a classifier
    classifier = msgspec.structs.replace(near, top1_agreement=0.99)
    assert outcome(classifier, "outputs.top1 < 1") == "failed"
    assert outcome(classifier, "outputs.top1 < 0.99") == "passed"


def test_outputs_that_are_nothing_or_of_another_shape(tmp_path: Path) -> None:
    for label, array in (("ones", np.ones(10)), ("zeros", np.zeros(10)), ("longer", np.ones(11))):
        write_run(tmp_path / label / "net", manifest(label, 2, 1000), ("aten::conv2d", 800))
        np.savez(tmp_path / label / "net/outputs.npz", output=array)
    rules = [parse_rule("outputs.cosine < 0.999")]
    for other, outcome in (("zeros", "failed"), ("longer", "failed"), ("ones", "passed")):
        found = judge(compare_runs(tmp_path / "ones", tmp_path / other), rules)
        assert found.gates[0].outcome == outcome


def test_total_time_has_a_clock_of_its_own(comparison: Comparison) -> None:
    """A wrapper's own time is below the clock's resolution; what it calls may be slower all the same."""
    workload = comparison.workloads[0]
    wrapper = msgspec.structs.replace(
        next(o for o in workload.operators if o.name == "aten::conv2d"), verdict="unresolved"
    )
    changed = msgspec.structs.replace(workload, operators=[wrapper])
    found = judge(
        msgspec.structs.replace(comparison, workloads=[changed]),
        [parse_rule("aten::conv2d.total > 10%"), parse_rule("aten::conv2d.self > 10%")],
    )
    assert [gate.outcome for gate in found.gates] == ["failed", "inconclusive"]


def test_every_row_of_an_operator_is_judged(comparison: Comparison) -> None:
    workload = comparison.workloads[0]
    slower = next(o for o in workload.operators if o.name == "aten::conv2d")
    faster = msgspec.structs.replace(slower, input_dims="[[1]]", speedup=2.0, low=1.9, high=2.1)
    changed = msgspec.structs.replace(workload, operators=[faster, slower])
    found = judge(msgspec.structs.replace(comparison, workloads=[changed]), [parse_rule("aten::conv2d > 10%")])
    assert [gate.outcome for gate in found.gates] == ["passed", "failed"]
    assert "net [[1]]: -50.0%" in found.gates[0].found


def test_noise_neither_fails_nor_passes(tmp_path: Path) -> None:
    for label, latency, noise in (("before", 1000, 0.4), ("after", 1100, 0.4)):
        described = manifest(label, 3, latency)
        rounds = [
            msgspec.structs.replace(r, latency_ns=[round(ns * (1 + noise * (r.index - 1))) for ns in r.latency_ns])
            for r in described.rounds
        ]
        write_run(tmp_path / label / "net", msgspec.structs.replace(described, rounds=rounds), ("aten::conv2d", 800))
    found = judge(compare_runs(tmp_path / "before", tmp_path / "after"), [parse_rule("forward > 3%")])
    assert found.gates[0].outcome == "inconclusive"
    assert "% [-" in found.gates[0].found


@pytest.mark.parametrize(
    "rule",
    ["forward > 3%", "latency > 1ms", "latency > +1ms", "profiled > 1us", "aten::* > 1us", "aten::conv2d > +1us"],
)
def test_a_single_round_decides_nothing(tmp_path: Path, rule: str) -> None:
    for label, latency in (("before", 1000), ("after", 2000)):
        write_run(tmp_path / label / "net", manifest(label, 1, latency), ("aten::conv2d", latency))
    ((outcome, text),) = found(compare_runs(tmp_path / "before", tmp_path / "after"), rule)
    assert outcome == "inconclusive"
    assert "no interval" in text


def test_an_operator_that_nobody_has(comparison: Comparison) -> None:
    with pytest.raises(UsageError, match=r"no workload has 'aten::conv3d'.*\n?.*Did you mean aten::conv2d"):
        judge(comparison, [parse_rule("aten::conv3d.self > 3%")])


def test_exit_status_and_configuration(
    comparison: Comparison, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = [tmp_path / "before", tmp_path / "after"]
    assert run("diff", *sides, "--fail-if", "forward > 50%") == 0
    assert run("diff", *sides, "--fail-if", "forward > 3%", "--format", "markdown") == 1
    out, err = capsys.readouterr()
    assert "| forward &gt; 3% | net: +30.0%" in out
    assert "gate failed: forward > 3%: net: +30.0% [" in err
    (tmp_path / "pyproject.toml").write_text('[tool.profkit]\nfail-if = ["forward > 3%"]\n')
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert run("diff", *sides) == 1
    assert run("diff", *sides, "--fail-if", "forward > 50%") == 0
    assert run("diff", *sides, "--fail-if", "forwrd > 50%") == 2
    assert "Did you mean forward?" in capsys.readouterr().err


LINES = """\
gate inconclusive: outputs.cosine < 0.9: net: no outputs to compare
gate failed: latency > 3%: net: +30.0% [+30.0%, +30.0%]
"""


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--quiet"],
        ["--format", "json"],
        ["--output", "diff.json", "--quiet"],
        ["--output", "diff.html", "--quiet"],
        ["--plot", "waterfall", "--output", "waterfall.html", "--quiet"],
    ],
)
def test_every_rule_that_did_not_pass_is_on_standard_error(
    comparison: Comparison, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rules = ["latency > 3%", "latency > 99%", "outputs.cosine < 0.9"]
    words = [word for rule in rules for word in ("--fail-if", rule)]
    assert run("diff", "before", "after", *words, *options) == 1
    out, err = capsys.readouterr()
    assert err == LINES
    if "json" in options:
        assert [gate["outcome"] for gate in json.loads(out)["gates"]] == ["failed", "passed", "inconclusive"]


def test_inconclusive_rules_and_the_exit_status(comparison: Comparison, tmp_path: Path, capsys: Capsys) -> None:
    words = ["diff", tmp_path / "before", tmp_path / "after", "--fail-if", "outputs.cosine < 0.9"]
    assert run(*words) == 0
    assert "gate inconclusive: outputs.cosine < 0.9: net: no outputs" in capsys.readouterr().err
    assert run(*words, "--fail-inconclusive") == 1


def test_names_from_a_trace_cannot_write_to_the_terminal(tmp_path: Path, capsys: Capsys) -> None:
    for label in ("before", "after"):
        write_run(tmp_path / label / "net", manifest(label, 3, 1000), ("aten::\x1b[2Jconv", 800))
    assert run("diff", tmp_path / "before", tmp_path / "after", "--fail-if", "aten::* > 0%") == 0
    err = capsys.readouterr().err
    assert "aten::\\x1b[2Jconv" in err
    assert "\x1b" not in err


@pytest.mark.parametrize("text", ["[tool.profkit]\nfail-if = 3\n", "[tool.profkit]\nfail_if = []\n", "[tool", "\xff"])
def test_a_configuration_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError):
        configured_rules(tmp_path)


def test_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    assert configured_rules(tmp_path) == []
