"""``profkit info``: what a run or trace is."""

from __future__ import annotations

from pathlib import Path

import click

from profkit.cli.one_run import one_run
from profkit.cli.options import Output, output_options, read_options
from profkit.report.formats.json import render_json
from profkit.report.formats.markdown import render_markdown
from profkit.report.formats.text import render_text
from profkit.report.run_documents import information_document
from profkit.trace.options import ReadOptions
from profkit.views.information import describe_run

EPILOG = """\b
Examples:
  profkit info logs/2.0/resnet50
  profkit info trace.pt.trace.json.gz --format json
"""


@click.command("info", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@read_options
@output_options("text", "markdown", "json")
def command(run: Path, reading: ReadOptions, output: Output, quiet: bool) -> None:
    """Say what RUN is: versions, settings, forwards, anomalies, repairs."""
    information = describe_run(one_run(run), reading)
    if output.format == "json":
        output.write(render_json(information))
    elif output.format == "markdown":
        output.write(render_markdown(information_document(information)))
    else:
        output.write(render_text(information_document(information), width=output.width, colour=output.colour))
