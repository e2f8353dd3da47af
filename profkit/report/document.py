"""A report as blocks of words and tables, which the text, Markdown and CSV renderers draw alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["plain", "good", "bad", "dim", "strong"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell: its text and what its colour should say; never said by colour alone."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title; ``right`` for figures; a ``flexible`` column gives way when room is short.

    A ``drawing`` is made of characters of equal width: Markdown leaves it out. A narrow terminal does without a
    ``spare`` one.
    """

    title: str
    right: bool = True
    flexible: bool = False
    drawing: bool = False
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Document:
    """What is shown, from top to bottom."""

    title: str
    blocks: Sequence[Table | Paragraph] = field(default_factory=tuple)


BAR = 8  # characters of a whole


def bar(share: float) -> str:
    """Draw a share of a whole in characters, to an eighth of one."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR * 8)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def cut(rows: Sequence[Sequence[Cell]], top: int, what: str) -> tuple[Sequence[Sequence[Cell]], str]:
    """Return the first ``top`` rows (0: all) and a note on the rest."""
    shown = rows[: top or None]
    return shown, cut_note(len(rows) - len(shown), what)


def cut_note(left_out: int, what: str) -> str:
    """Return what is said of so many rows left out."""
    return f"{left_out} more {what}: --top 0 shows them all" if left_out else ""
