"""``profkit compare``: compare many runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.index_options import asked_of, chosen, index_options
from profkit.cli.options import Output, forward_option, margin_option, output_options, read_options, selection_options
from profkit.cli.run_argument import RUN, RUN_OR_INDEX, Place
from profkit.cli.show import show
from profkit.errors import UsageError
from profkit.report.kinds.compare import KIND
from profkit.report.rendering import FORMATS

if TYPE_CHECKING:
    from profkit.trace.options import ReadOptions

EPILOG = """\b
Examples:
  profkit compare logs
  profkit compare logs/1.13 logs/2.0 logs/2.0-bf16
  profkit compare logs --baseline logs/2.0
  profkit compare logs --plot speedup --output versions.svg
  profkit compare logs --format markdown --output versions.md
"""


@click.command("compare", epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, type=RUN_OR_INDEX, metavar="RUN...|INDEX")
@click.option("--baseline", type=RUN, help="Run to compare the others with.  [default: the first RUN]")
@index_options
@margin_option
@selection_options(KIND)
@read_options
@forward_option
@output_options(*FORMATS, plots=tuple(KIND.pictures))
def command(
    runs: tuple[Place, ...],
    baseline: Path | None,
    choice: tuple[str | None, str | None],
    margin: float,
    sort: str,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
) -> None:
    """Compare any number of runs, in all their workloads, with the first run.

    A RUN is a folder of runs, one run or a trace file. The runs of a folder are identified by their labels.
    Latency is measured with the profiler off. If any run of a workload has no latency, profiled times are used for
    all of them.
    """
    from profkit.views.many import compare_many

    asked = asked_of(runs[0], choice)
    if asked is None:
        paths = [run for run in runs if isinstance(run, Path)]
        show(KIND, compare_many(paths, baseline, reading, margin / 100), output, pattern, sort, top)
        return
    if len(runs) > 1 or baseline is not None:
        raise UsageError("an index is named alone", hint="--group-by and --where say what is compared in it.")
    from profkit.fleet.comparing import compare_all

    with chosen(asked) as rounds:
        overview = compare_all(rounds, margin / 100)
    show(KIND, overview, output, pattern, sort, top)
