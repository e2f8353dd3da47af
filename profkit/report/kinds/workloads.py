"""The workloads that can be captured by name (``workloads/1``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from profkit.report.document import Cell, Column, Document, Table, cut_note
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Page, Section

if TYPE_CHECKING:
    from profkit.views.workloads import WorkloadEntry, WorkloadList

CSV_HEADER = ("name", "source", "task")
ORDERS: dict[str, Callable[[WorkloadEntry], object]] = {"name": lambda w: w.name, "task": lambda w: (w.task, w.name)}


def _record() -> type[WorkloadList]:
    from profkit.views.workloads import WorkloadList

    return WorkloadList


def select(found: WorkloadList, selection: Selection) -> WorkloadList:
    """Return ``found`` with the selected workloads; raises UsageError if no name matches."""
    require_match((w.name for w in found.workloads), selection, "workloads")
    return msgspec.structs.replace(found, workloads=choose(found.workloads, selection, lambda w: w.name, ORDERS))


def document(found: WorkloadList, selection: Selection, beside: Any = None) -> Document:
    """Lay out one table. There is nothing ``beside``."""
    shown = select(found, selection).workloads
    every = select(found, Selection(selection.pattern, selection.sort)).workloads
    columns = [Column(title, right=False) for title in CSV_HEADER]
    rows = [[Cell(w.name), Cell(w.source), Cell(w.task)] for w in shown]
    return Document("Workloads", [Table("", columns, rows, cut_note(len(every), selection.top, "workloads"))])


def csv_rows(found: WorkloadList) -> Iterator[Sequence[object]]:
    """Yield one row per workload."""
    return ((w.name, w.source, w.task) for w in found.workloads)


def page(found: WorkloadList, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same table."""
    return Page("Workloads", [], [Section("Workloads", list(document(found, selection).blocks))])


KIND = Kind(
    name="workloads",
    schemas=("workloads/1",),
    record=_record,
    rows="workloads",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
)
