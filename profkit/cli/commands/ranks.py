"""``profkit ranks``: ranks of distributed jobs side by side."""

from __future__ import annotations

import click

from profkit.cli.options import Output, output_options, selection_options
from profkit.cli.run_argument import RUN_OR_INDEX, Place
from profkit.cli.show import show
from profkit.report.kinds.ranks import KIND
from profkit.report.rendering import FORMATS

EPILOG = """\b
Examples:
  profkit index jobs --to index
  profkit ranks index
  profkit ranks index --where "date >= '2026-11-01'" --sort date -o ranks.html
"""


@click.command("ranks", epilog=EPILOG)
@click.argument("index", type=RUN_OR_INDEX)
@click.option(
    "--where", metavar="CONDITION", default="true", help="Only rounds that meet this, in SQL: \"label = 'nightly'\"."
)
@selection_options(KIND)
@output_options(*FORMATS, plots=tuple(KIND.pictures))
def command(index: Place, where: str, sort: str, top: int | None, pattern: str | None, output: Output) -> None:
    """Show the distributed jobs in INDEX rank by rank: the spread, the slowest rank, and the operator behind it.

    A job is a folder of traces that name different ranks. Its ranks are not repetitions of a measurement, so they have
    no interval; how often a machine has the slowest rank, over many jobs, is shown below.
    """
    from profkit.fleet.dataset import Dataset
    from profkit.fleet.ranks import side_by_side
    from profkit.fleet.sql import Tables

    dataset = Dataset(str(index))
    dataset.require()
    with Tables(dataset) as tables:
        result = side_by_side(tables, str(dataset.storage), where)
    show(KIND, result, output, pattern, sort, top)
