"""A name of any length is cut where it is shown, in no time; JSON keeps it."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from profkit.errors import ProfkitError
from profkit.report.escape import CELL, markdown, markup, plain
from profkit.report.kinds import diff, information, operators
from profkit.report.kinds.kind import Kind, Selection
from profkit.report.rendering import render
from profkit.runs import find_runs
from profkit.shortening import LONGEST, LONGEST_NAME, SHOWN, listed, shorten
from profkit.views.diff import compare_runs
from profkit.views.information import describe_run
from profkit.views.operators import view_operators
from tests.conftest import event

HUGE = "x" * 20_000_000
FORMATS = ("text", "markdown", "html", "csv")


def test_the_beginning_and_the_end_are_kept() -> None:
    assert shorten("short") == "short"
    assert shorten("x" * LONGEST) == "x" * LONGEST
    cut = shorten("a" * 50 + "b" * 50, 30)
    assert cut == "a" * 19 + "…" + "b" * 10
    assert len(cut) == 30


def test_lists_of_names() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(n) for n in range(SHOWN + 3)]) == "0, 1, 2, 3, and 3 more"
    assert len(listed(["x" * 10_000] * 100)) < SHOWN * (LONGEST_NAME + 2) + 20


def test_every_way_to_show_a_text_cuts_it() -> None:
    begin = time.monotonic()
    for escape in (plain, markdown, markup):
        assert len(escape(HUGE)) == LONGEST
    assert len(plain(HUGE, CELL)) == CELL  # a spreadsheet holds more than a screen
    assert len(plain("\x00" * 10**7)) == 4 * LONGEST - 3
    assert time.monotonic() - begin < 1


def test_a_long_stack_is_shown_whole(write_trace: Callable[..., Path]) -> None:
    name = "frame.py(1): f;" * 500
    (found,) = find_runs(write_trace([event(name, 1, 2, 0)]))
    assert name in render(operators.KIND, view_operators(found), "markdown", Selection())


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two traces with an operator, a kernel and an annotation of 20 MB."""
    folder = tmp_path_factory.mktemp("huge")
    paths = []
    for side in "ab":
        records = [
            event(side * 2_000_000 + HUGE, 10 * k, 5 + k, 2 * k, cat=cat)
            for k, cat in enumerate(("cpu_op", "user_annotation", "user_annotation", "kernel"))
        ]
        paths.append(folder / f"{side}.json")
        paths[-1].write_text(json.dumps({"traceEvents": records}))
    return paths


@pytest.mark.parametrize("kind", [operators.KIND, information.KIND, diff.KIND], ids=lambda kind: kind.name)
def test_names_of_20_mb_in_every_format(kind: Kind, traces: list[Path]) -> None:
    (found,) = find_runs(traces[0])
    value = {
        "operators": lambda: view_operators(found),
        "info": lambda: describe_run(found),
        "diff": lambda: compare_runs(*traces),
    }[kind.name]()
    csv.field_size_limit(CELL)
    for form in FORMATS:
        begin = time.monotonic()
        text = render(kind, value, form, Selection())
        assert time.monotonic() - begin < 15
        assert len(text) < (8_000_000 if form == "html" else 500_000), form
        if form == "csv":
            assert len(list(csv.reader(io.StringIO(text)))) >= 2
    if kind is operators.KIND:
        document = json.loads(render(kind, value, "json", Selection()))
        assert document["operators"][0]["name"] == "a" * 2_000_000 + HUGE


def test_errors_about_a_huge_name_are_short(traces: list[Path]) -> None:
    from profkit.trace.options import ReadOptions

    (found,) = find_runs(traces[0])
    for forward in ("nope", "y" * 10**7):
        with pytest.raises(ProfkitError) as error:
            view_operators(found, options=ReadOptions(forward=forward))
        assert len(str(error.value)) < 2_000
