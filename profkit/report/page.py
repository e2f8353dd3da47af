"""An HTML report as plain records: sections of blocks, without any markup. ``formats/html`` renders them.

Every text of a grid is made here in Python; the page's script only sorts, searches and inserts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from profkit import units
from profkit.report.document import Cell, Paragraph, Table, Tone


class Drawing(msgspec.Struct, frozen=True):
    """A figure drawn for one width: its size in pixels, and its SVG elements, in which every text is escaped."""

    width: int
    height: int
    marks: str


class Figure(msgspec.Struct, frozen=True):
    """A picture that is drawn for the width it is given, so that its labels are legible on a phone and on a desk.

    ``description`` says in words what it shows, for those who do not see it.
    """

    description: str
    draw: Callable[[int], Drawing]


class Picture(msgspec.Struct, frozen=True):
    """A figure with its title and a sentence on how to read it."""

    title: str
    figure: Figure
    note: str = ""


class Field(msgspec.Struct, frozen=True):
    """A column's title and look: ``words`` are searched and set to the left, numbers to the right.

    With ``coloured`` the row's verdict colours the cell; with ``bar`` its value, from 0 to 1, is drawn too.
    """

    title: str
    words: bool = False
    coloured: bool = False
    bar: bool = False


class Values(msgspec.Struct, frozen=True):
    """One column of a grid: a text per row and, if rows are not to be sorted by the text, a number per row."""

    texts: Sequence[str]
    numbers: Sequence[float | None] | None = None

    @classmethod
    def counts(cls, values: Sequence[float | None]) -> Values:
        """Return a column of numbers of things."""
        return cls([units.count(value) for value in values], values)

    @classmethod
    def times(cls, values: Sequence[float | None]) -> Values:
        """Return a column of times in ns."""
        return cls([units.duration(ns) for ns in values], values)


class View(msgspec.Struct, frozen=True):
    """One set of rows: a ``Values`` per field; ``verdicts`` and ``names`` have an entry per row, or are empty.

    ``names`` are what the rows are called in the grid's tree.
    """

    columns: Sequence[Values]
    verdicts: Sequence[str] = ()
    names: Sequence[str] = ()


class Tree(msgspec.Struct, frozen=True):
    """The calls that a row expands to; ``parents`` are positions, -1 at the top.

    ``columns`` has one entry per field of the grid, None for an empty one.
    """

    names: Sequence[str]
    parents: Sequence[int]
    columns: Sequence[Sequence[str] | None]


class Grid(msgspec.Struct, frozen=True):
    """A table that sorts, filters and searches in the page; ``views`` are several sets of rows to choose from.

    ``verdicts`` gives the text and colour of each verdict in the views.
    """

    title: str
    fields: Sequence[Field]
    views: Mapping[str, View]
    verdicts: Mapping[str, Cell] = msgspec.field(default_factory=dict)
    tree: Tree | None = None
    note: str = ""


class Code(msgspec.Struct, frozen=True):
    """Lines to copy: how to reproduce a result."""

    title: str
    lines: Sequence[str]


class Item(msgspec.Struct, frozen=True):
    """A finding: how much it changes, what it is, how certain, what it rests on, and what to do.

    ``source`` is the address at which the advice is documented: a text, never a link, for a saved result may hold any.
    """

    amount: str
    tone: Tone
    what: str
    certainty: str
    evidence: Sequence[str] = ()
    advice: str = ""
    source: str = ""


Block = Paragraph | Table | Picture | Grid | Code | Item


class Section(msgspec.Struct, frozen=True):
    """A part of a page under its own heading."""

    title: str
    blocks: Sequence[Block]


class Card(msgspec.Struct, frozen=True):
    """The result of one comparison at a glance: its verdict in a word, by how much, and from what to what.

    ``facts`` are the interval and the sample size, ``because`` the first finding. ``tone`` colours the verdict, which
    is a word as well.
    """

    subject: str
    verdict: str
    tone: Tone
    amount: str
    times: str
    facts: Sequence[str] = ()
    because: str = ""


class Page(msgspec.Struct, frozen=True):
    """A report: cards and answers at the top, then the findings, then the sections.

    ``downloads`` maps file names to texts that can be saved from the page.
    """

    title: str
    answers: Sequence[Paragraph]
    sections: Sequence[Section]
    cards: Sequence[Card] = ()
    findings: Sequence[Block] = ()
    downloads: Mapping[str, str] = msgspec.field(default_factory=dict)
