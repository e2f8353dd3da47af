"""``profkit machine``: whether this machine is fit to measure on."""

from __future__ import annotations

import click

from profkit.cli.options import Output, output_options, selection_options
from profkit.cli.show import show
from profkit.report.kinds.machine import KIND
from profkit.report.rendering import FORMATS

EPILOG = """\b
Examples:
  profkit machine
  profkit machine --format json
"""


@click.command("machine", epilog=EPILOG)
@selection_options(KIND)
@output_options(*FORMATS)
def command(sort: str, top: int | None, pattern: str | None, output: Output) -> None:
    """Show what on this machine disturbs measurements, and what to do about it; nothing is changed.

    Looks for about a second: other processes, CPU time taken by a hypervisor or a quota, clock control, hardware
    threads, memory, OpenMP variables.
    """
    from profkit.capture.host import describe_host
    from profkit.capture.machine import inspect_machine

    host = describe_host()
    show(KIND, inspect_machine(host.name, host.cpu), output, pattern, sort, top)
