"""Ranks of distributed jobs side by side (``ranks/1``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.errors import UsageError
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note
from profkit.report.figures.bars import BarRow, bars
from profkit.report.kinds.kind import DataTable, Kind, Selection, choose, require_match
from profkit.report.page import Page, Picture, Section

if TYPE_CHECKING:
    from profkit.comparison.records.ranks import RankJob, RanksResult

CSV_HEADER = (
    *("run", "workload", "label", "date", "world_size", "ranks", "median_ns", "slowest_ns", "spread", "slowest"),
    *("operator", "extra_ns"),
)
RANKS_HEADER = ("run", "workload", "label", "rank", "host", "traces", "wall_ns")
ORDERS: dict[str, Callable[[RankJob], object]] = {
    "spread": lambda job: (-job.spread, job.run),
    "name": lambda job: (job.workload, job.label, job.run),
    "date": lambda job: (job.date or "", job.run),
}
_DRAWN = 64  # ranks of a job


def _record() -> type[RanksResult]:
    from profkit.comparison.records.ranks import RanksResult

    return RanksResult


def _name(job: RankJob) -> str:
    return f"{job.workload} {job.label} {job.run}"


def select(found: RanksResult, selection: Selection) -> RanksResult:
    """Return ``found`` with the selected jobs, by workload, label and folder; raises UsageError if none matches."""
    require_match(map(_name, found.jobs), selection, "jobs")
    return replace(found, jobs=choose(found.jobs, selection, _name, ORDERS))


def _walls(job: RankJob) -> tuple[float, float]:
    """Return the wall times (ns) of the median and of the slowest rank."""
    slowest = max((entry.wall_ns for entry in job.ranks), default=0.0)
    middle = slowest / job.spread if job.spread else 0.0
    return middle if math.isfinite(middle) else 0.0, slowest


def document(found: RanksResult, selection: Selection, beside: Any = None) -> Document:
    """Lay out the largest spread in words, the jobs and the stragglers. There is nothing ``beside``."""
    shown = select(found, selection)
    every = select(found, replace(selection, top=0)).jobs
    blocks: list[Paragraph | Table] = [Paragraph(_answer(shown.jobs[0]), "strong")] if shown.jobs else []
    blocks.append(_jobs(shown.jobs, cut_note(len(every), selection.top, "jobs")))
    if found.stragglers:
        blocks.append(_stragglers(found))
    return Document(f"Ranks of {found.index}", blocks)


def _answer(job: RankJob) -> str:
    middle, slowest = _walls(job)
    text = (
        f"{job.workload} {job.label}: rank {job.slowest} is the slowest of {len(job.ranks)}: "
        f"{units.duration(slowest)}, {units.ratio(job.spread)} the median rank ({units.duration(middle)})"
    )
    if job.operator is None:
        return f"{text}."
    return f"{text}; {job.operator} takes {units.signed_duration(job.extra_ns)} per forward there."


def _jobs(jobs: Sequence[RankJob], cut: str = "") -> Table:
    columns = [Column("workload", right=False), Column("label", right=False, flexible=True)]
    columns += [Column("date", right=False, spare=True), Column("ranks"), Column("median rank"), Column("slowest rank")]
    columns += [Column("spread"), Column("slowest"), Column("operator", right=False), Column("extra")]
    rows = []
    for job in jobs:
        of = f" of {job.world_size}" if job.world_size and job.world_size > len(job.ranks) else ""
        texts = [job.workload, job.label, job.date or units.NOTHING, f"{len(job.ranks)}{of}"]
        texts += [*map(units.duration, _walls(job)), units.ratio(job.spread), f"rank {job.slowest}"]
        texts += [job.operator or units.NOTHING, units.signed_duration(job.extra_ns)]
        rows.append([Cell(text) for text in texts])
    note = (
        "Spread: slowest / median rank. Extra: self host time per forward of the slowest rank, less the median rank's."
    )
    return Table("Jobs", columns, rows, "\n".join(filter(None, (cut, note))))


def _stragglers(found: RanksResult) -> Table:
    rows = [[Cell(row.host), Cell(str(row.slowest)), Cell(str(row.jobs))] for row in found.stragglers]
    columns = [Column("machine", right=False), Column("had the slowest rank in"), Column("of jobs")]
    return Table("Machines with the slowest rank", columns, rows)


def csv_rows(found: RanksResult) -> Iterator[Sequence[object]]:
    """Yield one row per job; times in ns."""
    for job in found.jobs:
        known = [job.run, job.workload, job.label, job.date, job.world_size, len(job.ranks), *_walls(job)]
        yield [*known, job.spread, job.slowest, job.operator, job.extra_ns]


def ranks_rows(found: RanksResult) -> Iterator[Sequence[object]]:
    """Yield one row per job and rank; times in ns."""
    for job in found.jobs:
        for entry in job.ranks:
            yield [job.run, job.workload, job.label, entry.rank, entry.host, entry.traces, entry.wall_ns]


def page(found: RanksResult, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``, with a picture of the job with the largest spread."""
    shown = select(found, selection)
    words = [Paragraph(_answer(shown.jobs[0]), "strong")] if shown.jobs else []
    sections = [Section("Largest spread", [_picture(shown)])] if shown.jobs else []
    sections.append(Section("Jobs", [replace(_jobs(shown.jobs), title="")]))
    if found.stragglers:
        sections.append(Section("Machines with the slowest rank", [replace(_stragglers(found), title="")]))
    return Page(f"Ranks of {found.index}", words, sections)


def _picture(found: RanksResult) -> Picture:
    if not found.jobs:
        raise UsageError("the result has no job to draw")
    job = found.jobs[0]
    rows = [
        BarRow(f"rank {entry.rank}{f', {entry.host}' if entry.host else ''}", [entry.wall_ns])
        for entry in job.ranks[:_DRAWN]
    ]
    note = f"The first {_DRAWN} ranks." if len(job.ranks) > _DRAWN else ""
    title = f"{job.workload} {job.label}: median forward of each rank"
    return Picture(title, bars(rows, [("time", "median forward")], "median forward"), note)


KIND = Kind(
    name="ranks",
    schemas=("ranks/1",),
    record=_record,
    rows="jobs",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"ranks": _picture},
    tables={"ranks": DataTable(RANKS_HEADER, ranks_rows)},
)
