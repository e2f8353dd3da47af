"""One operator alone (``repro/1``): whether its change shows without the model; a report to send upstream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Page, Section
from profkit.report.sentences import verdict_words
from profkit.report.verdicts import verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.parts import Judged
    from profkit.comparison.records.repro import ReproResult, ReproSide

CSV_HEADER = ("label", "torch", "onednn", "context_ns", "alone_ns", "benchdnn")
_ANSWERS = {
    "reproduces": "reproduces in isolation",
    "only in context": "changes only in context: alone it does not change in that way",
    "no change": "does not change, neither in the model nor alone",
    "inconclusive": "inconclusive: the data cannot tell whether it changes alone as in the model",
}


def _record() -> type[ReproResult]:
    from profkit.comparison.records.repro import ReproResult

    return ReproResult


def select(found: ReproResult, selection: Selection) -> ReproResult:
    """Return ``found`` with the selected sides, by label; raises UsageError if none matches."""
    require_match([side.label for side in found.sides], selection, "sides")
    orders = {"given": lambda side: 0, "name": lambda side: side.label}
    return replace(found, sides=choose(found.sides, selection, lambda side: side.label, orders))


def document(found: ReproResult, selection: Selection, beside: Any = None) -> Document:
    """Lay out the answer, both sides, and how to repeat it. There is nothing ``beside``."""
    shown = select(found, selection)
    cut = cut_note(len(select(found, replace(selection, top=0)).sides), selection.top, "sides")
    blocks: list[Table | Paragraph] = [Paragraph(text, "strong") for text in answers(found)]
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in found.warnings]
    blocks += [_times(shown, cut), _ratios(found)]
    blocks += [Paragraph(text) for text in _how(found)]
    return Document(_title(found), blocks)


def _title(found: ReproResult) -> str:
    return f"{found.operator} of {found.shape}: {found.sides[0].torch} → {found.sides[-1].torch}"


def answers(found: ReproResult) -> Iterator[str]:
    """Yield what the operator alone says about the change."""
    detail = f": {verdict_words(found.alone)}" if found.outcome == "reproduces" else ""
    yield f"{found.operator} {_ANSWERS[found.outcome]}{detail}."
    if found.outcome != "reproduces":
        yield f"In the model: {_words(found.context)}. Alone: {_words(found.alone)}."


def _words(judged: Judged) -> str:
    return verdict_words(judged) if judged.verdict is not None else "not on both sides"


def _times(found: ReproResult, cut: str) -> Table:
    columns = [Column("run", right=False, flexible=True), Column("PyTorch", right=False), Column("oneDNN", right=False)]
    columns += [Column("a call in the model"), Column("a call alone")]
    note = f"Alone: {found.rounds} processes of each, by turns, on {found.host}."
    return Table("Times", columns, [_row(side) for side in found.sides], "\n".join(filter(None, (cut, note))))


def _row(side: ReproSide) -> list[Cell]:
    times = [Cell(units.duration(side.context_ns)), Cell(units.duration(side.alone_ns))]
    return [Cell(side.label), Cell(side.torch), Cell(side.onednn or units.NOTHING), *times]


def _ratios(found: ReproResult) -> Table:
    columns = [Column("where", right=False, flexible=True), Column("speedup"), Column("95% interval", right=False)]
    columns += [Column("verdict", right=False, verdict=True)]
    rows = [
        [
            Cell(name),
            Cell(units.ratio(judged.speedup)),
            Cell(units.interval(judged.low, judged.high)),
            verdict_cell(judged.verdict),
        ]
        for name, judged in (("in the model", found.context), ("alone", found.alone))
    ]
    return Table("Change", columns, rows)


def _how(found: ReproResult) -> Iterator[str]:
    values = [value for value in found.values if value]
    yield f"Inputs: shapes {found.shape}; types {', '.join(filter(None, found.types))}" + (
        f"; values {', '.join(values)}." if values else "."
    )
    for side in found.sides:
        variables = " ".join(f"{name}={value}" for name, value in side.variables.items())
        yield f"To repeat it with torch=={side.torch}: {variables} python {found.script}".replace(":  ", ": ")
        for command in side.benchdnn:
            yield f"oneDNN {side.onednn or ''} alone: {command}"


def csv_rows(found: ReproResult) -> Iterator[Sequence[object]]:
    """Yield one row per side; times in ns."""
    for side in found.sides:
        yield [side.label, side.torch, side.onednn, side.context_ns, side.alone_ns, "; ".join(side.benchdnn)]


def page(found: ReproResult, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``."""
    shown = select(found, selection)
    words = [Paragraph(text, "strong") for text in answers(found)]
    words += [Paragraph(f"Warning: {text}", "bad") for text in found.warnings]
    how = Section("How to repeat it", [Paragraph(text) for text in _how(found)])
    return Page(_title(found), words, [Section("Figures", [_times(shown, ""), _ratios(found)]), how])


KIND = Kind(
    name="repro",
    schemas=("repro/1",),
    record=_record,
    rows="sides",
    orders=("given", "name"),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
)
