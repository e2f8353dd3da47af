"""``profkit repair``: write a repaired copy of a damaged trace."""

from __future__ import annotations

from pathlib import Path

import click

from profkit.cli.options import MEMORY, explain_write_errors
from profkit.cli.run_argument import RUN
from profkit.report.escape import plain
from profkit.trace.options import MEMORY_LIMIT
from profkit.trace.reading.reader import write_mended

EPILOG = """\b
Example:
  profkit repair broken.pt.trace.json.gz repaired.pt.trace.json.gz
"""


@click.command("repair", epilog=EPILOG)
@click.argument("source", metavar="IN", type=RUN)
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--memory-limit",
    type=MEMORY,
    default=MEMORY_LIMIT / (1 << 30),
    show_default=True,
    metavar="GIB",
    help="Approximate memory limit for reading IN, GiB.",
)
def command(source: Path, target: Path, memory_limit: float) -> None:
    """Repair the trace IN and write it to OUT, for TensorBoard and Perfetto.

    The other commands repair a trace in memory when they read it. OUT is gzipped if its name ends in .gz.
    """
    with explain_write_errors(target, hint="Choose another OUT."):
        found = write_mended(source, target, memory_limit=int(memory_limit * (1 << 30)))
    for defect, count in found.repairs.items():
        click.echo(f"{count:6}  {defect}")
    for anomaly, count in found.anomalies.items():
        click.echo(f"{count:6}  {anomaly} (not repaired)")
    click.echo(plain(f"{target}: {'repaired' if found.repairs else 'no damage found'}"))
