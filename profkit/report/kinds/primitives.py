"""The oneDNN primitives of a run or a log (``primitives/1``): the cache, reorders, what ran, oneDNN's messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.errors import UsageError
from profkit.onednn.messages import DISPATCH
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note, plural
from profkit.report.figures.parts import parts
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Block, Field, Figure, Grid, Page, Picture, Section, Values, View
from profkit.report.verdicts import fpmath_paragraph

if TYPE_CHECKING:
    from profkit.onednn.records import Phase
    from profkit.views.primitives import MessageRow, PrimitiveRow, PrimitivesView

CSV_HEADER = (
    "kind",
    "implementation",
    "fpmath",
    "data_types",
    "problem",
    "post_ops",
    "calls",
    "exec_ns",
    "cache_hits",
    "cache_misses",
    "create_ns",
)
REPEATED = 3  # weights named among those that every forward reorders: enough to find them in the model
_PARTITION = "graph "  # how the kind of a row of partitions begins


def describe(row: PrimitiveRow) -> str:
    """Return what distinguishes a row, in one line."""
    mode = "" if row.fpmath in (None, "fp32") else row.fpmath
    return " ".join(filter(None, (row.kind, row.implementation, mode, row.data_types, row.post_ops, row.problem)))


def describe_message(row: MessageRow) -> str:
    """Return what distinguishes a message, in one line."""
    return " ".join(filter(None, (row.operation, row.kind, row.implementation, row.text)))


ORDERS: dict[str, Callable[[PrimitiveRow], object]] = {
    "time": lambda row: -row.exec_ns,
    "calls": lambda row: -row.calls,
    "create": lambda row: -row.create_ns,
    "misses": lambda row: -row.cache_misses,
    "name": describe,
}


def _record() -> type[PrimitivesView]:
    from profkit.views.primitives import PrimitivesView

    return PrimitivesView


def select(view: PrimitivesView, selection: Selection) -> PrimitivesView:
    """Return ``view`` with the selected primitives and messages; raises UsageError if none matches."""
    names = [*map(describe, view.primitives), *map(describe_message, view.messages)]
    require_match(names, selection, "primitives")
    return replace(
        view,
        primitives=choose(view.primitives, selection, describe, ORDERS),
        messages=[row for row in view.messages if selection.matches(describe_message(row))],
    )


def document(view: PrimitivesView, selection: Selection, beside: Any = None) -> Document:
    """Lay out the primitives of a log or a run. There is nothing ``beside``."""
    blocks = [*_summary(view), *_primitives(view, selection), *_messages(view, selection)]
    version = f", oneDNN {view.onednn}" if view.onednn else ""
    return Document(f"{view.source}{version}", blocks)


def _summary(view: PrimitivesView) -> Iterator[Table | Paragraph]:
    for text in _head(view):
        yield Paragraph(text)
    if view.fpmath is not None:
        yield fpmath_paragraph(view.fpmath)
    if view.cold_phase is not None and view.warm_phase is not None:
        yield _phases(view.cold_phase, view.warm_phase, view.forwards or 0)
    if view.repeated_reorders:
        yield _repeated(view)


def _head(view: PrimitivesView) -> Iterator[str]:
    threads = None if view.threads is None else plural(view.threads, "thread")
    if machine := ", ".join(filter(None, (view.isa, threads))):
        yield f"{machine}."
    if view.forwards and view.warm_phase is not None:
        yield (
            f"In {view.forwards} warm forwards {_of_forwards(view.warm_phase.exec_ns, sum(view.forward_ns))}; "
            f"{view.matched} of {view.warm_records} log records fall within an operator of the trace. "
            "Writing the log slows this pass: use shares, not times."
        )
    if view.skipped_lines:
        records = plural(view.skipped_lines, "log record")
        yield f"{records} could not be read and {'is' if view.skipped_lines == 1 else 'are'} not counted."
    if view.message_lines:
        lines = plural(view.message_lines, "log line")
        yield f"{lines} {'is a message, not a record' if view.message_lines == 1 else 'are messages, not records'}."


def _phases(cold: Phase, warm: Phase, forwards: int) -> Table:
    columns = [Column("", right=False, flexible=True), Column("cold"), Column("warm"), Column("per warm forward")]
    count = max(1, forwards)
    rows = []
    for name, figure, show in (
        ("primitives taken from the cache", "cache_hits", units.count),
        ("primitives created, not in the cache", "cache_misses", units.count),
        ("time to create them", "create_ns", units.duration),
        ("executions", "calls", units.count),
        ("time in executions", "exec_ns", units.duration),
        ("of it, reorders", "reorder_ns", units.duration),
        ("of these, weights", "weights_reorder_ns", units.duration),
    ):
        before, after = getattr(cold, figure), getattr(warm, figure)
        rows.append([Cell(name), Cell(show(before)), Cell(show(after)), Cell(show(after / count))])
    return Table("Primitives before the traced forwards (cold) and in them (warm)", columns, rows)


def _repeated(view: PrimitivesView) -> Paragraph:
    found = view.repeated_reorders
    ns = sum(reorder.exec_ns for reorder in found)
    longest = ", ".join(f"{r.problem} ({units.duration(r.exec_ns)})" for r in found[:REPEATED])
    return Paragraph(
        f"Every warm forward reorders {units.count(sum(r.calls for r in found))} weights into another layout, "
        f"{units.duration(ns)} per forward: {longest}{', …' if len(found) > REPEATED else ''}. "
        + (
            "This run is frozen and still does so; another version of PyTorch may not (compare with profkit diff)."
            if view.mode == "frozen"
            else "Frozen TorchScript reorders them only once in some versions of PyTorch."
        ),
        "bad",
    )


def _of_forwards(exec_ns: int, wall_ns: int) -> str:
    if exec_ns > wall_ns > 0:
        return (
            f"the records of oneDNN add up to {units.duration(exec_ns)}, more than the forwards' "
            f"{units.duration(wall_ns)}: primitives ran at the same time, or lines of the log are repeated"
        )
    return f"oneDNN takes {units.share(exec_ns / wall_ns if wall_ns else None)} of the time"


def _has_share_of_forwards(view: PrimitivesView) -> bool:
    """Whether a primitive's time can be a share of the forwards' time: not if all of them together exceed it."""
    wall = sum(view.forward_ns)
    return view.warm and view.warm_phase is not None and view.warm_phase.exec_ns <= wall and wall > 0


def _primitives(view: PrimitivesView, selection: Selection) -> Iterator[Table]:
    every = select(view, replace(selection, top=0)).primitives
    if not every:  # a log of messages alone
        return
    columns = [
        Column("primitive", right=False, flexible=True),
        Column("calls"),
        Column("time"),
        Column("of forward" if _has_share_of_forwards(view) else "share"),
        Column("hits"),
        Column("misses"),
        Column("create"),
    ]
    share = _shares(view)
    rows = [
        [
            Cell(describe(row)),
            Cell(units.count(row.calls)),
            Cell(units.duration(row.exec_ns)),
            Cell(units.share(share(row))),
            Cell(units.count(row.cache_hits)),
            Cell(units.count(row.cache_misses)),
            Cell(units.duration(row.create_ns)),
        ]
        for row in every[: selection.top or None]
    ]
    yield Table(f"Primitives, {_scope(view)}", columns, rows, cut_note(len(every), selection.top, "primitives"))


def _shares(view: PrimitivesView) -> Callable[[PrimitiveRow], float | None]:
    """Return the function from a row to its share of the forwards' time, or else of the time in oneDNN.

    Partitions of the graph API have no share of the time in oneDNN, since their primitives have one; unless the log has
    no primitives.
    """
    if _has_share_of_forwards(view):
        wall = sum(view.forward_ns)
        return lambda row: row.exec_ns / wall
    primitives = sum(row.exec_ns for row in view.primitives if not row.kind.startswith(_PARTITION))
    whole = primitives or sum(row.exec_ns for row in view.primitives)
    return lambda row: None if not whole or (primitives and row.kind.startswith(_PARTITION)) else row.exec_ns / whole


def _messages(view: PrimitivesView, selection: Selection) -> Iterator[Table]:
    """Lay out why implementations were not chosen, and the other messages."""
    rows = select(view, selection).messages
    for title, found in (
        ("Why oneDNN did not choose an implementation", [row for row in rows if row.operation == DISPATCH]),
        ("Other messages of oneDNN", sorted((row for row in rows if row.operation != DISPATCH), key=_urgency)),
    ):
        if found:
            columns = [Column("primitive", right=False), Column("implementation", right=False)]
            said = "reason" if found[0].operation == DISPATCH else "message"
            columns += [Column(said, right=False, flexible=True), Column("times")]
            cells = [
                [
                    Cell(row.kind or units.NOTHING),
                    Cell(row.implementation or units.NOTHING),
                    Cell(row.text if row.operation == DISPATCH else f"{row.operation}: {row.text}".rstrip(": ")),
                    Cell(units.count(row.count)),
                ]
                for row in found[: selection.top or None]
            ]
            yield Table(title, columns, cells, cut_note(len(found), selection.top, "messages"))


def _urgency(row: MessageRow) -> int:
    """Order errors first, then warnings and refused arguments; the rest keeps its order."""
    known = ("error", "warning", "warn", "create:check", "exec:check")
    return known.index(row.operation) if row.operation in known else len(known)


def _scope(view: PrimitivesView) -> str:
    return "warm forwards" if view.warm else "whole log"


def csv_rows(view: PrimitivesView) -> Iterator[Sequence[object]]:
    """Yield one row per primitive; times in ns."""
    for row in view.primitives:
        yield [getattr(row, name) for name in CSV_HEADER]


def page(view: PrimitivesView, selection: Selection, beside: Any = None) -> Page:
    """Lay out the selected primitives. There is nothing ``beside``."""
    shown = document(view, selection)
    rows = select(view, selection).primitives
    tables: list[Block] = [block for block in _summary(view) if isinstance(block, Table)]
    messages = list(_messages(view, selection))
    titles = ("calls", "time", "cache hits", "cache misses", "create")
    columns = [
        Values([describe(row) for row in rows]),
        Values.counts([row.calls for row in rows]),
        Values.times([row.exec_ns for row in rows]),
        Values.counts([row.cache_hits for row in rows]),
        Values.counts([row.cache_misses for row in rows]),
        Values.times([row.create_ns for row in rows]),
    ]
    picture = Picture("Where oneDNN's time goes", _largest(rows))
    fields = [Field("primitive", words=True), *map(Field, titles)]
    grid = Grid(f"Primitives, {_scope(view)}", fields, {"all": View(columns)})
    return Page(
        title=shown.title,
        answers=[block for block in shown.blocks if isinstance(block, Paragraph)],
        sections=[
            Section("Primitives", [*tables, picture, grid] if rows else tables),
            *([Section("Messages", messages)] if messages else []),
        ],
    )


def _largest(rows: Sequence[PrimitiveRow]) -> Figure:
    """Draw the time of each kind, implementation and fpmath mode."""
    sums: dict[str, float] = {}
    for row in rows:
        name = " ".join(filter(None, (row.kind, row.implementation, row.fpmath if row.fpmath != "fp32" else None)))
        sums[name] = sums.get(name, 0.0) + row.exec_ns
    return parts("time in executions", list(sums.items()))


def _picture(view: PrimitivesView) -> Picture:
    if not view.primitives:
        raise UsageError("there is no primitive to draw", where=view.source)
    return Picture(f"Where oneDNN's time goes: {view.source}, {_scope(view)}", _largest(view.primitives))


KIND = Kind(
    name="primitives",
    schemas=("primitives/1",),
    record=_record,
    rows="primitives",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"primitives": _picture},
)
