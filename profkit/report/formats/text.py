"""Documents as text by rich: coloured or not, at any width, and unshortened in a pipe."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from profkit.report.document import Column, Document, Paragraph, Table, Tone
from profkit.report.escape import plain

_STYLES: dict[Tone, str] = {"plain": "", "good": "green", "bad": "red", "dim": "dim", "strong": "bold"}
# a number: a sign and digits; then decimals, x or %, and a unit
_NUMBER = re.compile(r"(?P<whole>[-+±~ ]*\d+)(?P<tail>(\.\d+)?[x%]?( \S+)?)")
ROOMY_WIDTH = 100  # columns: from here on the widest tables leave room for two spaces between columns
PIPE_WIDTH = 1_000  # columns: wide enough that nothing is cut; trailing spaces are removed


def render_text(document: Document, *, width: int | None = None, colour: bool = False) -> str:
    """Render ``document`` for a terminal of ``width`` columns; None is a pipe, in which nothing is shortened."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width or PIPE_WIDTH,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
        highlight=False,
        emoji=False,
        markup=False,
    )
    console.print(Text(plain(document.title), style="bold"))
    for block in document.blocks:
        console.print()
        if isinstance(block, Paragraph):
            console.print(Text(plain(block.text), style=_STYLES[block.tone]), soft_wrap=width is None)
        else:
            _print_table(console, block)
    lines = stream.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _print_table(console: Console, table: Table) -> None:
    console.print(Text(plain(table.title), style="bold"))
    if table.rows:
        rich_table = RichTable(
            box=box.SIMPLE_HEAD,
            show_header=any(c.title for c in table.columns),
            pad_edge=False,
            padding=(0, 0 if console.width < ROOMY_WIDTH else 1, 0, 0),
            show_edge=False,
        )
        roomy = console.width >= ROOMY_WIDTH
        shown = [place for place, column in enumerate(table.columns) if roomy or not column.spare]
        for place in shown:
            _add_column(rich_table, table.columns[place])
        for row, texts in zip(table.rows, _texts(table, roomy=roomy), strict=True):
            rich_table.add_row(*(Text(texts[place], style=_STYLES[row[place].tone]) for place in shown))
        console.print(rich_table)
    for line in table.note.splitlines():
        console.print(Text(plain(line), style="dim"))


def _texts(table: Table, *, roomy: bool) -> Sequence[Sequence[str]]:
    """Return the cells' texts; if there is room, the numbers of a column are aligned at their decimal points."""
    columns = list(zip(*([plain(cell.text) for cell in row] for row in table.rows), strict=True))
    aligned = [
        align_decimals(texts) if roomy and column.right else texts
        for column, texts in zip(table.columns, columns, strict=True)
    ]
    return list(zip(*aligned, strict=True))


def align_decimals(texts: Sequence[str]) -> Sequence[str]:
    """Pad numbers on the right so that, set flush right, their decimal points are below each other.

    The padding goes behind the unit: ``109 ms   `` and ``32.1 ms``, never ``109   ms``.
    """
    parts = [_NUMBER.fullmatch(text) for text in texts]
    width = max((len(p["tail"]) for p in parts if p), default=0)
    return [p["whole"] + p["tail"].ljust(width) if p else text for p, text in zip(parts, texts, strict=True)]


def _add_column(table: RichTable, column: Column) -> None:
    table.add_column(
        Text(plain(column.title)),
        justify="right" if column.right else "left",
        no_wrap=not column.flexible,
        overflow="fold" if column.flexible else "ellipsis",
        min_width=12 if column.flexible else None,
    )
