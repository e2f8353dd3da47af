"""``profkit cost``: what inference costs on the machines that the runs were captured on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from profkit.cli.options import Output, forward_option, margin_option, output_options, read_options, selection_options
from profkit.cli.run_argument import RUN
from profkit.cli.show import show
from profkit.report.kinds.cost import KIND
from profkit.report.rendering import FORMATS

if TYPE_CHECKING:
    from profkit.trace.options import ReadOptions

EPILOG = """\b
Examples:
  profkit cost c5/logs c7g/logs
  profkit cost c5/logs c7g/logs --price c5.4xlarge=0.68 --price c7g.4xlarge=0.58
  profkit cost logs/1.13 logs/2.0 --price 1.13=0.58 --price 2.0=0.58
  profkit cost logs --prices prices.json --plot cost --output cost.svg
  profkit cost c5/logs/2.0/resnet50 c7g/logs/2.0/resnet50 --recommender job.json

\b
A price file:
  {"prices": [{"name": "c7g.4xlarge", "usd_per_hour": 0.58, "date": "2026-01-31", "source": "price list"}]}
"""
_FILE = click.Path(path_type=Path, dir_okay=False)


def _complete_price(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from profkit.views.prices import known_prices

    words = (f"{name}={price.usd_per_hour:g}" for name, price in known_prices().items())
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


@click.command("cost", epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, type=RUN, metavar="RUN...")
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="NAME=USD",
    shell_complete=_complete_price,
    help="Price per hour in US dollars. NAME is an instance type or the label of a run. Repeatable.",
)
@click.option("--prices", "price_file", type=_FILE, help="Read prices from this JSON file; --price takes precedence.")
@click.option(
    "--recommender",
    type=_FILE,
    help="Show what Amazon SageMaker Inference Recommender published beside the runs: the JSON of aws sagemaker "
    "describe-inference-recommendations-job.",
)
@click.option(
    "--baseline", type=click.Path(path_type=Path), help="Run to compare the others with.  [default: the first RUN]"
)
@margin_option
@selection_options(KIND)
@read_options
@forward_option
@output_options(*FORMATS, plots=tuple(KIND.pictures))
def command(
    runs: tuple[Path, ...],
    prices: tuple[str, ...],
    price_file: Path | None,
    recommender: Path | None,
    baseline: Path | None,
    margin: float,
    sort: str,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
) -> None:
    """Show what a million inferences cost in each RUN, relative to the first, and which is cheapest.

    The cost is the machine's price / its throughput: batch size / median latency, one request at a time. The machine
    of a run is the instance type in its manifest, found on EC2 or given by profkit capture --instance-type. Its price
    is that of --price, else of the file --prices, else of the manifest, else of the table that comes with profkit
    (c5, c6i, c6a, c6g and c7g.4xlarge), most of which is unverified and says so. A price has no uncertainty: the 95%
    interval of a cost is that of the latency.
    """
    from profkit.views.cost import view_cost

    found = view_cost(runs, prices, price_file, recommender, baseline, reading, margin / 100)
    show(KIND, found, output, pattern, sort, top)
