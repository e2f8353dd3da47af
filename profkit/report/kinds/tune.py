"""Which settings pay (``tune/1``): each candidate alone, what each adds to the others, and the recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note, plural
from profkit.report.figures.speedups import candidate_speedups
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Page, Picture, Section
from profkit.report.sentences import verdict_words
from profkit.report.verdicts import verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.load import Estimate, LoadPoint
    from profkit.comparison.records.outputs import OutputsChange
    from profkit.comparison.records.parts import Judged
    from profkit.comparison.records.sweep import SweepPoint
    from profkit.comparison.records.tune import Tried, TuneResult

CSV_HEADER = (
    *("factor", "name", "options", "label", "reason", "p50_ns", "rounds", "peak_memory_bytes"),
    *("speedup", "low", "high", "p_value", "q_value", "verdict", "cosine_similarity", "max_abs_error"),
    *("outputs_kept", "is_promising"),
)
ORDERS: dict[str, Callable[[Tried], object]] = {
    "given": lambda tried: 0,
    "speedup": lambda tried: -(tried.point.over_first.speedup or 0.0),
    "name": lambda tried: tried.name,
}


def _record() -> type[TuneResult]:
    from profkit.comparison.records.tune import TuneResult

    return TuneResult


def select(found: TuneResult, selection: Selection) -> TuneResult:
    """Return ``found`` with the selected candidates, by name; raises UsageError if none matches."""
    require_match([tried.name for tried in found.tried], selection, "candidates")
    return replace(found, tried=choose(found.tried, selection, lambda tried: tried.name, ORDERS))


def document(found: TuneResult, selection: Selection, beside: Any = None) -> Document:
    """Lay out the recipe, the selected candidates, and the parts. There is nothing ``beside``."""
    shown = select(found, selection)
    cut = cut_note(len(select(found, replace(selection, top=0)).tried), selection.top, "candidates")
    blocks: list[Table | Paragraph] = [Paragraph(text, "strong") for text in answers(found)]
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in found.warnings]
    blocks.append(_candidates(shown, cut))
    blocks += [*_parts(found), *_serving(found)]
    return Document(f"{found.workload}: which settings pay, compared with {found.baseline.label}", blocks)


def answers(found: TuneResult) -> Iterator[str]:
    """Yield the recipe, what it gains and costs, and how the gains combine."""
    recipe, before = found.recipe, found.baseline
    if not recipe.names:
        yield f"No setting is shown to make {found.workload} faster than it is ({_time(before)})."
        yield from _throughput(found)
        return
    after = recipe.point
    yield (
        f"Recommended: {' + '.join(recipe.names)}: {verdict_words(after.over_first)}: {_time(before)} → {_time(after)}."
    )
    yield f"{recipe.command}"
    if recipe.variables:
        yield f"Environment variables: {' '.join(f'{name}={value}' for name, value in recipe.variables.items())}"
    yield f"It costs: {_cost(before, after)}."
    if found.product is not None and found.together is not None:
        yield (
            f"The gains alone multiply to {units.ratio(found.product)}; all {len(found.parts)} together give "
            f"{_speedup(found.together.over_first)}."
        )
    yield from _throughput(found)


def _throughput(found: TuneResult) -> Iterator[str]:
    """Yield the largest throughput of the steps that are shown to gain."""
    known = [point for point in found.serving if point.throughput is not None]
    if len(known) < 2:
        return
    best = max((point for point in known if _gains(point)), key=_rate, default=None)
    if best is None or best.gain is None:
        yield "Throughput: more processes are not shown to answer more requests than the next fewer."
        return
    more = " More processes are not shown to answer more." if best is not known[-1] else ""
    yield (
        f"Throughput: {_crew(best)} answer {_estimate(best.throughput)} requests/s: {units.ratio(best.gain.speedup)} "
        f"{units.interval(best.gain.low, best.gain.high)} of the next fewer processes.{more}"
    )


def _gains(point: LoadPoint) -> bool:
    return point.gain is not None and point.gain.verdict == "faster"


def _rate(point: LoadPoint) -> float:
    return point.throughput.value if point.throughput is not None else 0.0


def _crew(point: LoadPoint) -> str:
    processes = "1 process" if point.processes == 1 else f"{point.processes} processes"
    return f"{processes} of {plural(point.threads, 'thread')}"


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return units.NOTHING
    bounds = "" if estimate.low is None or estimate.high is None else f" [{estimate.low:.3g}, {estimate.high:.3g}]"
    return f"{estimate.value:.3g}{bounds}"


def _gain_cell(gain: Judged) -> Cell:
    """Return a verdict on a throughput: more or fewer requests."""
    words = {"faster": "more", "slower": "fewer"}
    cell = verdict_cell(gain.verdict)
    return Cell(words.get(gain.verdict or "", cell.text), cell.tone)


def _serving(found: TuneResult) -> list[Table]:
    if not found.serving:
        return []
    columns = [Column("processes × threads", right=False), Column("requests/s"), Column("95% interval", right=False)]
    columns += [Column("p50"), Column("gain"), Column("95% interval", right=False)]
    columns.append(Column("gain is", right=False, verdict=True))
    rows = []
    for point in found.serving:
        rate, gain = point.throughput, point.gain
        bounds = "" if rate is None or rate.low is None or rate.high is None else f"[{rate.low:.3g}, {rate.high:.3g}]"
        value = units.NOTHING if rate is None else f"{rate.value:.3g}"
        judged = (units.ratio(gain.speedup), units.interval(gain.low, gain.high)) if gain is not None else ("", "")
        verdict = Cell(point.reason or "first", "dim") if gain is None else _gain_cell(gain)
        p50 = units.duration(point.p50.value_ns)
        rows.append([Cell(point.name), Cell(value), Cell(bounds), Cell(p50), *map(Cell, judged), verdict])
    note = "Closed loop: each process is sent its next request when the last one is answered. Gain: over the row above."
    return [Table("How many processes serve the recipe", columns, rows, note)]


def _time(point: SweepPoint) -> str:
    return units.duration(point.wall.p50_ns) if point.wall is not None else "not captured"


def _cost(before: SweepPoint, after: SweepPoint) -> str:
    memory = f"peak memory {units.size(before.peak_memory_bytes)} → {units.size(after.peak_memory_bytes)}"
    return f"{memory}, outputs: {_outputs(after.outputs) or 'not kept'}"


def _outputs(outputs: OutputsChange | None) -> str:
    if outputs is None:
        return ""
    if outputs.cosine_similarity is None:
        return f"not comparable: {outputs.reason}"
    top1 = "" if outputs.top1_agreement is None else f", top-1 agreement {units.share(outputs.top1_agreement)}"
    return f"cosine similarity {outputs.cosine_similarity:.6f}{top1}"


def _speedup(judged: Judged) -> str:
    return f"{units.ratio(judged.speedup)} {units.interval(judged.low, judged.high)}".strip()


def _candidates(found: TuneResult, cut: str = "") -> Table:
    columns = [Column("candidate", right=False, flexible=True), Column("factor", right=False), Column("p50")]
    columns += [Column("speedup"), Column("95% interval", right=False), Column("peak memory")]
    columns += [Column("outputs", right=False, flexible=True), Column("verdict", right=False, verdict=True)]
    rows = [_row("as it is", "", found.baseline, found), *(_row(t.name, t.factor, t.point, found) for t in found.tried)]
    note = (
        f"Each alone, by turns with {found.baseline.label}. Verdicts control the false discovery rate. Promising: "
        f"faster, with a cosine similarity of the outputs of at least {found.least_cosine:g}."
    )
    return Table(f"{found.workload}: median latency, profiler off", columns, rows, "\n".join(filter(None, (cut, note))))


def _row(name: str, factor: str, point: SweepPoint, found: TuneResult) -> list[Cell]:
    if point.wall is None:
        reason = Cell(point.reason or "not captured", "bad")
        return [Cell(name), Cell(factor, "dim"), *[Cell(units.NOTHING, "dim")] * 4, reason, Cell("failed", "bad")]
    judged, cosine = point.over_first, point.outputs.cosine_similarity if point.outputs is not None else None
    moved = point.outputs is not None and (cosine is None or cosine < found.least_cosine)
    is_baseline = point is found.baseline
    return [
        Cell(name),
        Cell(factor, "dim"),
        Cell(units.duration(point.wall.p50_ns)),
        Cell("" if is_baseline else units.ratio(judged.speedup)),
        Cell(units.interval(judged.low, judged.high)),
        Cell(units.size(point.peak_memory_bytes)),
        Cell(_outputs(point.outputs), "bad" if moved else "dim"),
        Cell("baseline", "dim") if is_baseline else verdict_cell(judged.verdict),
    ]


def _parts(found: TuneResult) -> list[Table]:
    if not found.parts:
        return []
    columns = [Column("candidate", right=False, flexible=True), Column("alone"), Column("95% interval", right=False)]
    columns += [Column("beside the others"), Column("95% interval", right=False)]
    columns += [Column("beside them it is", right=False, verdict=True)]
    rows = [
        [
            Cell(part.name),
            Cell(units.ratio(part.alone.speedup)),
            Cell(units.interval(part.alone.low, part.alone.high)),
            Cell(units.ratio(part.beside.speedup)),
            Cell(units.interval(part.beside.low, part.beside.high)),
            verdict_cell(part.beside.verdict),
        ]
        for part in found.parts
    ]
    note = "Beside the others: all of them together, compared by turns with all but this one."
    return [Table("What each adds", columns, rows, note)]


def csv_rows(found: TuneResult) -> Iterator[Sequence[object]]:
    """Yield one row per candidate; times in ns."""
    for tried in found.tried:
        point = tried.point
        judged, outputs = point.over_first, point.outputs
        wall = point.wall.p50_ns if point.wall is not None else None
        moved = (None, None) if outputs is None else (outputs.cosine_similarity, outputs.max_abs_error)
        yield [
            *(tried.factor, tried.name, tried.options, point.label, point.reason, wall, point.rounds),
            *(point.peak_memory_bytes, judged.speedup, judged.low, judged.high, judged.p_value, judged.q_value),
            *(judged.verdict, *moved, tried.outputs_kept, tried.is_promising),
        ]


def page(found: TuneResult, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``, with the picture."""
    shown = select(found, selection)
    words = [Paragraph(text, "strong") for text in answers(found)]
    words += [Paragraph(f"Warning: {text}", "bad") for text in found.warnings]
    sections = [Section("Candidates", [_picture(shown), _candidates(shown)])]
    if found.parts:
        sections.append(Section("Together", [*_parts(found)]))
    if found.serving:
        sections.append(Section("Processes", [*_serving(found)]))
    return Page(f"{found.workload}: which settings pay", words, sections)


def _picture(found: TuneResult) -> Picture:
    note = "Lines: 95% intervals; the axis is logarithmic. A hollow grey point: neither faster nor slower is shown."
    return Picture(f"Speedup over {found.baseline.label}", candidate_speedups(found), note)


KIND = Kind(
    name="tune",
    schemas=("tune/1",),
    record=_record,
    rows="candidates",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"speedup": _picture},
)
