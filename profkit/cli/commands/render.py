"""``profkit render``: show a saved result in another format."""

from __future__ import annotations

from pathlib import Path

import click

from profkit.cli.options import Output, any_selection_options, output_options
from profkit.cli.show import show
from profkit.report.kinds import MODULES, kind_of
from profkit.report.rendering import FORMATS

EPILOG = """\b
Examples:
  profkit diff logs/1.13 logs/2.0 --output diff.json
  profkit render diff.json
  profkit render diff.json --format markdown --filter conv --top 10
  profkit render diff.json --plot waterfall --output waterfall.svg
"""
PLOTS = tuple(dict.fromkeys(plot for name in MODULES for plot in kind_of(name).pictures))


@click.command("render", epilog=EPILOG)
@click.argument("document", type=click.Path(path_type=Path, dir_okay=False))
@any_selection_options
@output_options(*FORMATS, plots=PLOTS)
def command(document: Path, sort: str | None, top: int | None, pattern: str | None, output: Output) -> None:
    """Show DOCUMENT, a result saved as JSON or a profkit.json, in another format.

    The traces are not read."""
    from profkit.report.saved import load

    kind, value = load(document)
    show(kind, value, output, pattern, sort, top)
