"""Results in Python: what profkit.diff and profkit.compare return."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import profkit
from profkit.errors import OutputError, UsageError
from profkit.report.kinds import compare as compare_kind
from profkit.report.kinds import diff as diff_kind
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.report.results import Result
from tests.conftest import ROOT, event

TRACES = ROOT / "traces"
FROZEN = ("2.0-frozen", "2.15-frozen")


@pytest.fixture(scope="module")
def two() -> Result[Any]:
    return profkit.diff(*(TRACES / label for label in FROZEN))


@pytest.fixture(scope="module")
def many() -> Result[Any]:
    return profkit.compare(*(TRACES / label for label in ("2.15-frozen", "1.13", "2.0-frozen")))


def test_a_result_is_short_to_look_at(two: Result[Any], many: Result[Any]) -> None:
    assert repr(two).startswith(
        "<diff: resnet50's forward: 17.9% slower [14.6, 21.3]: 23.2 ms → 27.3 ms, 5 rounds a side"
    )
    assert repr(many).startswith("<compare: ")
    assert all("\n" not in repr(result) for result in (two, many))


def test_the_summary_is_the_top_of_the_text_report(two: Result[Any], many: Result[Any]) -> None:
    for result, kind in ((two, diff_kind.KIND), (many, compare_kind.KIND)):
        text = render(kind, result.record, "text", Selection())
        lines = result.summary().splitlines()
        assert len(lines) >= 2
        shown = [line for line in text.splitlines() if line][1:]  # below the title
        assert shown[: len(lines)] == lines
        assert any(line.startswith("Finding: ") for line in lines)


def test_findings(two: Result[Any], many: Result[Any]) -> None:
    assert two.findings[0].rule == "weight reorders"
    assert two.findings[0].delta_ns == pytest.approx(4.99e6, rel=0.01)
    assert many.findings
    assert [found.label for found in many.record.findings] == [many.record.fastest[0]]


def test_frames(two: Result[Any], many: Result[Any]) -> None:
    pandas = pytest.importorskip("pandas")
    frame = profkit.diff(TRACES / "1.13", TRACES / "2.0-frozen").to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    row = frame.set_index("operator").loc["aten::mkldnn_convolution"]
    assert math.isnan(row["candidate_self_host_ns"])
    assert (row["baseline_calls"], row["verdict"]) == (53, "removed")
    walls = two.to_pandas("wall_times").set_index(["wall", "quantile"])
    assert walls.loc[("latency", "p50"), "verdict"] == "slower"
    assert walls.loc[("latency", "p50"), "candidate_ns"] == pytest.approx(27.3e6, rel=0.01)
    primitives = two.to_pandas("primitives")
    problems = two.record.workloads[0].primitives.problems
    assert len(primitives) == len(problems)
    assert primitives["candidate_exec_ns"].sum() == pytest.approx(
        sum(p.candidate.exec_ns for p in problems if p.candidate)
    )
    runs = many.to_pandas("runs")
    assert list(runs["run"]) == ["2.15-frozen", "1.13", "2.0-frozen"]
    assert runs["p50_ns"].dtype == "float64"


def test_rows_by_shape() -> None:
    pytest.importorskip("pandas")
    by_shape = profkit.diff(*(TRACES / label for label in FROZEN), by="shape")
    frame = by_shape.to_pandas()
    assert "input_dims" in frame
    assert frame["operator"].duplicated().any()


def test_the_page_is_that_of_the_command(two: Result[Any], tmp_path: Path) -> None:
    from profkit.cli.main import main

    target = tmp_path / "diff.html"
    with pytest.raises(SystemExit):
        main(["diff", *(str(TRACES / label) for label in FROZEN), "--quiet", "--output", str(target)])
    assert two.to_html() == target.read_text(encoding="utf-8")
    assert json.loads(two.to_json())["schema"] == "diff/2"


def test_a_notebook_shows_headline_findings_and_tables(two: Result[Any]) -> None:
    fragment = two._repr_html_()
    root = ElementTree.fromstring(f"<div>{fragment}</div>")
    assert "17.9% slower" in "".join(root.itertext())
    assert len(root.findall("table")) >= 3
    assert root.find(".//script") is None


def test_text_from_traces_is_escaped_in_a_notebook(tmp_path: Path, write_trace: Callable[..., Path]) -> None:
    one, other = (write_trace([event("<img src=x onerror=1>", 0, 10 * k, 0)], name=f"{k}.json") for k in (1, 2))
    fragment = profkit.diff(one, other)._repr_html_()
    assert "<img" not in fragment
    assert "&lt;img" in fragment


def test_pictures(two: Result[Any], tmp_path: Path) -> None:
    image = two.figure()
    assert ElementTree.fromstring(image.svg).tag.endswith("svg")
    assert image._repr_svg_() == image.svg
    assert image.save(tmp_path / "x.svg").read_text(encoding="utf-8") == image.svg
    assert two.figure("waterfall").save(tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert "Speedup" in repr(image)


def test_wrong_arguments_are_errors(two: Result[Any], many: Result[Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no picture 'pie'.*speedup, waterfall"):
        two.figure("pie")
    with pytest.raises(UsageError, match=r"no table 'shapes'.*operators, wall_times, primitives"):
        two.to_pandas("shapes")
    with pytest.raises(UsageError, match=r"no table 'primitives'.*Tables: runs"):
        many.to_pandas("primitives")
    with pytest.raises(UsageError, match=r"\.svg or \.png"):
        two.figure().save(tmp_path / "x.gif")
    with pytest.raises(OutputError, match="cannot be written"):
        two.figure().save(tmp_path / "no/such/x.svg")
    with pytest.raises(UsageError, match="cannot group operators by 'colour'"):
        profkit.diff(TRACES / "1.13", TRACES / "2.0", by="colour")  # type: ignore[arg-type]  # a wrong name
    with pytest.raises(UsageError, match="margin must be above 0"):
        profkit.compare(TRACES, margin=2)
    with pytest.raises(UsageError, match="only one run"):
        profkit.compare(TRACES / "2.0")
