"""A report as paragraphs and tables, which the text and Markdown formats render alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Tone = Literal["plain", "good", "bad", "dim", "strong"]


class Cell(msgspec.Struct, frozen=True):
    """A table's cell: its text and its colour; nothing is said by colour alone."""

    text: str
    tone: Tone = "plain"


class Column(msgspec.Struct, frozen=True):
    """A column's title; ``right`` for numbers; a ``flexible`` column wraps if room is short.

    A ``drawing`` is made of characters of equal width: Markdown and HTML leave it out. A narrow terminal leaves out a
    ``spare`` one. The column of a ``verdict`` stays in view if a page is too narrow for the table.
    """

    title: str
    right: bool = True
    flexible: bool = False
    drawing: bool = False
    spare: bool = False
    verdict: bool = False


class Table(msgspec.Struct, frozen=True):
    """A titled table; each row has one cell per column. ``note`` is shown below, line by line."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


class Paragraph(msgspec.Struct, frozen=True):
    """A paragraph in one colour."""

    text: str
    tone: Tone = "plain"


class Document(msgspec.Struct, frozen=True):
    """A report, from top to bottom."""

    title: str
    blocks: Sequence[Table | Paragraph] = msgspec.field(default_factory=tuple)


BAR = 8  # characters of a whole


def bar(share: float) -> str:
    """Draw a share of a whole (0 to 1) in characters, to an eighth of one."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR * 8)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def cut_note(count: int, top: int, what: str) -> str:
    """Return the note on the rows that ``top`` (0: all) leaves out of ``count``; empty if there are none."""
    left_out = count - top if top else 0
    return f"{left_out} more {what}: --top 0 shows them all" if left_out > 0 else ""


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 forward``, ``2 forwards``."""
    return f"{count} {noun}{'s' * (count != 1)}"
