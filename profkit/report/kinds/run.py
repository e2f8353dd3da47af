"""A run's manifest, ``profkit.json`` (``run/2``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.manifest_facts import facts_table, manifest_facts, median
from profkit.report.page import Page, Section

if TYPE_CHECKING:
    from profkit.runs.manifest import Manifest, Round

CSV_HEADER = ("round", "order", "started", "trace", "forwards", "latency_median_ns", "profiled_median_ns")
ORDERS: dict[str, Callable[[Round], object]] = {
    "captured": lambda r: r.index,
    "name": lambda r: r.trace,
    "latency": lambda r: -(median(r.latency_ns) or 0),
}


def _record() -> type[Manifest]:
    from profkit.runs.manifest import Manifest

    return Manifest


def _upgrade(document: dict[str, Any]) -> dict[str, Any]:
    from profkit.runs.manifest import upgrade_run_1

    return upgrade_run_1(document) if document["schema"] == "run/1" else document


def select(manifest: Manifest, selection: Selection) -> Manifest:
    """Return ``manifest`` with the selected rounds; raises UsageError if no trace's name matches."""
    require_match((r.trace for r in manifest.rounds), selection, "rounds")
    rounds = choose(manifest.rounds, selection, lambda r: r.trace, ORDERS)
    return replace(manifest, rounds=rounds)


def document(manifest: Manifest, selection: Selection, beside: Any = None) -> Document:
    """Lay out what the run is, and its rounds. There is nothing ``beside``."""
    every = select(manifest, replace(selection, top=0)).rounds
    columns = [Column("round"), Column("started", right=False), Column("latency p50"), Column("profiled p50")]
    columns.append(Column("trace", right=False, flexible=True))
    rows = [
        [
            Cell(str(r.index)),
            Cell(r.started),
            Cell(units.duration(median(r.latency_ns))),
            Cell(units.duration(median(r.profiled_ns))),
            Cell(r.trace),
        ]
        for r in every[: selection.top or None]
    ]
    title = f"{manifest.label} {manifest.workload.name}"
    blocks: list[Table | Paragraph] = [facts_table("Configuration", manifest_facts(manifest))]
    blocks.append(Table("Rounds", columns, rows, cut_note(len(every), selection.top, "rounds")))
    return Document(title, blocks)


def csv_rows(manifest: Manifest) -> Iterator[Sequence[object]]:
    """Yield one row per round; times in ns."""
    for r in manifest.rounds:
        times = [median(r.latency_ns), median(r.profiled_ns)]
        yield [r.index, r.order, r.started, r.trace, len(r.profiled_ns), *times]


def page(manifest: Manifest, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``."""
    shown = document(manifest, selection)
    return Page(shown.title, [], [Section("Run", shown.blocks)])


KIND = Kind(
    name="run",
    schemas=("run/2", "run/1"),
    record=_record,
    rows="rounds",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    upgrade=_upgrade,
)
