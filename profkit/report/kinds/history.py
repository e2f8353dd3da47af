"""How workloads went from day to day (``history/1``): the steps, what did them, and the newest day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.errors import UsageError
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note, plural
from profkit.report.figures.history import series_figure
from profkit.report.kinds.kind import DataTable, Kind, Selection, choose, require_match
from profkit.report.page import Block, Page, Picture, Section
from profkit.report.sentences import verdict_words
from profkit.report.verdicts import verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.history import HistoryResult, HistorySeries, HistoryStep

CSV_HEADER = (
    *("workload", "group", "days", "first", "last", "steps", "spread", "level_ns", "newest_ns"),
    *("speedup", "low", "high", "p_value", "q_value", "verdict"),
)
STEPS_HEADER = (
    *("workload", "group", "operator", "date", "earliest", "latest", "chance", "before_ns", "after_ns"),
    *("speedup", "low", "high", "verdict"),
)
ORDERS: dict[str, Callable[[HistorySeries], object]] = {
    "name": lambda series: series.name,
    "newest": lambda series: series.newest.speedup if series.newest.speedup is not None else float("inf"),
}


def _record() -> type[HistoryResult]:
    from profkit.comparison.records.history import HistoryResult

    return HistoryResult


def select(history: HistoryResult, selection: Selection) -> HistoryResult:
    """Return ``history`` with the selected series, by name; raises UsageError if none matches."""
    require_match((series.name for series in history.series), selection, "series")
    return replace(history, series=choose(history.series, selection, lambda series: series.name, ORDERS))


def document(history: HistoryResult, selection: Selection, beside: Any = None) -> Document:
    """Lay out the answers, the newest day of each series, and the steps. There is nothing ``beside``."""
    shown = select(history, selection)
    every = select(history, replace(selection, top=0)).series
    blocks: list[Paragraph | Table] = [
        Paragraph(text, "strong") for series in shown.series for text in _answers(series)
    ]
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in history.warnings]
    if history.gates:
        blocks.append(_gates(history))
    blocks.append(_newest(shown.series, cut_note(len(every), selection.top, "series")))
    for series in shown.series:
        blocks += _steps(series)
        blocks += [_operators(series)] if _changed_operators(series) else []
    return Document(f"History of {history.index}", blocks)


def _answers(series: HistorySeries) -> Iterator[str]:
    points = series.points
    days = f"{plural(len(points), 'day')} from {points[0].date} to {points[-1].date}" if points else "no day"
    steps = [f"{step.date} {verdict_words(step)} ({_change(step)})" for step in series.steps]
    what = f"the level changed at {plural(len(steps), 'step')}: {'; '.join(steps)}" if steps else "no step is shown"
    yield f"{series.name}, {days}: {what}."
    if points and series.newest.speedup is not None:
        newest, level = points[-1], units.duration(series.level_ns)
        times = f"{units.duration(newest.wall_ns)}, where the days before are at {level}"
        fits = "" if series.newest.is_shown else "it fits the days before it; "
        yield f"{series.name}, newest day {newest.date}: {fits}{verdict_words(series.newest)}: {times}."


def _range(step: HistoryStep) -> str:
    """Say between which days a step may be, if there are several."""
    return f" (between {step.earliest} and {step.latest})" if step.earliest != step.latest else ""


def _change(step: HistoryStep) -> str:
    return f"{units.duration(step.before_ns)} → {units.duration(step.after_ns)}"


def _newest(found: Sequence[HistorySeries], cut: str = "") -> Table:
    columns = [Column("series", right=False, flexible=True), Column("days"), Column("steps"), Column("scatter")]
    columns += [Column("level"), Column("newest"), Column("date", right=False, spare=True), Column("speedup")]
    columns += [Column("95% interval", right=False), Column("newest day is", right=False, verdict=True)]
    rows = []
    for series in found:
        judged, last = series.newest, series.points[-1] if series.points else None
        verdict = verdict_cell(judged.verdict)
        rows.append(
            [
                Cell(series.name),
                Cell(str(len(series.points))),
                Cell(str(len(series.steps))),
                Cell(units.share(series.spread)),
                Cell(units.duration(series.level_ns)),
                Cell(units.duration(last.wall_ns if last else None)),
                Cell(last.date if last else units.NOTHING),
                Cell(units.ratio(judged.speedup), verdict.tone),
                Cell(units.interval(judged.low, judged.high), verdict.tone),
                verdict,
            ]
        )
    note = (
        "Scatter: of single days around their level. The interval covers it, so a day that fits is not shown to change."
    )
    return Table("The newest day against the level before it", columns, rows, "\n".join(filter(None, (cut, note))))


def _steps(series: HistorySeries) -> Iterator[Table | Paragraph]:
    for step in series.steps:
        title = f"{series.name}, step on {step.date}{_range(step)}"
        rows = []
        for part in step.operators:
            verdict = verdict_cell(part.verdict)
            figures = [units.duration(part.before_ns), units.signed_duration(part.delta_ns), units.ratio(part.speedup)]
            rows.append([Cell(part.name), *map(Cell, figures), verdict])
        columns = [
            Column("operator", right=False, flexible=True),
            Column("before"),
            Column("change"),
            Column("speedup"),
        ]
        columns.append(Column("", right=False, verdict=True))
        others = f"Also different: {'; '.join(step.changed)}." if step.changed else ""
        if rows:
            note = "Self host times per forward, under the profiler; the largest changes."
            yield Table(title, columns, rows, "\n".join(filter(None, (others, note))))
        elif others:
            yield Paragraph(f"{title}. {others}")


def _changed_operators(series: HistorySeries) -> list[tuple[str, HistoryStep]]:
    return [(operator.name, step) for operator in series.operators for step in operator.steps]


def _operators(series: HistorySeries) -> Table:
    rows = []
    for name, step in _changed_operators(series):
        verdict = verdict_cell(step.verdict)
        figures = [units.duration(step.before_ns), units.duration(step.after_ns), units.ratio(step.speedup)]
        rows.append(
            [Cell(name), Cell(step.date), Cell(f"{step.earliest} to {step.latest}"), *map(Cell, figures), verdict]
        )
    columns = [Column("operator", right=False, flexible=True), Column("step on", right=False)]
    columns += [Column("95% interval", right=False, spare=True), Column("before"), Column("after"), Column("speedup")]
    columns.append(Column("", right=False, verdict=True))
    note = "Self host times per forward, under the profiler. Steps that may be chance among all operators are left out."
    return Table(f"{series.name}: steps of operators", columns, rows, note)


def _gates(history: HistoryResult) -> Table:
    outcomes = {"passed": Cell("passed", "good"), "failed": Cell("failed", "bad")}
    rows = [[Cell(g.rule), Cell(g.found), outcomes.get(g.outcome, Cell(g.outcome, "dim"))] for g in history.gates]
    columns = [Column("gate", right=False), Column("newest day", right=False, flexible=True), Column("", right=False)]
    return Table("Gates", columns, rows)


def csv_rows(history: HistoryResult) -> Iterator[Sequence[object]]:
    """Yield one row per series; times in ns."""
    for series in history.series:
        judged, points = series.newest, series.points
        ends = (points[0].date, points[-1].date) if points else (None, None)
        newest = points[-1].wall_ns if points else None
        figures = [len(points), *ends, len(series.steps), series.spread, series.level_ns, newest]
        verdict = [judged.speedup, judged.low, judged.high, judged.p_value, judged.q_value, judged.verdict]
        yield [series.workload, series.group, *figures, *verdict]


def steps_rows(history: HistoryResult) -> Iterator[Sequence[object]]:
    """Yield one row per step, of the forward (no operator) and of operators; times in ns."""
    for series in history.series:
        for operator, step in [*((None, step) for step in series.steps), *_changed_operators(series)]:
            figures = [step.date, step.earliest, step.latest, step.chance, step.before_ns, step.after_ns]
            yield [series.workload, series.group, operator, *figures, step.speedup, step.low, step.high, step.verdict]


def page(history: HistoryResult, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``, with a picture of each series."""
    shown = select(history, selection)
    words = [Paragraph(text, "strong") for series in shown.series for text in _answers(series)]
    words += [Paragraph(f"Warning: {text}", "bad") for text in history.warnings]
    sections = [Section("Gates", [replace(_gates(history), title="")])] if history.gates else []
    sections.append(Section("Newest day", [_newest(shown.series)]))
    for series in shown.series:
        blocks: list[Block] = [_picture(series)] if series.points else []
        blocks += _steps(series)
        blocks += [_operators(series)] if _changed_operators(series) else []
        if blocks:
            sections.append(Section(series.name, blocks))
    return Page(f"History of {history.index}", words, sections)


def _picture(series: HistorySeries) -> Picture:
    note = "Points: days. Lines: levels. Band: where a step may be (95% confidence), coloured if slower or faster."
    return Picture(f"{series.name}: median forward by day", series_figure(series), note)


def _first(history: HistoryResult) -> Picture:
    found = next((series for series in history.series if series.points), None)
    if found is None:
        raise UsageError("the result has no day to draw")
    return _picture(found)


KIND = Kind(
    name="history",
    schemas=("history/1",),
    record=_record,
    rows="series",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"days": _first},
    tables={"steps": DataTable(STEPS_HEADER, steps_rows)},
)
