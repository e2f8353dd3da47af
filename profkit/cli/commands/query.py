"""``profkit query``: ask an index a question in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from profkit.cli.options import MEMORY, Output, output_options, top_and_filter
from profkit.cli.show import show
from profkit.errors import InputError, UsageError
from profkit.locations import redacted
from profkit.report.kinds.query import KIND
from profkit.report.rendering import FORMATS
from profkit.shortening import listed

if TYPE_CHECKING:
    from profkit.fleet.dataset import Dataset

EPILOG = """\b
Examples:
  profkit query --tables
  profkit query "SELECT workload, label, median(latency_ns) / 1e6 AS ms FROM rounds GROUP BY ALL" index
  profkit query "SELECT name, sum(self_ns) AS ns FROM operators GROUP BY name ORDER BY ns DESC" logs --top 10
  profkit query "SELECT * FROM failures" s3://traces/index -o failures.csv

The SQL is DuckDB's. Only SELECT is allowed, and it reads nothing but the index. profkit guide fleet has more questions.
"""


@click.command("query", epilog=EPILOG)
@click.argument("sql", required=False)
@click.argument("source", required=False, metavar="[INDEX|RUNS]")
@click.option("--tables", "is_list", is_flag=True, help="Describe the tables and their columns, and end.")
@click.option(
    "--memory-limit",
    type=MEMORY,
    default=4.0,
    show_default=True,
    metavar="GIB",
    help="Memory that the question may take, GiB; beyond it DuckDB ends with an error.",
)
@top_and_filter("rows")
@output_options(*FORMATS)
def command(
    sql: str | None,
    source: str | None,
    is_list: bool,
    memory_limit: float,
    top: int | None,
    pattern: str | None,
    output: Output,
) -> None:
    """Answer a question in SQL from INDEX, a folder or URL that profkit index wrote, or from RUNS.

    RUNS, a folder of runs or a trace, are indexed for this one question. Default: the folder logs.
    """
    if is_list:
        output.write(_described())
        return
    if sql is None:
        hint = 'Example: profkit query "SELECT workload, label FROM rounds" index. --tables lists the tables.'
        raise UsageError("there is no question", hint=hint)
    from profkit.comparison.records.query import QueryResult
    from profkit.fleet.sql import Tables

    asked, limit = source or "logs", int(memory_limit * (1 << 30))
    with _index(asked, limit, output) as dataset, Tables(dataset, limit) as tables:
        # those of an index that was there are no news
        failed = [] if dataset.is_kept else [str(path) for (path,) in tables.ask("SELECT path FROM failures").rows]
        answer = tables.ask(sql)
        rows = [[_plain(value) for value in row] for row in answer.rows]
    result = QueryResult(index=redacted(asked), sql=sql, columns=answer.columns, rows=rows)
    show(KIND, result, output, pattern, None, top)
    if failed:
        what = f"{len(failed)} of the files could not be read, so the answer lacks them: {listed(failed)}"
        raise InputError(what, where=redacted(asked))


@contextmanager
def _index(path: str, memory_limit: int, output: Output) -> Iterator[Dataset]:
    """Give the index at ``path``, or one that is made of the runs there for this question."""
    from profkit.fleet.dataset import Dataset

    dataset = Dataset(path)
    if dataset.is_index:
        dataset.require()
        yield dataset
        return
    from profkit.cli.index_progress import IndexProgress
    from profkit.fleet.batches import Options
    from profkit.fleet.session import Plan, index
    from profkit.forked import processors
    from profkit.scratch import scratch_folder

    with scratch_folder() as scratch:
        with IndexProgress(quiet=True, colour=output.colour) as progress:
            index(Plan([path], str(scratch / "index"), Options(memory_limit), processors()), progress)
        yield Dataset(str(scratch / "index"), is_kept=False)


def _plain(value: object) -> object:
    """Return a value of DuckDB as one that JSON has."""
    import math
    from decimal import Decimal

    if isinstance(value, Decimal):
        value = float(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return str(value)  # a date, bytes


def _described() -> str:
    """Return the tables and their columns as text."""
    from profkit.fleet.columns import ORIGIN, TABLES

    lines = ["Columns of every table but sources:"]
    lines += [f"  {column.name:<18} {column.type:<8} {column.meaning}" for column in ORIGIN]
    for table, columns in TABLES.items():
        lines += ["", table]
        lines += [f"  {c.name:<18} {c.type:<8} {c.meaning}" for c in columns if c not in ORIGIN or table == "sources"]
    return "\n".join(lines) + "\n"
