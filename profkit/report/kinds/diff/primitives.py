"""What changed among the oneDNN primitives of a workload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.document import Cell, Column, Paragraph, Table, cut_note

if TYPE_CHECKING:
    from profkit.comparison.records.diff import PrimitiveChange, PrimitivesChange, PrimitiveTimes


def primitive_changes(
    name: str, change: PrimitivesChange, left: str, right: str, top: int, *, can_show_all: bool = True
) -> Iterator[Table | Paragraph]:
    """Lay out what changed among the primitives of a workload, the first ``top`` of them (0: all).

    With ``can_show_all`` the note on the rest names the option that shows them.
    """
    columns = [Column("", right=False, flexible=True), Column(left), Column(right)]
    sides = (change.baseline, change.candidate)
    rows = [
        [Cell("oneDNN"), *(Cell(side.onednn or "none") for side in sides)],
        [Cell("share of the forward"), *(Cell(units.share(_share(s.exec_ns, s.forward_ns))) for s in sides)],
        [Cell("reorders"), *(Cell(units.duration(s.reorder_ns)) for s in sides)],
        [Cell("of them, weights"), *(Cell(units.duration(s.weights_reorder_ns)) for s in sides)],
        [Cell("creating primitives"), *(Cell(units.duration(s.create_ns)) for s in sides)],
        [Cell("cache hit rate, warm"), *(Cell(units.share(s.hit_rate)) for s in sides)],
        [Cell("cache hit rate, cold"), *(Cell(units.share(s.cold_hit_rate)) for s in sides)],
    ]
    yield Table(f"{name}: oneDNN per warm forward, under its log", columns, rows)
    columns = [Column("primitives that changed", right=False, flexible=True), Column("calls")]
    columns += [Column(left), Column(right), Column("speedup")]
    changed = [problem for problem in change.problems if problem.changed]
    note = cut_note(len(changed), top, "primitives")
    note = note if can_show_all else note.partition(":")[0]
    if changed:
        rows = [_primitive(problem) for problem in changed[: top or None]]
        yield Table(f"{name}: primitives before and after, per warm forward", columns, rows, note)
    else:
        yield Paragraph(f"{name}: every primitive has the same implementation on both sides.")


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _primitive(change: PrimitiveChange) -> list[Cell]:
    before, after = change.baseline, change.candidate
    calls = [units.count(side.calls if side else None) for side in (before, after)]
    return [
        Cell(f"{change.kind} {change.problem}: {implementations(before)} → {implementations(after)}"),
        Cell(calls[0] if calls[0] == calls[1] else " → ".join(calls)),
        Cell(units.duration(before.exec_ns if before else None)),
        Cell(units.duration(after.exec_ns if after else None)),
        Cell(units.ratio(primitive_speedup(change))),
    ]


def implementations(times: PrimitiveTimes | None) -> str:
    """Return the implementations on one side, ``none`` if it has no primitive."""
    if times is None:
        return "none"
    mode = "" if times.fpmath == "fp32" else f" {times.fpmath}"
    return ", ".join(times.implementations) + mode


def primitive_speedup(change: PrimitiveChange) -> float | None:
    """Return baseline ÷ candidate of the execution times; None if a side has none."""
    before, after = change.baseline, change.candidate
    return before.exec_ns / after.exec_ns if before and after and after.exec_ns else None
