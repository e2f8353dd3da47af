"""The gate: rules, what fails, what noise may do, and where rules come from."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from profkit.cli.configuration import configured_rules
from profkit.compare.gate import Rule, judge, parse_rule
from profkit.compare.records.diff import Comparison, OutputsChange
from profkit.errors import InputError, UsageError
from profkit.views.diff import compare_runs
from tests.builders import manifest, write_run
from tests.unit.test_cli import Capsys, run


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("forward > 3%", Rule("forward > 3%", "forward", ">", 0.03)),
        ("aten::conv2d.self>=10.5%", Rule("aten::conv2d.self>=10.5%", "aten::conv2d.self", ">=", 0.105)),
        (" outputs.cosine < 0.999 ", Rule("outputs.cosine < 0.999", "outputs.cosine", "<", 0.999)),
        ("outputs.error > 1e-3", Rule("outputs.error > 1e-3", "outputs.error", ">", 0.001)),
        ("forward > -10%", Rule("forward > -10%", "forward", ">", -0.1)),
    ],
)
def test_rules(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize("text", ["", "forward", "forward > fast", "forward > 3", "outputs.cosine < 99%", "> 3%"])
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(UsageError):
        parse_rule(text)


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
    ],
)
def test_what_fails(comparison: Comparison, rule: str, outcome: str) -> None:
    (result,) = judge(comparison, [parse_rule(rule)]).gates
    assert result.outcome == outcome


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


def test_a_single_round_decides_nothing(tmp_path: Path) -> None:
    for label, latency in (("before", 1000), ("after", 2000)):
        write_run(tmp_path / label / "net", manifest(label, 1, latency), ("aten::conv2d", latency))
    found = judge(compare_runs(tmp_path / "before", tmp_path / "after"), [parse_rule("forward > 3%")])
    assert found.gates[0].outcome == "inconclusive"


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
    assert "profkit: gate failed: forward > 3% (net: +30.0% [" in err
    (tmp_path / "pyproject.toml").write_text('[tool.profkit]\nfail-if = ["forward > 3%"]\n')
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert run("diff", *sides) == 1
    assert run("diff", *sides, "--fail-if", "forward > 50%") == 0
    assert run("diff", *sides, "--fail-if", "forwrd > 50%") == 2
    assert "Did you mean forward?" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[tool.profkit]\nfail-if = 3\n", "[tool.profkit]\nfail_if = []\n", "[tool", "\xff"])
def test_a_configuration_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError):
        configured_rules(tmp_path)


def test_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    assert configured_rules(tmp_path) == []
