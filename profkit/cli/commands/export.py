"""``profkit export``: write the tables of a run as Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.one_run import one_run
from profkit.cli.options import explain_write_errors, forward_option, read_options
from profkit.cli.run_argument import RUN
from profkit.report.escape import plain

if TYPE_CHECKING:
    from profkit.trace.options import ReadOptions

EPILOG = """\b
Example:
  profkit export logs/2.0/resnet50 --parquet tables
"""


@click.command("export", epilog=EPILOG)
@click.argument("run", type=RUN)
@click.option(
    "--parquet", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write to."
)
@read_options
@forward_option
def command(run: Path, folder: Path, reading: ReadOptions) -> None:
    """Write the tables of RUN as Parquet files: operators per forward, forwards, spans and flows.

    Each trace gets its own subfolder. Times are integer nanoseconds. Needs pyarrow: pip install 'profkit[parquet]'.
    """
    from profkit.trace.file import TraceFile
    from profkit.trace.reading.reader import read

    chosen = one_run(run)
    chosen.require_traces()
    for text in chosen.warnings:
        click.echo(plain(f"Warning: {text}"), err=True)
    for path in chosen.traces:
        trace = TraceFile(read(path, options=reading), reading.forward)
        target = folder / path.name.replace(".pt.trace.json.gz", "")  # other names are kept: they are unique
        with explain_write_errors(folder, hint="Choose another folder."):
            target.mkdir(parents=True, exist_ok=True)
        tables = {
            "operators": trace.operators(per_forward=True),
            "forwards": trace.forwards(),
            "spans": trace.spans(),
            "flows": trace.flows(),
        }
        for name, table in tables.items():
            with explain_write_errors(folder, hint="Choose another folder."):
                table.to_parquet(target / f"{name}.parquet")
            click.echo(plain(f"{target / name}.parquet  {len(table)} rows"))
