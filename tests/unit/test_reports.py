"""What people and programs are shown, against whole expected texts; make golden renews them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest

from profkit.compare.diff import compare_runs
from profkit.report.diff_document import diff_document
from profkit.report.formats.csv import render_diff_csv, render_operators_csv
from profkit.report.formats.json import DOCUMENTS, render_json, schema
from profkit.report.formats.markdown import render_markdown
from profkit.report.formats.text import render_text
from profkit.report.run_documents import information_document, operators_document
from profkit.report.selection import CHANGE_ORDERS, Selection, select_changes, select_view
from profkit.runs import find_runs
from profkit.views.information import describe_run
from profkit.views.operators import view_operators
from tests.conftest import ROOT, event

Golden = Callable[[str, str], None]
BEFORE, AFTER = (Path("traces") / label for label in ("1.13", "2.0"))
TOP = Selection(top=12)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_diff_text(golden: Golden) -> None:
    document = diff_document(compare_runs(BEFORE, AFTER), TOP)
    golden("diff-pipe.txt", render_text(document))
    golden("diff-80-columns.txt", render_text(document, width=80))
    golden("diff-80-columns-colour.txt", render_text(document, width=80, colour=True))
    assert max(map(len, render_text(document, width=80).splitlines())) <= 80
    assert "\x1b" not in render_text(document)


def test_diff_markdown(golden: Golden) -> None:
    golden("diff.md", render_markdown(diff_document(compare_runs(BEFORE, AFTER), TOP)))


def test_diff_csv(golden: Golden) -> None:
    text = render_diff_csv(compare_runs(BEFORE, AFTER))
    golden("diff.csv", text)
    comparison = compare_runs(BEFORE, AFTER)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(comparison.workloads[0].operators)


def test_diff_json(golden: Golden) -> None:
    text = render_json(compare_runs(BEFORE, AFTER))
    golden("diff.json", text)
    jsonschema.validate(json.loads(text), schema("diff"))


def test_ops(golden: Golden) -> None:
    (run,) = find_runs(AFTER)
    view = view_operators(run)
    golden("ops.txt", render_text(operators_document(view, TOP)))
    golden("ops.csv", render_operators_csv(select_view(view, TOP)))
    jsonschema.validate(json.loads(render_json(view)), schema("operators"))
    per_forward = view_operators(run, per_forward=True, by="shape")
    golden("ops-per-forward-by-shape.txt", render_text(operators_document(per_forward, TOP)))


def test_info(golden: Golden) -> None:
    (run,) = find_runs(AFTER)
    information = describe_run(run)
    golden("info.txt", render_text(information_document(information)))
    jsonschema.validate(json.loads(render_json(information)), schema("info"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


def test_every_order_sorts() -> None:
    changes = compare_runs(BEFORE, AFTER).workloads[0].operators
    expected = {
        "change": lambda o: abs(o.delta_ns),
        "speedup": lambda o: o.speedup or 0,
        "self": lambda o: max(side.self_host_ns for side in (o.baseline, o.candidate) if side),
        "total": lambda o: max(side.total_host_ns for side in (o.baseline, o.candidate) if side),
        "calls": lambda o: max(side.calls for side in (o.baseline, o.candidate) if side),
    }
    assert set(CHANGE_ORDERS) == {*expected, "name"}
    for order, figure in expected.items():
        chosen = select_changes(list(reversed(changes)), Selection(sort=order))
        figures = [figure(o) for o in chosen]
        assert all(above >= below for above, below in pairwise(figures)), order
        assert len(set(figures)) > 3, order  # otherwise any order would do
        assert sorted(o.name for o in chosen) == sorted(o.name for o in changes)
    by_name = [c.name for c in select_changes(changes, Selection(sort="name", pattern="conv"))]
    assert by_name == sorted(by_name)
    assert all("conv" in name for name in by_name)
    starred = select_changes(changes, Selection(pattern="aten::*_"))
    assert all(c.name.endswith("_") for c in starred)


def test_text_from_traces_is_shown_as_text(write_trace: Callable[..., Path]) -> None:
    evil = 'aten::<script>|`x`[red]\x1b[31m\n"><img onerror=1>\u202e'
    path = write_trace([event(evil, 0, 10, 0), event("=cmd()", 20, 5, 1)])
    comparison = compare_runs(path, path)
    document = diff_document(comparison, Selection())
    text = render_text(document, colour=True)
    assert "aten::<script>|`x`[red]\\x1b[31m\\n" in text
    assert "\u202e" not in text
    markdown = render_markdown(document)
    assert "<script>" not in markdown
    assert "<img" not in markdown
    assert all(line.count(" | ") <= 8 for line in markdown.splitlines())
    assert "'=cmd()" in render_diff_csv(comparison)
    assert evil in {o["name"] for o in json.loads(render_json(comparison))["workloads"][0]["operators"]}


def test_device_times_are_shown_where_there_are_any() -> None:
    from tests.conftest import FIXTURES

    path = FIXTURES / "tracelens/h100_bert_small.json.gz"
    if not path.is_file():
        pytest.skip("other projects' traces are not beside the checkout")
    (run,) = find_runs(path)
    view = view_operators(run, per_forward=True)
    text = render_text(operators_document(view, Selection(pattern="addmm")))
    assert "self device" in text
    addmm = next(row for row in view.operators if row.name == "aten::addmm")
    assert addmm.self_device_ns == 197598
    (cpu,) = find_runs(AFTER)
    assert "device" not in render_text(operators_document(view_operators(cpu), TOP))
