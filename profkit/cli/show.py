"""Showing a finished result in the format that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from profkit.cli.options import DEFAULT_TOP, Output
from profkit.report.selection import Selection

if TYPE_CHECKING:
    from profkit.compare.overview import Overview
    from profkit.compare.records import Comparison, FpmathVerdict
    from profkit.report.document import Document
    from profkit.runs.kernels import PrimitivesView
    from profkit.runs.operators_view import OperatorsView

FORMATS = ("text", "markdown", "csv", "json")


def show_comparison(
    comparison: Comparison, output: Output, pattern: str | None, sort: str | None, top: int | None
) -> None:
    """Show what changed; text and Markdown cut the table where not told otherwise, CSV and JSON do not."""
    from profkit.report.csv import render_diff_csv
    from profkit.report.diff_document import diff_document
    from profkit.report.selection import select_comparison

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
    _show(output, lambda: kernels_document(view, Selection(pattern, None, DEFAULT_TOP if top is None else top), fpmath))


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
