"""The numbers of a page's grid are text made by profkit.units; its script formats none."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from profkit import units
from profkit.comparison.records.diff import OperatorChange, OperatorTimes
from profkit.comparison.records.parts import Verdict
from profkit.report.formats.html.render import render_html
from profkit.report.kinds.diff.grid import operators_view
from profkit.report.page import Field, Grid, Page, Section, Values, View

Times = st.builds(
    OperatorTimes,
    calls=st.floats(0, 1e6).map(lambda calls: round(calls * 2) / 2),
    self_host_ns=st.floats(0, 1e13).map(round),
    total_host_ns=st.floats(0, 1e13).map(round),
)
Sides = st.sampled_from([("baseline", "candidate"), ("baseline",), ("candidate",)])  # that have the operator
Ratio = st.one_of(st.none(), st.floats(1e-4, 1e4))
Changes = Sides.flatmap(
    lambda sides: st.builds(
        OperatorChange,
        name=st.text(min_size=1, max_size=20),
        baseline=Times if "baseline" in sides else st.none(),
        candidate=Times if "candidate" in sides else st.none(),
        speedup=Ratio,
        low=Ratio,
        high=Ratio,
        delta_ns=st.floats(-1e13, 1e13).map(round),
        verdict=st.sampled_from(get_args(Verdict)),
    )
)


def data_of(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert found is not None
    return json.loads(found[1])


def unpacked(column: dict[str, Any]) -> list[str]:
    return [column["texts"][place] for place in column["at"]] if "at" in column else column["texts"]


def columns_of(view: View) -> list[dict[str, Any]]:
    fields = [Field(f"field {k}") for k in range(len(view.columns))]
    page = Page("page", [], [Section("section", [Grid("grid", fields, {"all": view})])])
    columns: list[dict[str, Any]] = data_of(render_html(page))["grids"][0]["views"]["all"]["columns"]
    return columns


@settings(max_examples=50, deadline=None)
@given(st.lists(Changes, max_size=12))
def test_each_cell_has_the_text_that_units_makes(changes: list[OperatorChange]) -> None:
    columns = columns_of(operators_view(changes))
    texts = [unpacked(column) for column in columns]
    sides = [[c.baseline for c in changes], [c.candidate for c in changes]]
    for place, side in enumerate(sides):
        assert texts[1 + place] == [units.count(times.calls if times else None) for times in side]
        assert texts[3 + place] == [units.duration(times.self_host_ns if times else None) for times in side]
    assert texts[5] == [units.ratio(c.speedup) for c in changes]
    assert texts[6] == [units.interval(c.low, c.high) for c in changes]
    assert texts[7] == [units.signed_duration(c.delta_ns) for c in changes]


@settings(max_examples=50, deadline=None)
@given(st.lists(Changes, max_size=12))
def test_the_sort_values_order_rows_as_the_exact_values_do(changes: list[OperatorChange]) -> None:
    columns = columns_of(operators_view(changes))
    exact = [abs(c.delta_ns) for c in changes]
    numbers = columns[7]["numbers"]
    for a, x in zip(exact, numbers, strict=True):
        for b, y in zip(exact, numbers, strict=True):
            assert (a < b) <= (x <= y)  # nine digits may make equal what differs less, but swap nothing
    assert [n is None for n in columns[5]["numbers"]] == [c.speedup is None for c in changes]


def test_repeated_texts_are_stored_once() -> None:
    (column,) = columns_of(View([Values(["53", "53", "1", "53", "53"])]))
    assert column == {"texts": ["53", "1"], "at": [0, 0, 1, 0, 0]}


def test_the_page_script_formats_no_number() -> None:
    script = files("profkit.report.formats.html").joinpath("page.js").read_text(encoding="utf-8")
    for word in ("toFixed", "toPrecision", "toLocaleString", "NumberFormat", "Math.round", '"ms"', "µs"):
        assert word not in script
