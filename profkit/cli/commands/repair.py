"""``profkit repair``: write a repaired copy of a damaged trace."""

from __future__ import annotations

from pathlib import Path

import click

from profkit.errors import UsageError
from profkit.trace.options import MEMORY_LIMIT
from profkit.trace.reading.reader import write_mended

EPILOG = """\b
Example:
  profkit repair broken.pt.trace.json.gz mended.pt.trace.json.gz
"""


@click.command("repair", epilog=EPILOG)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--memory-limit",
    type=click.FloatRange(min=0.01),
    default=MEMORY_LIMIT / (1 << 30),
    show_default=True,
    metavar="GIB",
    help="Approximate memory limit for reading IN, GiB.",
)
def command(source: Path, target: Path, memory_limit: float) -> None:
    """Repair the trace IN and write it to OUT, for TensorBoard and Perfetto.

    The other commands repair a trace in memory when they read it. OUT is gzipped if its name ends in .gz.
    """
    try:
        found = write_mended(source, target, memory_limit=int(memory_limit * (1 << 30)))
    except OSError as error:
        raise UsageError(f"cannot write ({error.strerror})", where=target, hint="Choose another OUT.") from None
    for defect, count in found.repairs.items():
        click.echo(f"{count:6}  {defect}")
    for anomaly, count in found.anomalies.items():
        click.echo(f"{count:6}  {anomaly} (not repaired)")
    click.echo(f"{target}: {'repaired' if found.repairs else 'no damage found'}")
