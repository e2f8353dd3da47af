"""The largest parts of a whole as bars."""

from __future__ import annotations

from collections.abc import Sequence

from profkit.report.figures.bars import BarRow, bars
from profkit.report.figures.rows import NAMED
from profkit.report.page import Figure


def parts(title: str, rows: Sequence[tuple[str, float]]) -> Figure:
    """Draw the largest of some named times in ns; ``title`` says what they are."""
    shown = sorted(rows, key=lambda row: -row[1])[: 2 * NAMED]
    return bars([BarRow(name, [ns]) for name, ns in shown], [("time", title)], title)
