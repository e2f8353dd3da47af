"""The operators of one run or trace (``operators/1``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, bar, cut_note, plural
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.manifest_facts import median
from profkit.report.page import Block, Field, Figure, Grid, Page, Picture, Section, Values, View
from profkit.report.ranks_table import ranks_in_words, ranks_table

if TYPE_CHECKING:
    from profkit.views.operators import OperatorRow, OperatorsView
    from profkit.views.parts import Kernel

CSV_HEADER = (
    "operator",
    "input_dims",
    "module",
    "stack",
    "calls",
    "self_host_ns",
    "total_host_ns",
    "self_device_ns",
    "total_device_ns",
)
ORDERS: dict[str, Callable[[OperatorRow], object]] = {
    "self": lambda o: -o.self_host_ns,
    "total": lambda o: -o.total_host_ns,
    "calls": lambda o: -o.calls,
    "name": lambda o: o.name,
}
# device work has no host time: the orders by host time are by its device time
_KERNEL_ORDERS: dict[str, Callable[[Kernel], object]] = {
    "self": lambda k: -k.device_ns,
    "total": lambda k: -k.device_ns,
    "calls": lambda k: -k.calls,
    "name": lambda k: k.name,
}
PRIMITIVES_NOTE = "→ oneDNN primitives per forward, from a pass of their own; writing the log makes them slower."


def _upgrade(document: dict[str, Any]) -> dict[str, Any]:
    from profkit.comparison.records.upgrade import upgrade_operators

    return upgrade_operators(document)


def _record() -> type[OperatorsView]:
    from profkit.views.operators import OperatorsView

    return OperatorsView


def select(view: OperatorsView, selection: Selection) -> OperatorsView:
    """Return ``view`` with the selected operators; raises UsageError if none matches."""
    require_match((row.name for rows in (view.operators, view.kernels) for row in rows), selection, "operators")
    return replace(
        view,
        operators=choose(view.operators, selection, lambda o: o.name, ORDERS),
        kernels=choose(view.kernels, selection, lambda k: k.name, _KERNEL_ORDERS),
    )


def document(view: OperatorsView, selection: Selection, beside: Any = None) -> Document:
    """Lay out the operators of one run; shares are of the self host time of all operators. Nothing is ``beside``."""
    whole = sum(row.self_host_ns for row in view.operators)
    columns = [
        Column("operator", right=False, flexible=True),
        Column("calls"),
        Column("self host"),
        Column("share"),
        Column("", right=False, drawing=True),
        Column("total host"),
    ]
    on_device = any(row.total_device_ns for row in view.operators)
    if on_device:
        columns += [Column("self device"), Column("total device")]
    every = select(view, replace(selection, top=0)).operators
    shown = every[: selection.top or None]
    note = cut_note(len(every), selection.top, "operators")
    rows = [cells for row in shown for cells in _operator_rows(row, whole, on_device=on_device)]
    if any(row.primitives for row in shown):
        note = "\n".join(filter(None, (note, PRIMITIVES_NOTE)))
    warnings = [Paragraph(f"Warning: {text}", "bad") for text in view.warnings]
    blocks: list[Table | Paragraph] = [*_forwards(view), *warnings, *_hints(view), *ranks_table(view.ranks)]
    if view.operators:
        blocks.append(Table(f"Operators, {_scope(view)}", columns, rows, note))
    if any(row.module is not None for row in view.operators) and not any(row.module for row in view.operators):
        blocks.append(Paragraph("The traces name no modules: capture with --with-stack.", "bad"))
    if not view.operators:
        blocks.append(Paragraph(" ".join(filter(None, ("The traces have no operators.", view.contents))), "bad"))
        blocks += _kernels(view, selection)
    odd = [f"{n} {name}" for name, n in view.anomalies.items() if n]
    odd += [f"{repair.count} × {repair.defect} repaired" for repair in view.repairs]
    if odd:
        blocks.append(Paragraph("Anomalies: " + ", ".join(odd), "bad"))
    version = f", PyTorch {view.torch}" if view.torch else ""
    return Document(f"{view.source}{version}", blocks)


def _hints(view: OperatorsView) -> Iterator[Paragraph]:
    return (Paragraph(f"Hint: {text}", "dim") for text in view.hints)


def _kernels(view: OperatorsView, selection: Selection) -> Iterator[Table]:
    """Yield the table of device work by name, if there is any."""
    every = select(view, replace(selection, top=0)).kernels
    if not every:
        return
    columns = [Column("device work", right=False, flexible=True), Column("kind", right=False)]
    columns += [Column("calls"), Column("device time"), Column("share")]
    whole = sum(kernel.device_ns for kernel in view.kernels)
    rows = [
        [
            Cell(kernel.name),
            Cell(kernel.category),
            Cell(units.count(kernel.calls)),
            Cell(units.duration(kernel.device_ns)),
            Cell(units.share(kernel.device_ns / whole if whole else None)),
        ]
        for kernel in every[: selection.top or None]
    ]
    yield Table("Kernels and copies by name", columns, rows, cut_note(len(every), selection.top, "names"))


def _scope(view: OperatorsView) -> str:
    scope = "per forward (medians)" if view.per_forward else "sums over everything captured"
    return f"{scope}, all {ranks_in_words(view.ranks)} together" if view.ranks else scope


def _forwards(view: OperatorsView) -> Iterator[Paragraph]:
    found = view.forwards
    if found.count:
        middle = units.duration(median(found.wall_ns))
        whose = f" of {ranks_in_words(view.ranks)}" if view.ranks else ""
        yield Paragraph(f"{plural(found.count, 'forward')}{whose} by rule {found.rule}, median wall time {middle}.")


def _operator_rows(row: OperatorRow, whole: float, *, on_device: bool) -> Iterator[list[Cell]]:
    """Yield an operator's row, and one for each oneDNN primitive that ran in it."""
    yield [
        Cell(_label(row)),
        Cell(units.count(row.calls)),
        Cell(units.duration(row.self_host_ns)),
        Cell(units.share(row.self_host_ns / whole if whole else None)),
        Cell(bar(row.self_host_ns / whole if whole else 0), "dim"),
        Cell(units.duration(row.total_host_ns)),
        *(Cell(units.duration(ns)) for ns in (row.self_device_ns, row.total_device_ns) if on_device),
    ]
    for use in row.primitives:
        mode = "" if use.fpmath == "fp32" else f" {use.fpmath}"
        cells = [
            Cell(f"  → {use.kind} {use.implementation}{mode}", "dim"),
            Cell(units.count(use.calls), "dim"),
            *[Cell("")] * 3,
            Cell(units.duration(use.exec_ns), "dim"),
        ]
        yield [*cells, *([Cell("")] * (2 * on_device))]


def _label(row: OperatorRow) -> str:
    return f"{row.name} {row.place or ''}".rstrip()


def csv_rows(view: OperatorsView) -> Iterator[Sequence[object]]:
    """Yield one row per operator; times in ns."""
    for row in view.operators:
        yield [getattr(row, name) for name in ("name", *CSV_HEADER[1:])]


def page(view: OperatorsView, selection: Selection, beside: Any = None) -> Page:
    """Lay out the selected operators. There is nothing ``beside``."""
    shown = document(view, selection)
    rows = select(view, selection).operators
    whole = sum(row.self_host_ns for row in view.operators) or 1
    shares = [row.self_host_ns / whole for row in rows]
    fields = [Field("operator", words=True), Field("calls"), Field("self host"), Field("share", bar=True)]
    fields.append(Field("total host"))
    columns = [
        Values([_label(row) for row in rows]),
        Values([units.count(row.calls) for row in rows], [row.calls for row in rows]),
        Values.times([row.self_host_ns for row in rows]),
        Values([units.share(share) for share in shares], shares),
        Values.times([row.total_host_ns for row in rows]),
    ]
    if any(row.total_device_ns for row in rows):
        fields.append(Field("total device"))
        columns.append(Values.times([row.total_device_ns for row in rows]))
    if any(row.primitives for row in rows):
        fields.append(Field("oneDNN primitives", words=True))
        columns.append(Values([_primitives(row) for row in rows]))
    grid = Grid(_scope(view), fields, {"all": View(columns)})
    blocks: list[Block] = [Picture("Where the time goes", _largest(rows)), grid]
    if not view.operators:
        blocks = list(_kernels(view, selection))
    sections = [Section("Ranks", tables)] if (tables := list(ranks_table(view.ranks))) else []
    return Page(
        title=shown.title,
        answers=[block for block in shown.blocks if isinstance(block, Paragraph)],
        sections=[*sections, Section("Operators", blocks)],
    )


def _largest(rows: Sequence[OperatorRow]) -> Figure:
    from profkit.report.figures.parts import parts

    return parts("self host time", [(_label(row), row.self_host_ns) for row in rows])


def _picture(view: OperatorsView) -> Picture:
    return Picture(f"Where the time goes: {view.source}, {_scope(view)}", _largest(view.operators))


def _primitives(row: OperatorRow) -> str:
    return ", ".join(dict.fromkeys(f"{use.kind} {use.implementation} {use.fpmath}" for use in row.primitives))


KIND = Kind(
    name="operators",
    schemas=("operators/1",),
    record=_record,
    rows="operators",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    upgrade=_upgrade,
    pictures={"operators": _picture},
)
