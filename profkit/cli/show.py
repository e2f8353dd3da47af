"""Showing a result of any kind as the options of a command ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profkit.cli.options import DEFAULT_TOP, Output
from profkit.report.kinds.kind import Kind, Selection
from profkit.report.rendering import make_picture, render

if TYPE_CHECKING:
    import msgspec


def show(
    kind: Kind,
    value: msgspec.Struct,
    output: Output,
    pattern: str | None = None,
    sort: str | None = None,
    top: int | None = None,
    beside: Any = None,
) -> None:
    """Write a result, or one picture of it, to where ``output`` says.

    Text and Markdown show the first 20 rows unless ``top`` says otherwise, the other formats all of them; ``beside``
    is described in ``Kind``. Raises UsageError for a pattern that matches nothing, and for an order or a picture that
    the kind lacks.
    """
    if output.plot is not None:
        _picture(kind, value, output, Selection(pattern, sort, top or 0))
        return
    if top is None:
        top = DEFAULT_TOP if output.format in ("text", "markdown") else 0
    text = render(
        kind,
        value,
        output.format,
        Selection(pattern, sort, top),
        beside,
        width=output.width,
        colour=output.colour,
    )
    output.write(text)


def _picture(kind: Kind, value: msgspec.Struct, output: Output, selection: Selection) -> None:
    assert output.plot is not None
    assert output.path is not None
    picture = make_picture(kind, value, output.plot, selection)
    if output.path.suffix == ".html":
        from profkit.report.formats.html.render import render_html
        from profkit.report.page import Page, Section

        output.write(render_html(Page(picture.title, [], [Section(picture.title, [picture])])))
    else:
        from profkit.report.formats.pictures import render_picture

        output.write(render_picture(picture, output.path.suffix[1:]))
