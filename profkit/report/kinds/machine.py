"""Whether a machine is fit to measure on (``machine/1``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit.report.document import Cell, Column, Document, Paragraph, Table, Tone, cut_note
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Page, Section

if TYPE_CHECKING:
    from profkit.capture.machine import Finding, MachineReport

CSV_HEADER = ("name", "value", "fitness", "advice")
ORDERS: dict[str, Callable[[Finding], object]] = {
    "fitness": lambda f: 0,  # the order of the report: warnings first
    "name": lambda f: f.name,
}
TONES: dict[str, Tone] = {"good": "good", "warning": "bad", "information": "dim"}


def _record() -> type[MachineReport]:
    from profkit.capture.machine import MachineReport

    return MachineReport


def select(report: MachineReport, selection: Selection) -> MachineReport:
    """Return ``report`` with the selected findings; raises UsageError if no name matches."""
    require_match((f.name for f in report.findings), selection, "findings")
    return replace(report, findings=choose(report.findings, selection, lambda f: f.name, ORDERS))


def document(report: MachineReport, selection: Selection, beside: Any = None) -> Document:
    """Lay out the answer and a table of findings. There is nothing ``beside``."""
    count = len(report.warnings)
    answer = (
        f"{count} finding{'s' * (count != 1)} may disturb measurements."
        if count
        else "Nothing was found that disturbs measurements."
    )
    shown = select(report, selection).findings
    every = select(report, replace(selection, top=0)).findings
    columns = [
        Column("property", right=False),
        Column("found", right=False, flexible=True),
        Column("", right=False, verdict=True),
        Column("what to do", right=False, flexible=True),
    ]
    rows = [[Cell(f.name), Cell(f.value), Cell(f.fitness, TONES[f.fitness]), Cell(f.advice)] for f in shown]
    table = Table("What disturbs measurements", columns, rows, cut_note(len(every), selection.top, "findings"))
    return Document(f"{report.host}, {report.cpu}", [Paragraph(answer, "bad" if count else "strong"), table])


def csv_rows(report: MachineReport) -> Iterator[Sequence[object]]:
    """Yield one row per finding."""
    return ((f.name, f.value, f.fitness, f.advice) for f in report.findings)


def page(report: MachineReport, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``."""
    answer, *blocks = document(report, selection).blocks
    assert isinstance(answer, Paragraph)
    return Page(f"{report.host}, {report.cpu}", [answer], [Section("Findings", blocks)])


KIND = Kind(
    name="machine",
    schemas=("machine/1",),
    record=_record,
    rows="findings",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
)
