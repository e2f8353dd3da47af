"""Ranks of a distributed job, or processes of a file, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.document import Cell, Column, Table
from profkit.shortening import LONGEST_NAME, listed, shorten

if TYPE_CHECKING:
    from profkit.views.parts import Rank

MOST = 32  # rows: a screenful; jobs may have thousands of ranks


def ranks_table(ranks: Sequence[Rank]) -> Iterator[Table]:
    """Yield the table of ranks side by side, if there are several; its note explains the slowest."""
    if not ranks:
        return
    with_rank = _have_ranks(ranks)
    with_process = not with_rank or len({one.rank for one in ranks}) < len(ranks)
    columns = [*([Column("rank")] if with_rank else []), *([Column("process")] if with_process else [])]
    columns += [Column("trace", right=False, flexible=True), Column("forwards"), Column("median forward")]
    columns += [Column("", right=False)]
    rows = [
        [
            *([Cell(units.NOTHING if one.rank is None else str(one.rank))] if with_rank else []),
            *([Cell(one.process or units.NOTHING)] if with_process else []),
            Cell(listed(one.files)),
            Cell(units.count(one.forwards)),
            Cell(units.duration(one.forward_ns)),
            Cell("slowest", "bad") if one.is_slowest else Cell(""),
        ]
        for one in _slowest(ranks)
    ]
    what = "ranks" if with_rank else "processes"
    notes = [_explanation(one, what) for one in ranks if one.is_slowest]
    if len(ranks) > MOST:
        notes.append(f"These are the {MOST} slowest of {len(ranks)} {what}; --format json has them all.")
    yield Table(f"{what.capitalize()} side by side", columns, rows, "\n".join(notes))


def _slowest(ranks: Sequence[Rank]) -> list[Rank]:
    """Return the slowest ranks, in the given order."""
    places = sorted(range(len(ranks)), key=lambda place: -(ranks[place].forward_ns or 0))[:MOST]
    return [ranks[place] for place in sorted(places)]


def ranks_in_words(ranks: Sequence[Rank]) -> str:
    """Return how many ranks, or processes, there are: ``2 ranks``."""
    return f"{len(ranks)} {'ranks' if _have_ranks(ranks) else 'processes'}"


def _have_ranks(ranks: Sequence[Rank]) -> bool:
    return any(one.rank is not None for one in ranks)


def _explanation(slowest: Rank, what: str) -> str:
    who = f"Process {slowest.process}" if slowest.rank is None else f"Rank {slowest.rank}"
    if slowest.operator is None:
        return f"{who} is the slowest, but no operator of it takes more than the median of the {what}."
    name = shorten(slowest.operator, LONGEST_NAME)
    return (
        f"{who} is the slowest: {name} takes {units.duration(slowest.extra_ns)} more self host time per forward than "
        f"the median of the {what}."
    )
