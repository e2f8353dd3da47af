"""oneDNN's primitives as a document: the cache, reorders, what ran; and what changed among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from profkit import units
from profkit.compare.records.diff import FpmathVerdict, PrimitiveChange, PrimitivesChange, PrimitiveTimes
from profkit.onednn.summary import Phase
from profkit.report.document import Cell, Column, Document, Paragraph, Table, Tone, cut
from profkit.report.selection import Selection
from profkit.views.primitives import PrimitiveRow, PrimitivesView

REPEATED = 3  # weights named among those that every forward reorders


def primitives_document(view: PrimitivesView, selection: Selection, fpmath: FpmathVerdict | None = None) -> Document:
    """Lay out the primitives of a log or a run."""
    blocks: list[Table | Paragraph] = [Paragraph(text) for text in _head(view)]
    if fpmath is not None:
        blocks.append(fpmath_paragraph(fpmath))
    if view.cold_phase is not None and view.warm_phase is not None:
        blocks.append(_phases(view.cold_phase, view.warm_phase, view.forwards or 0))
    if view.repeated_reorders:
        blocks.append(_repeated(view))
    blocks.append(_primitives(view, selection))
    version = f", oneDNN {view.onednn}" if view.onednn else ""
    return Document(f"{view.source}{version}", blocks)


def _head(view: PrimitivesView) -> Iterator[str]:
    if view.isa:
        yield f"{view.isa}, {view.threads} thread{'s' * (view.threads != 1)}."
    if view.forwards and view.warm_phase is not None:
        wall = sum(view.forward_ns)
        part = units.share(view.warm_phase.exec_ns / wall if wall else None)
        yield (
            f"In {view.forwards} warm forwards oneDNN takes {part} of the time; {view.matched} of {view.warm_records} "
            "records lie in an operator of the trace. Printing the log slows this pass: read shares, not times."
        )
    if view.skipped_lines:
        yield f"{view.skipped_lines} records could not be read and are not counted."


def fpmath_paragraph(verdict: FpmathVerdict, who: str = "") -> Paragraph:
    """Say whether an fpmath mode was real, with the evidence."""
    tones: dict[str, Tone] = {"in effect": "good", "not accepted": "bad"}
    text = f"{who}{verdict.mode} is {verdict.outcome}"
    text = text.replace("is unknown", "may be in effect or not")
    return Paragraph(f"{text}: {'; '.join(verdict.evidence)}.", tones.get(verdict.outcome, "plain"))


def _phases(cold: Phase, warm: Phase, forwards: int) -> Table:
    columns = [Column("", right=False, flexible=True), Column("cold"), Column("warm"), Column("per warm forward")]
    count = max(1, forwards)
    rows = []
    for name, figure, show in (
        ("primitives created from the cache", "cache_hits", units.count),
        ("primitives created anew", "cache_misses", units.count),
        ("time to create them", "create_ns", units.duration),
        ("executions", "calls", units.count),
        ("time in them", "exec_ns", units.duration),
        ("of it reorders", "reorder_ns", units.duration),
        ("of those weights", "weights_reorder_ns", units.duration),
    ):
        before, after = getattr(cold, figure), getattr(warm, figure)
        rows.append([Cell(name), Cell(show(before)), Cell(show(after)), Cell(show(after / count))])
    return Table("Primitives before the traced forwards (cold) and in them (warm)", columns, rows)


def _repeated(view: PrimitivesView) -> Paragraph:
    found = view.repeated_reorders
    ns = sum(reorder.exec_ns for reorder in found)
    dearest = ", ".join(f"{r.problem} ({units.duration(r.exec_ns)})" for r in found[:REPEATED])
    return Paragraph(
        f"Every warm forward brings {units.count(sum(r.calls for r in found))} weights into another layout anew, "
        f"{units.duration(ns)} each time: {dearest}{', …' if len(found) > REPEATED else ''}. "
        + (
            "This run is frozen, and yet it does: another PyTorch may not (profkit diff tells)."
            if view.mode == "frozen"
            else "Reordered once, as frozen TorchScript does in some versions, they would cost nothing."
        ),
        "bad",
    )


def _primitives(view: PrimitivesView, selection: Selection) -> Table:
    whole = sum(row.exec_ns for row in view.primitives if not row.kind.startswith("graph ")) or 1
    base = sum(view.forward_ns) if view.warm and view.forward_ns else whole
    columns = [
        Column("primitive", right=False, flexible=True),
        Column("calls"),
        Column("time"),
        Column("of forward" if base is not whole else "share"),
        Column("hits"),
        Column("misses"),
        Column("create"),
    ]
    rows = [
        [
            Cell(describe(row)),
            Cell(units.count(row.calls)),
            Cell(units.duration(row.exec_ns)),
            Cell(units.share(row.exec_ns / base)),
            Cell(units.count(row.cache_hits)),
            Cell(units.count(row.cache_misses)),
            Cell(units.duration(row.create_ns)),
        ]
        for row in select_primitives(view.primitives, selection)
    ]
    shown, note = cut(rows, selection.top, "primitives")
    return Table(f"Primitives, {'warm forwards' if view.warm else 'whole log'}", columns, shown, note)


def describe(row: PrimitiveRow) -> str:
    """Return what a row is of, in one line."""
    mode = "" if row.fpmath in (None, "fp32") else row.fpmath
    return " ".join(filter(None, (row.kind, row.implementation, mode, row.data_types, row.post_ops, row.problem)))


def select_primitives(rows: Sequence[PrimitiveRow], selection: Selection) -> list[PrimitiveRow]:
    """Return the matching rows, all of them, by time."""
    return [row for row in rows if selection.matches(describe(row))]


def primitive_changes(
    name: str, change: PrimitivesChange, left: str, right: str, top: int, *, cut_said: bool = True
) -> Iterator[Table | Paragraph]:
    """Lay out what changed among the primitives of a workload; ``cut_said`` names the option that shows all of them."""
    columns = [Column("", right=False, flexible=True), Column(left), Column(right)]
    sides = (change.baseline, change.candidate)
    rows = [
        [Cell("oneDNN"), *(Cell(side.onednn or "none") for side in sides)],
        [Cell("its share of the forward"), *(Cell(units.share(_share(s.exec_ns, s.forward_ns))) for s in sides)],
        [Cell("reorders"), *(Cell(units.duration(s.reorder_ns)) for s in sides)],
        [Cell("of them weights"), *(Cell(units.duration(s.weights_reorder_ns)) for s in sides)],
        [Cell("creating primitives"), *(Cell(units.duration(s.create_ns)) for s in sides)],
        [Cell("cache hit rate, warm"), *(Cell(units.share(s.hit_rate)) for s in sides)],
        [Cell("cache hit rate, cold"), *(Cell(units.share(s.cold_hit_rate)) for s in sides)],
    ]
    yield Table(f"{name}: oneDNN per warm forward, under its log", columns, rows)
    columns = [Column("primitives that changed", right=False, flexible=True), Column("calls")]
    columns += [Column(left), Column(right), Column("speedup")]
    changed = [problem for problem in change.problems if problem.changed]
    shown, note = cut([_primitive(problem) for problem in changed], top, "primitives")
    note = note if cut_said else note.partition(":")[0]
    if shown:
        yield Table(f"{name}: primitives before and after, per warm forward", columns, shown, note)
    else:
        yield Paragraph(f"{name}: every problem runs in the same implementation on both sides.")


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _primitive(change: PrimitiveChange) -> list[Cell]:
    before, after = change.baseline, change.candidate
    calls = [units.count(side.calls if side else None) for side in (before, after)]
    ratio = before.exec_ns / after.exec_ns if before and after and after.exec_ns else None
    return [
        Cell(f"{change.kind} {change.problem}: {way(before)} → {way(after)}"),
        Cell(calls[0] if calls[0] == calls[1] else " → ".join(calls)),
        Cell(units.duration(before.exec_ns if before else None)),
        Cell(units.duration(after.exec_ns if after else None)),
        Cell(units.ratio(ratio)),
    ]


def way(times: PrimitiveTimes | None) -> str:
    """Return the implementations on one side, ``none`` where there is no primitive."""
    if times is None:
        return "none"
    mode = "" if times.fpmath == "fp32" else f" {times.fpmath}"
    return ", ".join(times.implementations) + mode
