"""The course along versions or a setting (``sweep/1``): where the forward changed, by how much, and what did it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note, plural
from profkit.report.figures.course import operator_course, wall_course
from profkit.report.findings import finding_blocks, paragraphs_of
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Block, Page, Picture, Section
from profkit.report.sentences import verdict_words
from profkit.report.verdicts import verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.sweep import SweepPoint, SweepResult, SweepStep, SweepWorkload

CSV_HEADER = (
    *("workload", "label", "reason", "p50_ns", "p90_ns", "p99_ns", "n", "rounds", "forward_ns", "peak_memory_bytes"),
    *("speedup", "low", "high", "p_value", "q_value", "verdict"),
    *("step_speedup", "step_low", "step_high", "step_q_value", "step_verdict"),
)
ORDERS: dict[str, Callable[[SweepPoint], object]] = {
    "given": lambda point: 0,
    "latency": lambda point: point.wall.p50_ns if point.wall else float("inf"),
    "name": lambda point: point.label,
}


def _record() -> type[SweepResult]:
    from profkit.comparison.records.sweep import SweepResult

    return SweepResult


def select(sweep: SweepResult, selection: Selection) -> SweepResult:
    """Return ``sweep`` with the selected configurations, by label; raises UsageError if none matches."""
    require_match(sweep.labels, selection, "configurations")
    return replace(sweep, workloads=[_select(workload, selection) for workload in sweep.workloads])


def _select(workload: SweepWorkload, selection: Selection) -> SweepWorkload:
    points = choose(workload.points, selection, lambda point: point.label, ORDERS)
    kept = {point.label for point in points}
    return replace(workload, points=points, steps=[step for step in workload.steps if step.after in kept])


def document(sweep: SweepResult, selection: Selection, beside: Any = None) -> Document:
    """Lay out the selected configurations. There is nothing ``beside``; the first sentences are about all of them."""
    shown = select(sweep, selection)
    cut = cut_note(len(select(sweep, replace(selection, top=0)).workloads[0].points), selection.top, "configurations")
    blocks: list[Table | Paragraph] = []
    for workload in sweep.workloads:
        blocks += [Paragraph(text, "strong") for text in _answers(workload)]
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in sweep.warnings]
    for workload in shown.workloads:
        blocks.append(_points(workload, cut))
        for step in _shown(workload):
            blocks += [_parts(workload, step), *paragraphs_of(finding_blocks([(_title(step), step)]))]
    return Document(f"{plural(len(sweep.labels), 'configuration')} from {sweep.labels[0]} on", blocks)


def _shown(workload: SweepWorkload) -> list[SweepStep]:
    return [step for step in workload.steps if step.is_shown]


def _title(step: SweepStep) -> str:
    return f"{step.before} → {step.after}"


def _answers(workload: SweepWorkload) -> Iterator[str]:
    """Yield what changed from the first to the last configuration, and at which steps."""
    captured = [point for point in workload.points if point.wall is not None]
    if len(captured) < 2:
        yield f"{workload.name}: fewer than two configurations were captured."
        return
    first, last = captured[0], captured[-1]
    whole = verdict_words(last.over_first)
    yield f"{workload.name}, {first.label} → {last.label}: {whole}: {_times(first, last)}."
    steps = sorted(_shown(workload), key=lambda step: -abs(step.delta_ns))
    if not steps:
        open_ = sum(step.verdict == "inconclusive" for step in workload.steps)
        undecided = f"; {open_} of {plural(len(workload.steps), 'step')} inconclusive" if open_ else ""
        yield f"{workload.name}: no step is shown to change the forward{undecided}."
        return
    texts = [f"{_title(step)} {verdict_words(step)} ({units.signed_duration(step.delta_ns)})" for step in steps]
    yield f"{workload.name} changed at {plural(len(steps), 'step')}: {'; '.join(texts)}."


def _times(before: SweepPoint, after: SweepPoint) -> str:
    return " → ".join(units.duration(point.wall.p50_ns) for point in (before, after) if point.wall)


def _points(workload: SweepWorkload, cut: str = "") -> Table:
    columns = [Column("configuration", right=False, flexible=True), Column("p50"), Column("p90"), Column("peak memory")]
    columns += [Column("speedup over the first"), Column("95% interval", right=False)]
    columns += [Column("step"), Column("95% interval", right=False), Column("step is", right=False, verdict=True)]
    steps = {step.after: step for step in workload.steps}
    rows = [_point(point, steps.get(point.label)) for point in workload.points]
    note = "Step: speedup over the configuration before that was captured. Verdicts control the false discovery rate."
    return Table(f"{workload.name}: median latency, profiler off", columns, rows, "\n".join(filter(None, (cut, note))))


def _point(point: SweepPoint, step: SweepStep | None) -> list[Cell]:
    if point.wall is None:
        return [Cell(point.label), *[Cell(units.NOTHING, "dim")] * 7, Cell(point.reason or "not captured", "bad")]
    whole = point.over_first
    cells = [
        Cell(point.label),
        Cell(units.duration(point.wall.p50_ns)),
        Cell(units.duration(point.wall.p90_ns)),
        Cell(units.size(point.peak_memory_bytes)),
        Cell(units.ratio(whole.speedup)),
        Cell(units.interval(whole.low, whole.high)),
    ]
    if step is None:
        return [*cells, Cell(""), Cell(""), Cell("first", "dim")]
    verdict = verdict_cell(step.verdict)
    interval = units.interval(step.low, step.high)
    return [*cells, Cell(units.ratio(step.speedup), verdict.tone), Cell(interval, verdict.tone), verdict]


def _parts(workload: SweepWorkload, step: SweepStep) -> Table:
    rows = [[Cell(part.name), Cell(units.signed_duration(part.delta_ns))] for part in step.operators]
    columns = [Column("operator", right=False, flexible=True), Column("change")]
    note = "Self host times per forward, under the profiler; the largest changes."
    return Table(f"{workload.name}, {_title(step)}: operators", columns, rows, note)


def csv_rows(sweep: SweepResult) -> Iterator[Sequence[object]]:
    """Yield one row per workload and configuration; times in ns."""
    for workload in sweep.workloads:
        steps = {step.after: step for step in workload.steps}
        for point in workload.points:
            wall, whole, step = point.wall, point.over_first, steps.get(point.label)
            times = [wall.p50_ns, wall.p90_ns, wall.p99_ns, wall.n] if wall else [None] * 4
            judged = [whole.speedup, whole.low, whole.high, whole.p_value, whole.q_value, whole.verdict]
            taken = [step.speedup, step.low, step.high, step.q_value, step.verdict] if step else [None] * 5
            rest = [point.rounds, point.forward_ns, point.peak_memory_bytes]
            yield [workload.name, point.label, point.reason, *times, *rest, *judged, *taken]


def page(sweep: SweepResult, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``, with the pictures."""
    chosen, shown = select(sweep, selection), document(sweep, selection)
    words = [block for block in shown.blocks if isinstance(block, Paragraph) and block.tone in ("strong", "bad")]
    sections = []
    for workload in chosen.workloads:
        blocks: list[Block] = [_wall_picture(workload), _operators_picture(workload), _points(workload)]
        for step in _shown(workload):
            blocks += [_parts(workload, step), *finding_blocks([(_title(step), step)])]
        sections.append(Section(workload.name, blocks))
    return Page(shown.title, words, sections)


def _wall_picture(workload: SweepWorkload) -> Picture:
    note = "Bars: 95% intervals of each median. A filled point: the step to it is shown to be faster or slower."
    return Picture(f"{workload.name}: median latency", wall_course(workload), note)


def _operators_picture(workload: SweepWorkload) -> Picture:
    note = "Median self host time of each operator per forward, under the profiler."
    return Picture(f"{workload.name}: operators", operator_course(workload), note)


def _first(draw: Callable[[SweepWorkload], Picture]) -> Callable[[SweepResult], Picture]:
    """Return a function that draws the first of the selected workloads."""
    return lambda sweep: draw(sweep.workloads[0])


KIND = Kind(
    name="sweep",
    schemas=("sweep/1",),
    record=_record,
    rows="configurations",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"latency": _first(_wall_picture), "operators": _first(_operators_picture)},
)
