"""The options by which commands about runs are asked about an index instead."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from profkit.cli.run_argument import INDEX_HEAD, IndexUrl, Place
from profkit.errors import UsageError

if TYPE_CHECKING:
    from profkit.fleet.selection import Asked, Chosen
    from profkit.trace.options import By

_F = TypeVar("_F", bound=Callable[..., Any])


def index_options(command: _F) -> _F:
    """Add ``--where`` and ``--group-by``; the command gets ``choice``: the condition and the column, None if absent."""

    @click.option(
        "--where",
        metavar="CONDITION",
        help="With an index: only rounds that meet this, in SQL: \"workload = 'resnet50' AND date >= '2026-11-01'\".",
    )
    @click.option(
        "--group-by",
        type=click.Choice(["label", "host", "rank", "date"]),
        help="With an index: what is compared with each other.  [default: label]",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, where: str | None, group_by: str | None, **options: Any) -> Any:
        return command(*args, choice=(where, group_by), **options)

    return wrapped  # type: ignore[return-value]  # click's decorators hide the signature anyway


def asked_of(path: Place, choice: tuple[str | None, str | None]) -> Asked | None:
    """Return the question to the index at ``path``; None if there are runs.

    Raises UsageError if a condition is given and there is no index.
    """
    where, group_by = choice
    text = str(path)
    if isinstance(path, IndexUrl) or (path / INDEX_HEAD).is_file():
        from profkit.fleet.dataset import Dataset
        from profkit.fleet.selection import Asked

        if Dataset(text).is_index:
            return Asked(text, where or "true", group_by or "label")  # type: ignore[arg-type]  # click has checked it
    if where is not None or group_by is not None:
        option = "--where" if where is not None else "--group-by"
        hint = "Make an index first: profkit index RUNS --to DIR"
        raise UsageError(f"{option} is for an index, and this is none", where=path, hint=hint)
    return None


@contextmanager
def chosen(asked: Asked) -> Iterator[Chosen]:
    """Give the rounds that are asked for; raises as reading an index does."""
    from profkit.fleet.dataset import Dataset
    from profkit.fleet.selection import Chosen
    from profkit.fleet.sql import Tables

    dataset = Dataset(asked.index)
    dataset.require()
    with Tables(dataset) as tables:
        yield Chosen(tables, asked)


def by_name_or_shape(by: By) -> Any:
    """Return ``by``; raises UsageError if an index does not know it."""
    if by not in ("name", "shape"):
        hint = "Use --by name or --by shape, or name the runs instead of the index."
        raise UsageError(f"an index does not know operators by {by}", hint=hint)
    return by
