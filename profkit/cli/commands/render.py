"""``profkit render``: a saved result, shown again."""

from __future__ import annotations

from pathlib import Path

import click

from profkit.cli.options import Output, output_options, selection_options
from profkit.cli.show import DIFF_PLOTS, FORMATS, show_comparison, show_operators, show_overview, show_primitives
from profkit.errors import UsageError
from profkit.report.selection import CHANGE_ORDERS, ROW_ORDERS

EPILOG = """\b
Examples:
  profkit diff logs/1.13 logs/2.0 --output diff.json
  profkit render diff.json
  profkit render diff.json --format markdown --filter conv --top 10
"""
ORDERS = tuple(dict.fromkeys((*CHANGE_ORDERS, *ROW_ORDERS)))


@click.command("render", epilog=EPILOG)
@click.argument("document", type=click.Path(path_type=Path, dir_okay=False))
@selection_options(ORDERS, default=None)
@output_options(*FORMATS, plots=(*DIFF_PLOTS, "heatmap"))
def command(
    document: Path, sort: str | None, top: int | None, pattern: str | None, output: Output, quiet: bool
) -> None:
    """Show DOCUMENT, the JSON of a diff, compare, ops or onednn, in another format; the traces are not needed."""
    from profkit.compare.records.diff import Comparison
    from profkit.compare.records.many import Overview
    from profkit.report.formats.json import load
    from profkit.views.primitives import PrimitivesView

    value = load(document)
    if isinstance(value, Comparison):
        show_comparison(value, output, pattern, sort, top)
    elif isinstance(value, Overview):
        show_overview(value, output)
    elif output.plot is not None:
        raise UsageError(
            f"{value.schema} has no {output.plot}", where=document, hint="Diffs and comparisons have plots."
        )
    elif isinstance(value, PrimitivesView):
        show_primitives(value, output, pattern, top)
    else:
        show_operators(value, output, pattern, sort if sort in ROW_ORDERS else None, top)
