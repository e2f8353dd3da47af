"""``profkit info``: describe a run or trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.one_run import one_run
from profkit.cli.options import Output, forward_option, output_options, read_options, selection_options
from profkit.cli.run_argument import RUN
from profkit.cli.show import show
from profkit.report.kinds.information import KIND
from profkit.report.rendering import FORMATS

if TYPE_CHECKING:
    from profkit.trace.options import ReadOptions

EPILOG = """\b
Examples:
  profkit info logs/2.0/resnet50
  profkit info trace.pt.trace.json.gz --format json
"""


@click.command("info", epilog=EPILOG)
@click.argument("run", type=RUN)
@selection_options(KIND)
@read_options
@forward_option
@output_options(*FORMATS)
def command(run: Path, sort: str, top: int | None, pattern: str | None, reading: ReadOptions, output: Output) -> None:
    """Describe RUN, a run folder or a trace file: versions, settings, forwards, ranks, anomalies, repairs."""
    from profkit.views.information import describe_run

    show(KIND, describe_run(one_run(run), reading), output, pattern, sort, top)
