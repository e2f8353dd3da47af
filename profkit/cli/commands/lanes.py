"""``profkit lanes``: write the forwards of two runs into one trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.options import forward_option, read_options, say_written, write_whole
from profkit.cli.run_argument import RUN

if TYPE_CHECKING:
    from profkit.trace.options import ReadOptions

EPILOG = """\b
Examples:
  profkit lanes logs/1.13/resnet50 logs/2.0/resnet50 --output both.json.gz
  profkit view --perfetto logs/1.13/resnet50 logs/2.0/resnet50      (opens it directly)

\b
Open the file in ui.perfetto.dev or chrome://tracing. For TensorBoard, name it NAME.pt.trace.json.gz.
"""


@click.command("lanes", epilog=EPILOG)
@click.argument("baseline", type=RUN)
@click.argument("candidate", type=RUN)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("lanes.json.gz"),
    show_default=True,
    help="Trace file to write.",
)
@read_options
@forward_option
@click.option("-q", "--quiet", is_flag=True, help="Do not print the name of the written file.")
def command(baseline: Path, candidate: Path, output: Path, reading: ReadOptions, quiet: bool) -> None:
    """Write the median forwards of BASELINE and CANDIDATE as two processes of one trace.

    Both forwards start at the same time, so the longer lane is the slower side. Matching operators are linked by flow
    arrows. oneDNN primitives are nested under their operators if a log exists.
    """
    from profkit.cli.one_run import one_run
    from profkit.onednn.merge import encode_document
    from profkit.views.lanes import lanes

    document = lanes(one_run(baseline), one_run(candidate), reading)
    write_whole(output, encode_document(document, output))
    if not quiet:
        say_written(output, output.stat().st_size)
        click.echo("Open it in ui.perfetto.dev.", err=True)
