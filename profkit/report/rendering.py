"""A result of any kind in any format: the one way from a record to what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit.errors import UsageError
from profkit.report.kinds.kind import Kind, Selection, check_order, header_of

if TYPE_CHECKING:
    import msgspec

    from profkit.report.page import Page, Picture

FORMATS = ("text", "markdown", "csv", "json", "html")


def render(
    kind: Kind,
    value: msgspec.Struct,
    form: str,
    selection: Selection,
    beside: Any = None,
    *,
    width: int | None = None,
    colour: bool = False,
) -> str:
    """Return ``value`` in one of ``FORMATS``.

    ``width`` (columns, None: unlimited) and ``colour`` are for text; ``beside`` is described in
    ``Kind``. Raises UsageError for an order that the kind lacks and a pattern that matches nothing.
    """
    check_order(kind, selection)
    chosen = kind.select(value, selection)
    if form == "json":
        from profkit.report.formats.json import render_json

        return render_json(chosen)
    if form == "csv":
        from profkit.report.formats.csv import render_csv

        return render_csv(header_of(kind, chosen), kind.csv_rows(chosen))
    if form == "html":
        from profkit.report.formats.html.render import render_html

        return render_html(make_page(kind, value, selection, beside))
    document = kind.document(value, selection, beside)
    if form == "markdown":
        from profkit.report.formats.markdown import render_markdown

        return render_markdown(document)
    from profkit.report.formats.text import render_text

    return render_text(document, width=width, colour=colour)


def make_page(kind: Kind, value: msgspec.Struct, selection: Selection | None = None, beside: Any = None) -> Page:
    """Return the page of a result, with its JSON and CSV to download."""
    from profkit.report.formats.csv import render_csv
    from profkit.report.formats.json import render_json

    selection = selection or Selection()
    chosen = kind.select(value, selection)
    texts = {
        f"{kind.name}.json": render_json(chosen),
        f"{kind.name}.csv": render_csv(header_of(kind, chosen), kind.csv_rows(chosen)),
    }
    return replace(kind.page(value, selection, beside), downloads=texts)


def make_picture(kind: Kind, value: msgspec.Struct, name: str, selection: Selection | None = None) -> Picture:
    """Return one picture of the selected rows of a result.

    Raises UsageError, naming the pictures there are, for an unknown one, and like ``render`` for a wrong selection.
    """
    if name not in kind.pictures:
        known = ", ".join(kind.pictures)
        hint = f"Pictures: {known}." if known else "It has no pictures."
        raise UsageError(f"{kind.schemas[0]} has no picture {name!r}", hint=hint)
    selection = selection or Selection()
    check_order(kind, selection)
    return kind.pictures[name](kind.select(value, selection))
