"""The interface of a kind of result: what every file in ``report/kinds`` provides, and what all of them share."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from profkit.errors import UsageError

if TYPE_CHECKING:
    from profkit.report.document import Document
    from profkit.report.page import Page, Picture

T = TypeVar("T")


class Selection(msgspec.Struct, frozen=True):
    """Which rows to show, and in which order.

    ``pattern`` is a shell pattern or a part of a name, in any case; ``sort`` is one of the kind's orders, None for its
    first; ``top`` is the number of rows, 0 for all.
    """

    pattern: str | None = None
    sort: str | None = None
    top: int = 0

    def matches(self, name: str) -> bool:
        """Whether ``name`` contains the pattern or matches it as a whole."""
        if self.pattern is None:
            return True
        return self.pattern.lower() in name.lower() or fnmatch.fnmatchcase(name.lower(), self.pattern.lower())


class DataTable(msgspec.Struct, frozen=True):
    """A table of a result as data: its header, and a function of the result that returns its rows; times in ns."""

    header: tuple[str, ...]
    rows: Callable[[Any], Iterable[Sequence[object]]]


class Kind(msgspec.Struct, frozen=True):
    """How one kind of result is read, selected and shown.

    ``beside`` in ``document`` and ``page`` is what a command shows next to the result although it is not part of its
    JSON; each kind says what it takes, and None is always allowed.
    """

    name: str
    """What ``profkit schema`` and downloads call it."""
    schemas: tuple[str, ...]
    """The schemas that can be read, the one that is written first."""
    record: Callable[[], type[msgspec.Struct]]
    """Returns the record's type; a function, since most of these types need NumPy to be imported."""
    rows: str
    """What a row is, in the plural."""
    orders: tuple[str, ...]
    """The values of ``--sort``, the default first."""
    select: Callable[[Any, Selection], Any]
    """Returns the result with the selected rows only; raises UsageError if the pattern matches none."""
    document: Callable[[Any, Selection, Any], Document]
    """Returns the text report: (result, selection, beside)."""
    csv_header: tuple[str, ...] | Callable[[Any], tuple[str, ...]]
    """The names of its columns; a function of the result where the result names them."""
    csv_rows: Callable[[Any], Iterable[Sequence[object]]]
    """Returns one sequence per row of the CSV table; times in ns."""
    page: Callable[[Any, Selection, Any], Page]
    """Returns the HTML page without its downloads: (result, selection, beside)."""
    pictures: Mapping[str, Callable[[Any], Picture]] = msgspec.field(default_factory=dict)
    """The values of ``--plot``; each function raises UsageError if the result lacks what it draws."""
    tables: Mapping[str, DataTable] = msgspec.field(default_factory=dict)
    """Further tables for programs, by name, beside that of the CSV file, whose name is ``rows``."""
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Turns a decoded JSON document of an older schema into the current one."""


def header_of(kind: Kind, value: Any) -> tuple[str, ...]:
    """Return the names of the columns of the CSV table of a result."""
    return kind.csv_header(value) if callable(kind.csv_header) else kind.csv_header


def choose(
    rows: Sequence[T], selection: Selection, name: Callable[[T], str], orders: Mapping[str, Callable[[T], Any]]
) -> list[T]:
    """Return the rows whose name matches, in the selected order, the first ``top`` of them (0: all)."""
    found = [row for row in rows if selection.matches(name(row))]
    order = orders[selection.sort or next(iter(orders))]
    return sorted(found, key=order)[: selection.top or None]


def require_match(names: Iterable[str], selection: Selection, rows: str) -> None:
    """Raise UsageError if there is a pattern and none of ``names`` matches it."""
    if selection.pattern is not None and not any(map(selection.matches, names)):
        hint = "Give a part of a name, or a pattern with * and ?."
        raise UsageError(f"no {rows.removesuffix('s')} matches {selection.pattern!r}", hint=hint)


def check_order(kind: Kind, selection: Selection) -> None:
    """Raise UsageError if the kind cannot be sorted as asked."""
    if selection.sort is not None and selection.sort not in kind.orders:
        raise UsageError(
            f"{kind.rows} cannot be sorted by {selection.sort!r}", hint=f"Orders: {', '.join(kind.orders)}."
        )
