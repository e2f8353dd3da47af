"""What the figures of the report are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from profkit import units
from profkit.report.document import Cell, Column, Paragraph, Table
from profkit.report.page import Block
from profkit.stats.judged import Judged


class Row(NamedTuple):
    """A line of the table at the top: a figure, what was published, and what was measured here."""

    figure: str
    published: str
    measured: str
    why: str


class Figure(NamedTuple):
    """A figure of the study, repeated: its rows for the table at the top, and its section of the report.

    ``warnings`` are what to know before relying on it.
    """

    title: str
    rows: tuple[Row, ...]
    blocks: tuple[Block, ...]
    warnings: tuple[str, ...] = ()


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1, note: str = ""
) -> Table:
    """Return a table of texts; the first ``words`` columns are words, the others numbers."""
    titles = [Column(name, right=place >= words, flexible=place < words) for place, name in enumerate(columns)]
    return Table(title, titles, [[Cell(text) for text in row] for row in rows], note)


def strong(text: str) -> Paragraph:
    """Return a sentence that stands out."""
    return Paragraph(text, "strong")


def counted(judged: Sequence[Judged]) -> str:
    """Say how many of some comparisons have which verdict: ``5 faster, 1 inconclusive``."""
    order = ("faster", "slower", "same", "inconclusive", "unresolved")
    found = [(verdict, sum(one.verdict == verdict for one in judged)) for verdict in order]
    return ", ".join(f"{count} {verdict}" for verdict, count in found if count) or "no verdict"


def times(before: float, after: float) -> str:
    """Return two times in ns as a change."""
    return f"{units.duration(before)} → {units.duration(after)}"
