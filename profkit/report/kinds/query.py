"""The answer to a question in SQL (``query/1``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note, plural
from profkit.report.kinds.kind import Kind, Selection, require_match
from profkit.report.page import Field, Grid, Page, Section, Values, View

if TYPE_CHECKING:
    from profkit.comparison.records.query import QueryResult


_LARGE = 1e4
LARGEST = 1e300


def _record() -> type[QueryResult]:
    from profkit.comparison.records.query import QueryResult

    return QueryResult


def select(found: QueryResult, selection: Selection) -> QueryResult:
    """Return ``found`` with the rows of which a text matches; raises UsageError if none does.

    Their order is that of the question.
    """
    require_match((text for row in found.rows for text in _texts(row)), selection, "rows")
    rows = [row for row in found.rows if selection.pattern is None or any(map(selection.matches, _texts(row)))]
    return replace(found, rows=rows[: selection.top or None])


def _texts(row: Sequence[Any]) -> Iterator[str]:
    return (value for value in row if isinstance(value, str))


def _has_numbers(column: Sequence[object]) -> bool:
    """Whether each value of a column is a number or missing."""
    return all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in column)


def _columns(found: QueryResult) -> list[tuple[Any, ...]]:
    return list(zip(*found.rows, strict=True)) or [() for _ in found.columns]


def _number(value: float | None) -> float | None:
    """Return a number to sort by; None for one that is missing, or that no float holds."""
    return None if value is None or abs(value) > LARGEST else float(value)


def _text(value: object) -> str:
    """Return a value as text: a small number with four significant digits, a large one with one decimal."""
    if value is None:
        return units.NOTHING
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < _LARGE else f"{value:.1f}"
    return str(value)


def document(found: QueryResult, selection: Selection, beside: Any = None) -> Document:
    """Lay out the rows as one table. There is nothing ``beside``."""
    shown, every = select(found, selection), select(found, replace(selection, top=0))
    numbers = [_has_numbers(column) for column in _columns(every)]
    columns = [
        Column(name, right=right, flexible=not right) for name, right in zip(found.columns, numbers, strict=True)
    ]
    rows = [[Cell(_text(value)) for value in row] for row in shown.rows]
    note = cut_note(len(every.rows), selection.top, "rows")
    blocks: list[Paragraph | Table] = [Paragraph(plural(len(every.rows), "row"), "strong")]
    return Document(f"Answer from {found.index}", [*blocks, Table("", columns, rows, note)] if rows else blocks)


def csv_rows(found: QueryResult) -> Iterator[Sequence[object]]:
    """Return the rows."""
    return iter(found.rows)


def page(found: QueryResult, selection: Selection, beside: Any = None) -> Page:
    """Lay out the rows as a table that can be sorted and searched."""
    shown = select(found, selection)
    fields, values = [], []
    for name, column in zip(shown.columns, _columns(shown), strict=True):
        numbers = [_number(value) for value in column] if _has_numbers(column) else None
        fields.append(Field(name, words=numbers is None))
        values.append(Values([_text(value) for value in column], numbers))
    grid = Grid(plural(len(shown.rows), "row"), fields, {"": View(values)}, note=found.sql)
    return Page(f"Answer from {found.index}", [Paragraph(found.sql)], [Section("Answer", [grid])])


KIND = Kind(
    name="query",
    schemas=("query/1",),
    record=_record,
    rows="rows",
    orders=("given",),
    select=select,
    document=document,
    csv_header=lambda found: tuple(found.columns),
    csv_rows=csv_rows,
    page=page,
)
