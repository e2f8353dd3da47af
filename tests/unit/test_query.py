"""Questions to an index in SQL: answered, never more than that; and groups of an index compared as runs are."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from profkit.cli.main import main
from profkit.comparison.records.diff import Comparison, WorkloadChange
from profkit.errors import UsageError
from profkit.fleet.comparing import compare_all, compare_groups, operators_of, primitives_of
from profkit.fleet.dataset import Dataset
from profkit.fleet.selection import Asked, Chosen, natural
from profkit.fleet.sql import Tables
from profkit.runs.contents import RunContents
from profkit.runs.store import one_run
from profkit.views.diff import compare_runs
from profkit.views.many import compare_many
from profkit.views.primitives import PrimitiveKey, view_primitives
from tests.conftest import ROOT
from tests.unit.nights import add_night, index_here

Capsys = pytest.CaptureFixture[str]
PAIR = "label IN ('1.13', '2.0')"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("index") / "study"
    with pytest.MonkeyPatch.context() as patch:
        index_here([ROOT / "traces"], to, patch)
    return to


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_every_format(study: Path, capsys: Capsys) -> None:
    sql = "SELECT label, count(*) AS rounds, 0.5 AS half, NULL AS nothing FROM rounds GROUP BY label ORDER BY label"
    assert run("query", sql, str(study), "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["columns"] == ["label", "rounds", "half", "nothing"]
    assert found["rows"][0] == ["1.13", 5, 0.5, None]
    assert run("query", sql, str(study), "--format", "csv") == 0
    header, first, *_ = csv.reader(io.StringIO(capsys.readouterr().out))
    assert (header, first) == (found["columns"], ["1.13", "5", "0.5", ""])
    for form in ("text", "markdown", "html"):
        assert run("query", sql, str(study), "--format", form) == 0
        assert "2.15-frozen" in capsys.readouterr().out.replace("\\", "")
    assert run("query", sql, str(study), "--filter", "*frozen*", "--format", "csv") == 0
    assert capsys.readouterr().out.count("frozen") == 5


def test_runs_are_indexed_for_one_question(capsys: Capsys) -> None:
    assert run("query", "SELECT count(*) FROM rounds", str(ROOT / "traces/2.0"), "--format", "csv") == 0
    assert capsys.readouterr().out.splitlines()[1] == "5"


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW rounds",
        "CREATE TABLE t AS SELECT 1",
        "COPY (SELECT 1) TO '{folder}/x.csv'",
        "SELECT 1; SELECT 2",
        "ATTACH '{folder}/x.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "EXPORT DATABASE '{folder}/x'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('{folder}/../study/profkit-index.json')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT getenv('HOME')",
        "SELECT nothing FROM rounds",
        "",
    ],
)
def test_a_question_reads_the_index_and_nothing_else(sql: str, study: Path, tmp_path: Path, capsys: Capsys) -> None:
    assert run("query", sql.format(folder=tmp_path), str(study)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("profkit: ")
    assert "root:" not in err
    assert list(tmp_path.iterdir()) == []


GUIDE = (ROOT / "profkit/guides/fleet.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r'^profkit query "(.*)" index$', GUIDE, re.M)
# the study has no device, no failure, no price, no disturbed round and no reference code
WITHOUT_ROWS = ("FROM kernels", "FROM failures", "usd_per_hour", "disturbed IS NOT NULL", "LIKE '%ref%'")


@pytest.mark.parametrize("sql", QUESTIONS)
def test_the_questions_of_the_guide_are_answered(sql: str, study: Path) -> None:
    dataset = Dataset(str(study))
    with Tables(dataset) as tables:
        answer = tables.ask(sql)
        rows = list(answer.rows)
    assert bool(rows) is not any(part in sql for part in WITHOUT_ROWS)


def test_there_are_a_dozen_questions() -> None:
    assert len(QUESTIONS) == 12


def test_the_tables_are_described(capsys: Capsys) -> None:
    assert run("query", "--tables") == 0
    out = capsys.readouterr().out
    assert "operator_shapes" in out
    assert "host time without the operators that it calls (ns)" in out


def test_an_endless_answer_stays_within_the_memory(study: Path, capsys: Capsys) -> None:
    sql = "SELECT count(DISTINCT range::VARCHAR || 'a long text') FROM range(3000000)"
    assert run("query", sql, str(study), "--memory-limit", "0.05") == 2
    assert "memory" in capsys.readouterr().err.lower()


def chosen(index: Path, where: str = "true", group_by: str = "label") -> Chosen:
    dataset = Dataset(str(index))
    dataset.require()
    return Chosen(Tables(dataset), Asked(str(index), where, group_by))  # type: ignore[arg-type]  # a literal


def change(comparison: Comparison) -> WorkloadChange:
    (found,) = comparison.workloads
    return found


@pytest.mark.parametrize("by", ["name", "shape"])
def test_a_diff_from_the_index_is_that_of_the_runs(study: Path, by: str) -> None:
    indexed = change(compare_groups(chosen(study, PAIR), by, 0.02)[by])  # type: ignore[arg-type, index]  # literals
    read = change(compare_runs(ROOT / "traces/1.13", ROOT / "traces/2.0", by))  # type: ignore[arg-type]  # a literal
    assert indexed.latency == read.latency
    assert indexed.paired == read.paired
    assert indexed.resources == read.resources
    assert indexed.forward.speedup == pytest.approx(read.forward.speedup, rel=1e-6)
    known = {(o.name, o.input_dims): o for o in indexed.operators}
    # an operator whose work moved is judged on other times by a diff of the runs, which sees the calls
    same = [o for o in read.operators if o.judged_on == "self" and o.paired_with is None and o.low is not None]
    assert len(same) > 20
    for operator in same:
        here = known[operator.name, operator.input_dims]
        assert (here.speedup, here.low) == pytest.approx((operator.speedup, operator.low), rel=1e-3)


def test_compare_from_the_index_is_that_of_the_runs(study: Path) -> None:
    indexed, read = compare_all(chosen(study), 0.02), compare_many([ROOT / "traces"])
    assert [run.label for run in indexed.runs] == [run.label for run in read.runs]
    assert [run.geomean_speedup for run in indexed.runs] == [run.geomean_speedup for run in read.runs]
    assert [e.peak_memory_bytes for r in indexed.runs for e in r.entries] == [
        e.peak_memory_bytes for r in read.runs for e in r.entries
    ]


def test_operators_and_primitives_of_one_group(study: Path) -> None:
    view = operators_of(chosen(study, "label = '2.0'"), "name")
    assert view.operators[0].name == "aten::mkldnn_convolution"
    for by in get_args(PrimitiveKey):
        found = primitives_of(chosen(study, "label = '2.0'"), "study", by).primitives
        of_run = view_primitives(RunContents(one_run(ROOT / "traces/2.0")), by, warm=True).primitives
        figures = sorted((row.kind, row.implementation, row.calls, row.exec_ns) for row in found)
        assert figures == sorted((r.kind, r.implementation, r.calls, r.exec_ns) for r in of_run if r.calls)
    with pytest.raises(UsageError, match="there are several"):
        operators_of(chosen(study), "name")


def test_a_diff_needs_two_groups(study: Path) -> None:
    with pytest.raises(UsageError, match=r"a diff needs two groups by label, and there are 1\.13, 1\.13-bf16"):
        compare_groups(chosen(study), "name", 0.02)
    with pytest.raises(UsageError, match="no round of the index meets the condition"):
        chosen(study, "label = 'none'")


def test_machines_are_the_units_where_they_vary_and_are_compared_pairwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):  # each machine has its own speed, and b is 5% slower than a on all of them
        for label, factor in (("a", 1.0), ("b", 1.05)):
            us = 1000 * (1 + 0.2 * number) * factor
            add_night(tmp_path / "logs", 0, {"aten::add": us}, label=label, host=f"host-{number}", rounds=3)
    index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch)
    rounds = chosen(tmp_path / "index")
    assert rounds.units == {"net": "machine"}
    found = change(compare_groups(rounds, "name", 0.02)["name"])
    assert found.paired
    assert found.baseline.rounds == 6
    assert found.latency is not None
    assert (found.latency.verdict, round(found.latency.speedup or 0, 3)) == ("slower", 0.952)
    assert found.operators[0].verdict == "slower"
    by_host = chosen(tmp_path / "index", "label = 'a'", "host")
    assert by_host.units == {"net": "round"}
    assert len(compare_all(by_host, 0.02).runs) == 6


def test_nights_are_the_units_where_they_vary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for night in range(4):
        for label, factor in (("a", 1.0), ("b", 0.8)):
            add_night(tmp_path / "logs", night, {"aten::add": (1000 + night) * factor}, label=label)
    index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch)
    rounds = chosen(tmp_path / "index")
    assert rounds.units == {"net": "day"}
    found = change(compare_groups(rounds, "name", 0.02)["name"])
    assert (found.baseline.rounds, found.paired) == (4, True)
    assert found.latency is not None
    assert found.latency.verdict == "faster"


def test_groups_are_in_natural_order() -> None:
    assert sorted(["2.10", "2.2", "1.13"], key=natural) == ["1.13", "2.2", "2.10"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["ops", "{index}", "--by", "stack", "--where", "label = '2.0'"], "an index does not know operators by stack"),
        (["ops", "{index}", "--with-primitives"], "Leave out --with-primitives"),
        (["diff", "{index}", "traces/2.0"], "an index is named alone"),
        (["compare", "{index}", "traces/2.0"], "an index is named alone"),
        (["diff", "{index}", "--where", "label ="], "the SQL cannot be answered"),
        (["diff", "traces/2.0"], "there is no candidate"),
        (["query"], "there is no question"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], complaint: str, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.chdir(ROOT)
    assert run(*(word.format(index=study) for word in words)) == 2
    assert complaint in capsys.readouterr().err
