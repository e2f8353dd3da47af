"""How verdicts and judged speedups are shown."""

from __future__ import annotations

from typing import get_args

import pytest

from profkit.comparison.records.parts import Judged, Verdict
from profkit.report.verdicts import DECIDED, LEGEND, bounds, speedup_text, verdict_cell


@pytest.mark.parametrize(
    ("verdict", "text", "tone"),
    [
        ("faster", "faster", "good"),
        ("slower", "slower", "bad"),
        ("same", "~ same", "dim"),
        ("inconclusive", "inconclusive", "dim"),
        ("unresolved", "~ clock", "dim"),
        ("added", "added", "plain"),
        ("replaced", "replaced", "plain"),
    ],
)
def test_each_verdict_has_words_and_a_colour(verdict: str, text: str, tone: str) -> None:
    cell = verdict_cell(verdict)
    assert (cell.text, cell.tone) == (text, tone)


def test_every_verdict_that_is_not_a_plain_word_is_explained() -> None:
    for verdict in {*get_args(Verdict), "inconclusive"} - {*DECIDED, "added", "removed", "replaced"}:
        assert LEGEND[verdict].startswith(verdict_cell(verdict).text)


def test_a_speedup_is_shown_with_its_interval() -> None:
    assert bounds(Judged(speedup=1.5, low=1.4, high=1.6)) == (1.5, 1.4, 1.6)
    assert speedup_text(Judged(speedup=1.5, low=1.4, high=1.6)) == "1.50x [1.40, 1.60]"
    assert speedup_text(Judged(speedup=2.0)) == "2.00x"
    assert speedup_text(Judged()) == "-"
