"""Showing a finished result in the format that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from profkit.cli.options import DEFAULT_TOP, Output, write_whole
from profkit.report.selection import Selection

if TYPE_CHECKING:
    from profkit.compare.records.diff import Comparison
    from profkit.compare.records.many import Overview
    from profkit.report.document import Document
    from profkit.report.formats.html.page import Page, Picture
    from profkit.report.formats.json import Result
    from profkit.views.operators import OperatorsView
    from profkit.views.primitives import PrimitivesView

FORMATS = ("text", "markdown", "csv", "json", "html")
DIFF_PLOTS = ("speedup", "waterfall", "latency", "icicle", "primitives")
OVERVIEW_PLOTS = ("heatmap", "speedup")


def show_comparison(
    comparison: Comparison,
    output: Output,
    pattern: str | None,
    sort: str | None,
    top: int | None,
    others: Mapping[str, Comparison] | None = None,
) -> None:
    """Show what changed; text and Markdown cut the table where not told otherwise, the other formats do not.

    ``others`` are the same comparison by shape or module, for the page to choose from.
    """
    from profkit.report.diff_document import diff_document
    from profkit.report.formats.csv import render_diff_csv
    from profkit.report.selection import select_comparison

    chosen = select_comparison(comparison, Selection(pattern, sort, top or 0))  # complains where nothing matches

    def picture(kind: str) -> Picture:
        from profkit.report.pictures import diff_picture

        return diff_picture(comparison, kind)

    def page() -> Page:
        from profkit.report.formats.html.diff_page import diff_page

        alike = {k: select_comparison(v, Selection(pattern, sort, top or 0)) for k, v in (others or {}).items()}
        return diff_page(chosen, alike)

    cut = Selection(pattern, sort, DEFAULT_TOP if top is None else top)
    _present(output, chosen, lambda: render_diff_csv(chosen), lambda: diff_document(comparison, cut), page, picture)


def show_operators(view: OperatorsView, output: Output, pattern: str | None, sort: str | None, top: int | None) -> None:
    """Show the operators of a run, likewise."""
    from profkit.report.formats.csv import render_operators_csv
    from profkit.report.run_documents import operators_document
    from profkit.report.selection import select_view

    chosen = select_view(view, Selection(pattern, sort, top or 0))  # complains where nothing matches

    def page() -> Page:
        from profkit.report.formats.html.pages import operators_page

        return operators_page(chosen)

    cut = Selection(pattern, sort, DEFAULT_TOP if top is None else top)
    _present(output, chosen, lambda: render_operators_csv(chosen), lambda: operators_document(view, cut), page)


def show_overview(overview: Overview, output: Output) -> None:
    """Show many runs side by side."""
    from profkit.report.formats.csv import render_overview_csv
    from profkit.report.overview_document import overview_document

    def picture(kind: str) -> Picture:
        from profkit.report.pictures import overview_picture

        return overview_picture(overview, kind)

    def page() -> Page:
        from profkit.report.formats.html.pages import overview_page

        return overview_page(overview)

    _present(
        output, overview, lambda: render_overview_csv(overview), lambda: overview_document(overview), page, picture
    )


def show_primitives(view: PrimitivesView, output: Output, pattern: str | None, top: int | None) -> None:
    """Show oneDNN's primitives, likewise."""
    from profkit.report.formats.csv import render_primitives_csv
    from profkit.report.primitives_document import primitives_document, select_primitives

    rows = select_primitives(view.primitives, Selection(pattern))[: top or None]
    chosen = msgspec.structs.replace(view, primitives=rows)

    def page() -> Page:
        from profkit.report.formats.html.pages import primitives_page

        return primitives_page(chosen, view.fpmath)

    cut = Selection(pattern, None, DEFAULT_TOP if top is None else top)
    _present(
        output, chosen, lambda: render_primitives_csv(chosen), lambda: primitives_document(view, cut, view.fpmath), page
    )


def _present(
    output: Output,
    value: Result,
    csv: Callable[[], str],
    document: Callable[[], Document],
    page: Callable[[], Page],
    picture: Callable[[str], Picture] | None = None,
) -> None:
    """Write a result in its format; what the format does not need is not even made."""
    if output.plot is not None and picture is not None:
        _picture(output, picture(output.plot))
    elif output.format == "html":
        _page(output, page())
    elif output.format == "json":
        from profkit.report.formats.json import render_json

        output.write(render_json(value))
    elif output.format == "csv":
        output.write(csv())
    elif output.format == "markdown":
        from profkit.report.formats.markdown import render_markdown

        output.write(render_markdown(document()))
    else:
        from profkit.report.formats.text import render_text

        output.write(render_text(document(), width=output.width, colour=output.colour))


def _page(output: Output, page: Page) -> None:
    from profkit.report.formats.html.page import render_html

    output.write(render_html(page, cdn=output.cdn))


def _picture(output: Output, picture: Picture) -> None:
    from profkit.report.formats.html.page import Page, Section
    from profkit.report.pictures import render_picture

    assert output.path is not None
    if output.path.suffix == ".html":
        _page(output, Page(title=picture.title, answers=[], sections=[Section(picture.title, [picture])]))
    else:
        write_whole(output.path, render_picture(picture, output.path.suffix[1:]))
