"""What people and programs are shown, against whole expected texts; make golden renews them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from profkit.comparison.records.diff import Comparison
from profkit.comparison.records.outputs import OutputsChange
from profkit.report.kinds import MODULES, diff, information, operators
from profkit.report.kinds.diff.rows import select_operators
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.report.saved import schema
from profkit.runs import find_runs
from profkit.views.diff import compare_runs
from profkit.views.information import describe_run
from profkit.views.operators import view_operators
from tests.conftest import ROOT, event

Golden = Callable[[str, str], None]
BEFORE, AFTER = (Path("traces") / label for label in ("1.13", "2.0"))
ALL = Selection()
TOP = Selection(top=12)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # the paths in the result are relative
        return compare_runs(BEFORE, AFTER)


def test_diff_text(golden: Golden, comparison: Comparison) -> None:
    text = render(diff.KIND, comparison, "text", TOP)
    golden("diff-pipe.txt", text)
    narrow = render(diff.KIND, comparison, "text", TOP, width=80)
    golden("diff-80-columns.txt", narrow)
    golden("diff-80-columns-colour.txt", render(diff.KIND, comparison, "text", TOP, width=80, colour=True))
    assert max(map(len, narrow.splitlines())) <= 80
    assert "\x1b" not in text
    assert not re.search(r"\d  +(s|ms|µs|ns)\b", text)


def test_outputs_without_a_saved_error(comparison: Comparison) -> None:
    outputs = OutputsChange(cosine_similarity=0.99, max_abs_error=None, comparable=True)
    changed = replace(comparison, workloads=[replace(comparison.workloads[0], outputs=outputs)])
    assert "outputs: cosine similarity 0.9900000\n" in render(diff.KIND, changed, "text", TOP)


def test_diff_markdown(golden: Golden, comparison: Comparison) -> None:
    golden("diff.md", render(diff.KIND, comparison, "markdown", TOP))


def test_diff_csv(golden: Golden, comparison: Comparison) -> None:
    text = render(diff.KIND, comparison, "csv", ALL)
    golden("diff.csv", text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["operator"] for row in rows] == [o.name for o in comparison.workloads[0].operators]


def test_diff_json(golden: Golden, comparison: Comparison) -> None:
    text = render(diff.KIND, comparison, "json", ALL)
    golden("diff.json", text)
    jsonschema.validate(json.loads(text), schema("diff"))


def test_ops(golden: Golden) -> None:
    (run,) = find_runs(AFTER)
    view = view_operators(run)
    golden("ops.txt", render(operators.KIND, view, "text", TOP))
    golden("ops.csv", render(operators.KIND, view, "csv", TOP))
    jsonschema.validate(json.loads(render(operators.KIND, view, "json", ALL)), schema("operators"))
    per_forward = view_operators(run, per_forward=True, by="shape")
    golden("ops-per-forward-by-shape.txt", render(operators.KIND, per_forward, "text", TOP))


def test_info(golden: Golden) -> None:
    (run,) = find_runs(AFTER)
    found = describe_run(run)
    golden("info.txt", render(information.KIND, found, "text", ALL))
    jsonschema.validate(json.loads(render(information.KIND, found, "json", ALL)), schema("info"))


@pytest.mark.parametrize("name", MODULES)
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


def test_every_order_sorts(comparison: Comparison) -> None:
    changes = comparison.workloads[0].operators
    expected = {
        "change": lambda o: abs(o.delta_ns),
        "speedup": lambda o: o.speedup or 0,
        "self": lambda o: max(side.self_host_ns for side in (o.baseline, o.candidate) if side),
        "total": lambda o: max(side.total_host_ns for side in (o.baseline, o.candidate) if side),
        "calls": lambda o: max(side.calls for side in (o.baseline, o.candidate) if side),
    }
    assert set(diff.KIND.orders) == {*expected, "name"}
    for order, figure in expected.items():
        chosen = select_operators(list(reversed(changes)), Selection(sort=order))
        figures = [figure(o) for o in chosen]
        assert all(above >= below for above, below in pairwise(figures)), order
        assert len(set(figures)) > 3, order  # otherwise any order would do
        assert sorted(o.name for o in chosen) == sorted(o.name for o in changes)
    by_name = [c.name for c in select_operators(changes, Selection(sort="name", pattern="conv"))]
    assert by_name == sorted(by_name)
    assert all("conv" in name for name in by_name)
    starred = select_operators(changes, Selection(pattern="aten::*_"))
    assert all(c.name.endswith("_") for c in starred)


def test_text_from_traces_is_shown_as_text(write_trace: Callable[..., Path]) -> None:
    evil = 'aten::<script>|`x`[red]\x1b[31m\n"><img onerror=1>\u202e'
    path = write_trace([event(evil, 0, 10, 0), event("=cmd()", 20, 5, 1)])
    comparison = compare_runs(path, path)
    text = render(diff.KIND, comparison, "text", ALL, colour=True)
    assert "aten::<script>|`x`[red]\\x1b[31m\\n" in text
    assert "\u202e" not in text
    markdown = render(diff.KIND, comparison, "markdown", ALL)
    assert "<script>" not in markdown
    assert "<img" not in markdown
    assert all(line.count(" | ") <= 8 for line in markdown.splitlines())
    assert "'=cmd()" in render(diff.KIND, comparison, "csv", ALL)
    assert evil in {
        o["name"] for o in json.loads(render(diff.KIND, comparison, "json", ALL))["workloads"][0]["operators"]
    }


def test_device_times_are_shown_where_there_are_any() -> None:
    from tests.conftest import FIXTURES

    path = FIXTURES / "tracelens/h100_bert_small.json.gz"
    if not path.is_file():
        pytest.skip("other projects' traces are not beside the checkout")
    (run,) = find_runs(path)
    view = view_operators(run, per_forward=True)
    text = render(operators.KIND, view, "text", Selection(pattern="addmm"))
    assert "self device" in text
    addmm = next(row for row in view.operators if row.name == "aten::addmm")
    assert addmm.self_device_ns == 197598
    (cpu,) = find_runs(AFTER)
    assert "device" not in render(operators.KIND, view_operators(cpu), "text", TOP)
