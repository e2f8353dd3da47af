"""``profkit index``: read many traces once into an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from profkit.cli.options import MEMORY, Output, output_options, selection_options
from profkit.cli.show import show
from profkit.errors import InputError, UsageError
from profkit.report.kinds.index import KIND
from profkit.report.rendering import FORMATS

if TYPE_CHECKING:
    from profkit.fleet.batches import Options
    from profkit.fleet.session import Indexed

EPILOG = """\b
Examples:
  profkit index logs --to index
  profkit index 's3://traces/2026-11-*' --to s3://traces/index --workers 8
  profkit index nightly.zip --to index --label nightly
  profkit index logs --to index --scheduler tcp://10.0.0.5:8786
  profkit index --to index -o index.html       (only shows what is there)

\b
Then:
  profkit query "SELECT name, sum(self_ns) FROM operators GROUP BY name" index
  profkit diff index --where "workload = 'resnet50'" --group-by label
  profkit history index

\b
PATHS are folders, traces, archives (zip, tar), URLs that fsspec opens, and patterns of them. Credentials come from
the environment, as the store's own tools take them; none is written to the index.
"""


@click.command("index", epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--to", required=True, metavar="DIR|URL", help="The index: a folder or URL; made if it does not exist.")
@click.option(
    "--workers",
    type=click.IntRange(min=1, max=1024),
    metavar="N",
    help="Processes of this machine that read traces.  [default: one per core]",
)
@click.option("--scheduler", metavar="ADDRESS", help="Read on the workers of this running Dask cluster instead.")
@click.option("--label", help="Label of traces without a manifest.  [default: name of the folder above theirs]")
@click.option("--workload", help="Workload of traces without a manifest.  [default: name of their folder]")
@click.option("--forward", metavar="NAME", help="Annotation (record_function) that is one forward.")
@click.option("--retry-failures", is_flag=True, help="Read the files again that could not be read before.")
@click.option(
    "--memory-limit",
    type=MEMORY,
    default=4.0,
    show_default=True,
    metavar="GIB",
    help="Approximate memory limit per trace, GiB.",
)
@selection_options(KIND)
@output_options(*FORMATS, plots=tuple(KIND.pictures), quiet="Show no progress, and do not say which file was written.")
def command(
    paths: Sequence[str],
    to: str,
    workers: int | None,
    scheduler: str | None,
    label: str | None,
    workload: str | None,
    forward: str | None,
    retry_failures: bool,
    memory_limit: float,
    sort: str | None,
    top: int | None,
    pattern: str | None,
    output: Output,
) -> None:
    """Read every trace at PATHS once, and keep what it says as Parquet tables in an index.

    Only what is new is read: a trace is known by its content. The same command goes on where it was stopped, and
    several may write to one index at the same time. A trace that cannot be read is a row of the table failures, and
    the exit status is 3. profkit query --tables describes the tables.
    """
    if scheduler is not None and workers is not None:
        raise UsageError("--workers is for this machine; a Dask cluster has its own", hint="Leave out --workers.")
    from profkit.fleet.batches import Options
    from profkit.fleet.dataset import Dataset
    from profkit.fleet.overview import describe

    options = Options(int(memory_limit * (1 << 30)), forward, label, workload)
    added = _add(paths, to, workers, scheduler, options, retry_failures, output) if paths else None
    dataset = Dataset(to)
    dataset.require()
    show(KIND, describe(dataset, added), output, pattern, sort, top)
    if added is not None and added.failed:
        what = f"{added.failed} of the files could not be read; the table failures says why"
        raise InputError(what, where=dataset.storage)


def _add(
    paths: Sequence[str],
    to: str,
    workers: int | None,
    scheduler: str | None,
    options: Options,
    retry: bool,
    output: Output,
) -> Indexed:
    from profkit.cli.index_progress import IndexProgress
    from profkit.fleet.session import Plan, index
    from profkit.forked import processors

    with IndexProgress(quiet=output.quiet, colour=output.colour) as progress, progress.resumable():
        return index(Plan(paths, to, options, workers or processors(), scheduler, retry), progress)
