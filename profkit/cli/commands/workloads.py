"""``profkit workloads``: list the models that can be captured by name."""

from __future__ import annotations

import click

from profkit.cli.options import Output, output_options
from profkit.cli.show import show
from profkit.report.kinds.workloads import KIND
from profkit.report.rendering import FORMATS

EPILOG = """\b
Examples:
  profkit workloads
  profkit workloads vit
  profkit workloads --format json
"""


@click.command("workloads", epilog=EPILOG)
@click.argument("pattern", metavar="[SEARCH]", required=False)
@output_options(*FORMATS)
def command(pattern: str | None, output: Output) -> None:
    """List the workloads, or only those whose name contains SEARCH; * and ? are wildcards.

    To capture your own model, use path/to/file.py:make, whose function make() returns (model, inputs).
    """
    from profkit.views.workloads import list_workloads

    show(KIND, list_workloads(), output, pattern, top=0)
