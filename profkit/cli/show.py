"""Showing a finished result in the format that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from profkit.cli.options import DEFAULT_TOP, Output
from profkit.report.selection import Selection

if TYPE_CHECKING:
    from profkit.compare.overview import Overview
    from profkit.compare.records import Comparison, FpmathVerdict
    from profkit.report.document import Document
    from profkit.report.html.page import Page, Picture
    from profkit.runs.kernels import PrimitivesView
    from profkit.runs.operators_view import OperatorsView

FORMATS = ("text", "markdown", "csv", "json", "html")
DIFF_PLOTS = ("speedup", "waterfall", "latency", "icicle", "kernels")
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
    from profkit.report.csv import render_diff_csv
    from profkit.report.diff_document import diff_document
    from profkit.report.selection import select_comparison

    if output.plot is not None:
        from profkit.report.pictures import diff_picture

        _picture(output, diff_picture(comparison, output.plot))
        return
    if output.format == "html":
        from profkit.report.html.diff_page import diff_page

        _page(output, diff_page(select_comparison(comparison, Selection(pattern, sort, top or 0)), others))
        return
    if output.format in ("json", "csv"):
        chosen = select_comparison(comparison, Selection(pattern, sort, top or 0))
        output.write(_json(chosen) if output.format == "json" else render_diff_csv(chosen))
        return
    select_comparison(comparison, Selection(pattern))  # complains where nothing matches
    _show(output, lambda: diff_document(comparison, Selection(pattern, sort, DEFAULT_TOP if top is None else top)))


def show_operators(view: OperatorsView, output: Output, pattern: str | None, sort: str | None, top: int | None) -> None:
    """Show the operators of a run, likewise."""
    from profkit.report.csv import render_operators_csv
    from profkit.report.run_documents import operators_document
    from profkit.report.selection import select_view

    if output.format == "html":
        from profkit.report.html.pages import operators_page

        _page(output, operators_page(select_view(view, Selection(pattern, sort, top or 0))))
        return
    if output.format in ("json", "csv"):
        chosen = select_view(view, Selection(pattern, sort, top or 0))
        output.write(_json(chosen) if output.format == "json" else render_operators_csv(chosen))
        return
    select_view(view, Selection(pattern))  # complains where nothing matches
    _show(output, lambda: operators_document(view, Selection(pattern, sort, DEFAULT_TOP if top is None else top)))


def show_overview(overview: Overview, output: Output) -> None:
    """Show many runs side by side."""
    from profkit.report.csv import render_overview_csv
    from profkit.report.overview_document import overview_document

    if output.plot is not None:
        from profkit.report.pictures import overview_picture

        _picture(output, overview_picture(overview, output.plot))
        return
    if output.format == "html":
        from profkit.report.html.pages import overview_page

        _page(output, overview_page(overview))
        return
    if output.format in ("json", "csv"):
        output.write(_json(overview) if output.format == "json" else render_overview_csv(overview))
        return
    _show(output, lambda: overview_document(overview))


def show_kernels(
    view: PrimitivesView, output: Output, pattern: str | None, top: int | None, fpmath: FpmathVerdict | None = None
) -> None:
    """Show oneDNN's primitives; JSON and CSV hold all that match."""
    from profkit.report.csv import render_primitives_csv
    from profkit.report.kernels_document import kernels_document, select_primitives

    if output.format in ("json", "csv"):
        rows = select_primitives(view.primitives, Selection(pattern))[: top or None]
        chosen = msgspec.structs.replace(view, primitives=rows)
        output.write(_json(chosen) if output.format == "json" else render_primitives_csv(chosen))
        return
    if output.format == "html":
        from profkit.report.html.pages import kernels_page

        rows = select_primitives(view.primitives, Selection(pattern))[: top or None]
        _page(output, kernels_page(msgspec.structs.replace(view, primitives=rows), fpmath))
        return
    _show(output, lambda: kernels_document(view, Selection(pattern, None, DEFAULT_TOP if top is None else top), fpmath))


def _page(output: Output, page: Page) -> None:
    from profkit.report.html.page import render_html

    output.write(render_html(page, cdn=output.cdn))


def _picture(output: Output, picture: Picture) -> None:
    from profkit.report.html.page import Page, Section
    from profkit.report.pictures import render_picture

    assert output.path is not None
    if output.path.suffix == ".html":
        _page(output, Page(title=picture.title, answers=[], sections=[Section(picture.title, [picture])]))
    else:
        output.write_bytes(output.path, render_picture(picture, output.path.suffix[1:]))


def _json(value: Comparison | OperatorsView | Overview | PrimitivesView) -> str:
    from profkit.report.json import render_json

    return render_json(value)


def _show(output: Output, layout: Callable[[], Document]) -> None:
    from profkit.report.markdown import render_markdown
    from profkit.report.text import render_text

    if output.format == "markdown":
        output.write(render_markdown(layout()))
    else:
        output.write(render_text(layout(), width=output.width, colour=output.colour))
