"""What an index of traces holds (``index/1``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.errors import UsageError
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note, plural
from profkit.report.figures.days import MOST, day_bars
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Block, Page, Picture, Section

if TYPE_CHECKING:
    from profkit.comparison.records.index import IndexEntry, IndexOverview

CSV_HEADER = ("workload", "label", "torch", "runs", "rounds", "hosts", "ranks", "first", "last", "wall_ns")
ORDERS: dict[str, Callable[[IndexEntry], object]] = {
    "name": lambda entry: (entry.workload, entry.label),
    "rounds": lambda entry: (-entry.rounds, entry.workload, entry.label),
    "date": lambda entry: (entry.last or "", entry.workload, entry.label),
}
_FAILURES_SHOWN = 10


def _record() -> type[IndexOverview]:
    from profkit.comparison.records.index import IndexOverview

    return IndexOverview


def select(found: IndexOverview, selection: Selection) -> IndexOverview:
    """Return ``found`` with the selected entries, by workload and label; raises UsageError if none matches."""
    require_match(map(_name, found.entries), selection, "entries")
    return replace(found, entries=choose(found.entries, selection, _name, ORDERS))


def _name(entry: IndexEntry) -> str:
    return f"{entry.workload} {entry.label}"


def document(found: IndexOverview, selection: Selection, beside: Any = None) -> Document:
    """Lay out what was added, what there is, and what could not be read. There is nothing ``beside``."""
    blocks: list[Paragraph | Table] = [Paragraph(text, "strong") for text in _answers(found)]
    shown = select(found, selection)
    every = select(found, replace(selection, top=0)).entries
    blocks.append(_entries(shown, cut_note(len(every), selection.top, "entries")))
    if found.failures:
        blocks.append(_failures(found))
    return Document(f"Index at {found.index}", blocks)


def _answers(found: IndexOverview) -> Iterator[str]:
    if (now := found.now) is not None:
        rate = now.bytes / max(now.seconds, 1e-3)
        parts = [f"{plural(now.indexed, 'trace')} read"]
        parts += [f"{plural(now.copies, 'file')} with content that was indexed before"] if now.copies else []
        parts += [f"{plural(now.failed, 'file')} that cannot be read"] if now.failed else []
        parts += [f"{plural(now.unchanged, 'file')} unchanged"] if now.unchanged else []
        speed = f" ({units.file_size(round(rate))}/s)" if now.indexed else ""
        yield f"Added in {units.duration(now.seconds * 1e9)}{speed}: {', '.join(parts)}."
    days = [day for day in found.days if day != "unknown"]
    when = f", {days[0]} to {days[-1]}" if len(days) > 1 else f", {days[0]}" if days else ""
    yield (
        f"{plural(found.traces, 'trace')} ({units.file_size(found.bytes)}) of {plural(found.hosts, 'machine')}{when}. "
        f"The index takes {units.file_size(found.index_bytes)}."
    )


def _entries(found: IndexOverview, cut: str = "") -> Table:
    columns = [
        Column("workload", right=False),
        Column("label", right=False, flexible=True),
        Column("PyTorch", right=False),
    ]
    columns += [Column("rounds"), Column("machines"), Column("ranks", spare=True), Column("first", spare=True)]
    columns += [Column("last"), Column("median forward")]
    rows = [
        [
            Cell(entry.workload),
            Cell(entry.label),
            Cell(entry.torch or units.NOTHING),
            Cell(str(entry.rounds)),
            Cell(str(entry.hosts)),
            Cell(str(entry.ranks) if entry.ranks else units.NOTHING),
            Cell(entry.first or units.NOTHING),
            Cell(entry.last or units.NOTHING),
            Cell(units.duration(entry.wall_ns)),
        ]
        for entry in found.entries
    ]
    note = "Median forward: with the profiler off where it was measured, else under it."
    return Table("Workloads and labels", columns, rows, "\n".join(filter(None, (cut, note))))


def _failures(found: IndexOverview) -> Table:
    shown = found.failures[:_FAILURES_SHOWN]
    rows = [[Cell(failure.path), Cell(failure.what)] for failure in shown]
    columns = [Column("file", right=False, flexible=True), Column("why", right=False, flexible=True)]
    left = found.failed - len(shown)
    hint = f"profkit query 'SELECT path, what FROM failures' {found.index}"
    note = f"{plural(left, 'more file')}: {hint}" if left else ""
    return Table(f"{plural(found.failed, 'file')} that cannot be read", columns, rows, note)


def csv_rows(found: IndexOverview) -> Iterator[Sequence[object]]:
    """Yield one row per workload and label; times in ns."""
    return (tuple(getattr(entry, name) for name in CSV_HEADER) for entry in found.entries)


def page(found: IndexOverview, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``, with the traces by day."""
    shown = select(found, selection)
    blocks: list[Block] = [replace(_entries(shown), title="")]
    sections = [Section("Workloads and labels", blocks)]
    if found.days:
        sections.append(Section("Days", [_days_picture(found)]))
    tables = [[Cell(name), Cell(f"{count:,}")] for name, count in found.rows.items()]
    columns = [Column("table", right=False), Column("rows")]
    sections.append(Section("Rows of each table", [Table("", columns, tables)]))
    if found.failures:
        sections.append(Section("Failures", [_failures(found)]))
    return Page(f"Index at {found.index}", [Paragraph(text, "strong") for text in _answers(found)], sections)


def _days_picture(found: IndexOverview) -> Picture:
    if not found.days:
        raise UsageError("the index has no trace, so there is no day to draw")
    note = f"The last {MOST} days that have traces." if len(found.days) > MOST else ""
    return Picture("Traces by day", day_bars(found.days, "traces"), note)


KIND = Kind(
    name="index",
    schemas=("index/1",),
    record=_record,
    rows="entries",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"days": _days_picture},
)
