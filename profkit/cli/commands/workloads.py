"""``profkit workloads``: the models that can be captured by name."""

from __future__ import annotations

import click

from profkit.capture.workloads import known_workloads
from profkit.errors import UsageError


@click.command("workloads", epilog="\b\nExample:\n  profkit workloads vit")
@click.argument("part", default="")
def command(part: str) -> None:
    """List the workloads whose name holds PART.

    A model of your own is path/to/file.py:make, where make() returns (model, inputs).
    """
    found = [name for name in known_workloads() if part.lower() in name]
    if not found:
        raise UsageError(f"no workload's name holds {part!r}", hint="profkit workloads lists them all.")
    for name in found:
        click.echo(name)
