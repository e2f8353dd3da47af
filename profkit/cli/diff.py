"""``profkit diff``: what changed from a baseline to a candidate."""

from __future__ import annotations

from pathlib import Path

import click

from profkit.cli.options import DEFAULT_TOP, Output, output_options, read_options, table_options
from profkit.compare.comparison import compare_runs
from profkit.report.csv import render_diff_csv
from profkit.report.diff_document import diff_document
from profkit.report.json import render_json
from profkit.report.markdown import render_markdown
from profkit.report.selection import CHANGE_ORDERS, Selection, select_comparison
from profkit.report.text import render_text
from profkit.trace.options import By, ReadOptions

EPILOG = """\b
Examples:
  profkit diff logs/1.13 logs/2.0
  profkit diff logs/1.13 logs/2.0 --by shape --filter conv --top 10
  profkit diff before.pt.trace.json.gz after.pt.trace.json.gz --sort self
  profkit diff logs/1.13 logs/2.0 --output diff.json
"""


@click.command("diff", epilog=EPILOG)
@click.argument("baseline", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@table_options(CHANGE_ORDERS)
@read_options
@output_options("text", "markdown", "csv", "json")
def command(
    baseline: Path,
    candidate: Path,
    by: By,
    sort: str,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
    quiet: bool,
) -> None:
    """Say what changed from BASELINE to CANDIDATE, and by how much.

    Each is a folder of runs (every workload that both have is compared), one run, or one trace file. Times are
    medians per forward; a speedup is baseline / candidate, so above 1 the candidate is faster. "~" marks what is
    within noise (same) or below what the trace's clock can resolve (unresolved).
    """
    comparison = compare_runs(baseline, candidate, by, reading)
    if output.format in ("json", "csv"):
        chosen = select_comparison(comparison, Selection(pattern, sort, top or 0))
        output.write(render_json(chosen) if output.format == "json" else render_diff_csv(chosen))
    else:
        select_comparison(comparison, Selection(pattern))  # complains where nothing matches
        document = diff_document(comparison, Selection(pattern, sort, DEFAULT_TOP if top is None else top))
        if output.format == "markdown":
            output.write(render_markdown(document))
        else:
            output.write(render_text(document, width=output.width, colour=output.colour))
