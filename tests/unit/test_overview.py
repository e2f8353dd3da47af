"""Many runs side by side, and saved results shown again."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from profkit.errors import InputError, UsageError
from profkit.report.formats.json import render_json
from profkit.report.formats.text import render_text
from profkit.report.kinds import compare
from profkit.report.kinds.kind import Selection
from profkit.report.saved import load, schema
from profkit.views.diff import compare_runs
from profkit.views.many import compare_many
from tests.builders import manifest, write_run
from tests.conftest import ROOT
from tests.unit.test_cli import Capsys, run
from tests.unit.test_reports import Golden

TRACES = Path("traces")


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_text(golden: Golden) -> None:
    document = compare.document(compare_many([TRACES]), Selection())
    golden("compare.txt", render_text(document))
    assert max(map(len, render_text(document, width=80).splitlines())) <= 80


def test_json_and_csv(capsys: Capsys) -> None:
    assert run("compare", TRACES, "--format", "json") == 0
    text = capsys.readouterr().out
    jsonschema.validate(json.loads(text), schema("compare"))
    assert run("compare", TRACES, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["run"] for row in rows][:2] == ["1.13", "1.13-bf16"]
    assert len(rows) == 10


def test_it_agrees_with_diff() -> None:
    overview = compare_many([TRACES / "1.13", TRACES / "2.0-frozen"])
    latency = compare_runs(TRACES / "1.13", TRACES / "2.0-frozen").workloads[0].latency
    (entry,) = overview.runs[1].entries
    assert latency is not None
    assert (entry.speedup, entry.low, entry.high) == (latency.speedup, latency.low, latency.high)
    assert overview.runs[1].geomean_speedup.speedup == pytest.approx(latency.speedup)
    assert overview.runs[1].geomean_speedup.low == pytest.approx(latency.low)


def test_the_baseline_may_be_any() -> None:
    overview = compare_many([TRACES], baseline=TRACES / "2.0")
    assert overview.baseline == "2.0"
    assert [r.label for r in overview.runs][:3] == ["2.0", "1.13", "1.13-bf16"]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    for label, names in (("1.9", "ab"), ("1.10", "a"), ("1.11", "ab")):
        for name in names:
            described = manifest(label, 3, 1000 if label == "1.9" else 500)
            described = msgspec.structs.replace(
                described, workload=msgspec.structs.replace(described.workload, name=name)
            )
            write_run(tmp_path / label / name, described, ("aten::conv2d", 400))
    failed = msgspec.structs.replace(manifest("1.12", 0, 1), status="failed", reason="died of SIGSEGV")
    write_run(tmp_path / "1.12/a", failed)
    overview = compare_many([tmp_path])
    assert [r.label for r in overview.runs] == ["1.9", "1.10", "1.11"]
    assert [r.left_out for r in overview.runs] == [[], ["b"], []]
    assert overview.warnings == ["1.12 net is left out: died of SIGSEGV"]
    text = render_text(compare.document(overview, Selection()))
    assert "1.10: its geometric mean leaves out b." in text
    assert "died of SIGSEGV" in text
    assert overview.runs[1].geomean_speedup.speedup == pytest.approx(2.0)


def test_no_winner_that_noise_makes() -> None:
    """What is not shown to be slower than the fastest is named with it."""
    overview = compare_many([TRACES])
    frozen = {label for label in (r.label for r in overview.runs) if "frozen" in label and "2.15" not in label}
    assert set(overview.fastest) == frozen
    (best, *_) = overview.fastest
    again = compare_many([TRACES], baseline=TRACES / best)
    lines = render_text(compare.document(again, Selection())).splitlines()
    assert lines[2] == f"No run is shown to be faster than {best}."


def test_a_baseline_that_failed_is_no_baseline(tmp_path: Path) -> None:
    failed = msgspec.structs.replace(manifest("1.12", 0, 1), status="failed", reason="died of SIGSEGV")
    write_run(tmp_path / "1.12/net", failed)
    for label in ("1.13", "2.0"):
        write_run(tmp_path / label / "net", manifest(label, 2, 100), ("aten::conv2d", 4))
    with pytest.raises(InputError, match="died of SIGSEGV"):
        compare_many([tmp_path / "1.13", tmp_path / "2.0"], baseline=tmp_path / "1.12")


def test_two_runs_of_one_name(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write_run(tmp_path / folder / "net", manifest("1.9", 2, 100), ("aten::conv2d", 4))
    with pytest.raises(UsageError, match=r"two runs of net have the label 1\.9"):
        compare_many([tmp_path])
    with pytest.raises(UsageError, match="only one run"):
        compare_many([tmp_path / "x"])


def test_other_peoples_traces_are_compared_by_their_forwards() -> None:
    traces = sorted((TRACES / "2.0/resnet50").glob("*.json.gz"))[:2]
    overview = compare_many(traces)
    assert set(overview.walls.values()) == {"profiled"}


def test_render_shows_what_was_saved(tmp_path: Path, capsys: Capsys) -> None:
    """In every format; that real results survive the saving too is test_results_round_trip's."""
    for label, latency, convolution in (("1.9", 1000, 800), ("1.10", 800, 600), ("1.11", 500, 300)):
        operators = (("aten::conv2d", convolution), ("aten::relu", 100), (f"aten::only_{latency}", 50))
        write_run(tmp_path / label / "net", manifest(label, 3, latency), *operators)
    for words in (
        ["diff", tmp_path / "1.9", tmp_path / "1.11"],
        ["compare", *(tmp_path / label for label in ("1.9", "1.10", "1.11"))],
        ["ops", tmp_path / "1.11", "--per-forward"],
    ):
        saved = tmp_path / "saved.json"
        assert run(*words, "--output", saved) == 0
        for form in ("text", "markdown", "csv", "json"):
            assert run(*words, "--format", form) == 0
            expected = capsys.readouterr().out
            assert run("render", saved, "--format", form) == 0
            assert capsys.readouterr().out == expected
            assert words[0] == "compare" or "aten::conv2d" in expected


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "diff/1"}', '{"schema": "diff/9"}', "[" * 9999, "\xff\xff"])
def test_what_is_not_a_saved_result(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"is not a saved result|which is not known"):
        load(path)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (["geomean_speedup", "speedup"], -0.0, "Expected `float` > 0.0"),
        (["workloads", 0, "forward", "speedup"], 0, "Expected `float` > 0.0"),
        (["workloads", 0, "operators", 0, "p_value"], 1.5, "Expected `float` <= 1.0"),
        (["workloads", 0, "calls", 0, "baseline", "total_host_ns"], -1.0, "Expected `float` >= 0.0"),
        (["workloads", 0, "latency", "baseline", "p99_ns"], 1e300, "Expected `float` <="),
        (["workloads", 0, "attribution", "baseline_ns"], -1, "Expected `int` >= 0"),
        (["workloads"], [], "Expected `array` of length >= 1"),
    ],
)
def test_numbers_that_nothing_can_have_measured(
    tmp_path: Path, keys: list[str | int], value: object, words: str
) -> None:
    """They are refused where they are read: a logarithm or a sum of them would fail far from there."""
    document = json.loads((ROOT / "tests/golden/diff.json").read_text())
    *outer, last = keys
    at = document
    for key in outer:
        at = at[key]
    assert last in at or isinstance(last, int)
    at[last] = value
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=words):
        load(path)


def test_a_saved_result_that_is_nested_too_deeply(tmp_path: Path, capsys: Capsys) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"schema": "diff/1", "more": ' + "[" * 9999)
    assert run("render", path) == 3
    assert "nested too deeply" in capsys.readouterr().err


def test_results_round_trip() -> None:
    comparison = compare_runs(TRACES / "1.13", TRACES / "2.0")
    again = msgspec.json.decode(render_json(comparison), type=type(comparison))
    assert render_json(again) == render_json(comparison)
