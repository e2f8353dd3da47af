"""Many runs side by side (``compare/2``): speedups by run and workload, and every wall time."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.cards import compare_card
from profkit.report.document import Cell, Column, Document, Paragraph, Table, cut_note, plural
from profkit.report.figures.heatmap import heatmap
from profkit.report.figures.speedups import run_speedups
from profkit.report.findings import by_run, finding_blocks, paragraphs_of
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Block, Code, Page, Picture, Section
from profkit.report.verdicts import DECIDED, bounds, speedup_text, verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.many import Entry, Overview, RunOverview
    from profkit.comparison.records.outputs import OutputsChange

OUTPUTS_FIELDS = ("cosine_similarity", "max_abs_error", "relative_error", "top1_agreement", "candidate_nan")
CSV_HEADER = (
    "run",
    "workload",
    "torch",
    "fpmath",
    "mode",
    "wall",
    "p50_ns",
    "p90_ns",
    "p99_ns",
    "mean_ns",
    "n",
    "rounds",
    "speedup",
    "low",
    "high",
    "p_value",
    "q_value",
    "verdict",
    "cpu_ns",
    "peak_memory_bytes",
    *OUTPUTS_FIELDS,
)
ORDERS: dict[str, Callable[[RunOverview], object]] = {
    "given": lambda run: 0,  # the order of the result
    "speedup": lambda run: -(bounds(run.geomean_speedup)[0] or 0),
    "name": lambda run: run.label,
}
UNDECIDED = "~"
# title, field of an entry, and how its value is shown
RESOURCES: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("CPU time", "cpu_ns", units.duration),
    ("memory", "peak_memory_bytes", units.size),
)


def _upgrade(document: dict[str, Any]) -> dict[str, Any]:
    from profkit.comparison.records.upgrade import upgrade_compare

    return upgrade_compare(document) if document["schema"] == "compare/1" else document


def _record() -> type[Overview]:
    from profkit.comparison.records.many import Overview

    return Overview


def select(overview: Overview, selection: Selection) -> Overview:
    """Return ``overview`` with the selected runs, by label; raises UsageError if none matches."""
    require_match((run.label for run in overview.runs), selection, "runs")
    runs = choose(overview.runs, selection, lambda run: run.label, ORDERS)
    return replace(overview, runs=runs)


def document(overview: Overview, selection: Selection, beside: Any = None) -> Document:
    """Lay out the selected runs. There is nothing ``beside``; the sentence on the fastest run is about all of them."""
    every = select(overview, replace(selection, top=0))
    shown = select(overview, selection)
    blocks: list[Table | Paragraph] = [Paragraph(text, "strong") for text in _answers(overview)]
    blocks += paragraphs_of(finding_blocks(by_run(overview)))
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in overview.warnings]
    blocks.append(_heat_map(shown, cut_note(len(every.runs), selection.top, "runs")))
    for name in overview.workloads:
        blocks += [_workload(shown, name), *_outputs(shown, name)]
    return Document(f"{plural(len(every.runs), 'run')} relative to {overview.baseline}", blocks)


def _answers(overview: Overview) -> Iterator[str]:
    if not [r for r in overview.runs if bounds(r.geomean_speedup)[0] is not None and r.label != overview.baseline]:
        yield f"No other run has a workload in common with {overview.baseline}."
        return
    if overview.baseline in overview.fastest:
        yield f"No run is shown to be faster than {overview.baseline}."
        return
    best = next((run for run in overview.runs if run.label in overview.fastest[:1]), None)
    if best is None:  # a saved result of selected runs
        return
    count = len(overview.workloads) - len(best.left_out)
    what = f" over {plural(count, 'workload')}" if len(overview.workloads) > 1 else ""
    gained = f"{speedup_text(best.geomean_speedup)} relative to {overview.baseline}{what}"
    others = overview.fastest[1:]
    if not others:
        yield f"{best.label} is the fastest: {gained}."
    else:
        verb = "is" if len(others) == 1 else "are"
        yield f"{best.label} has the lowest times: {gained}; {', '.join(others)} {verb} not shown to be slower."


def _heat_map(overview: Overview, cut: str = "") -> Table:
    """Lay out speedups by run and workload; ``~`` marks those that are neither faster nor slower."""
    columns = [Column("run", right=False, flexible=True), *(Column(name) for name in overview.workloads)]
    many = len(overview.workloads) > 1
    columns += [Column("geometric mean"), Column("95% interval", right=False)] if many else []
    rows = []
    for run in overview.runs:
        entries = {entry.workload: entry for entry in run.entries}
        row = [Cell(run.label), *(_speedup(entries.get(name), run, overview) for name in overview.workloads)]
        if many:
            speedup, low, high = bounds(run.geomean_speedup)
            row += [Cell(units.ratio(speedup)), Cell(units.interval(low, high))]
        rows.append(row)
    notes = [cut] if cut else []
    notes.append(f"Speedup over {overview.baseline}; {UNDECIDED}: neither faster nor slower beyond the noise.")
    notes += [
        f"{run.label}: its geometric mean leaves out {', '.join(run.left_out)}."
        for run in overview.runs
        if run.left_out and many
    ]
    return Table("Speedups", columns, rows, "\n".join(notes))


def _speedup(entry: Entry | None, run: RunOverview, overview: Overview) -> Cell:
    if entry is None:
        return Cell(units.NOTHING, "dim")
    if run.label == overview.baseline:
        return Cell("1x", "dim")
    if entry.verdict is None:
        return Cell(units.NOTHING, "dim")
    verdict = verdict_cell(entry.verdict)
    mark = "" if entry.verdict in DECIDED else f"{UNDECIDED} "
    return Cell(mark + units.ratio(entry.speedup), verdict.tone)


def _workload(overview: Overview, name: str) -> Table:
    entries = [next((entry for entry in run.entries if entry.workload == name), None) for run in overview.runs]
    percentiles: dict[str, list[float | None]] = {
        title: [getattr(entry.wall, f"{title}_ns") if entry is not None else None for entry in entries]
        for title in ("p50", "p90", "p99")
    }
    # p90 and p99 are unknown with few forwards
    percentiles = {title: times for title, times in percentiles.items() if any(ns is not None for ns in times)}
    columns = [Column("run", right=False, flexible=True), *map(Column, percentiles), Column("n")]
    present = [entry for entry in entries if entry is not None]
    resources = [(title, field, show) for title, field, show in RESOURCES if any(getattr(e, field) for e in present)]
    columns += [Column(title) for title, _, _ in resources]
    columns += [Column("speedup"), Column("95% interval", right=False), Column("", right=False, verdict=True)]
    rows = []
    for place, (run, entry) in enumerate(zip(overview.runs, entries, strict=True)):
        if entry is None:
            nothing = [Cell(units.NOTHING, "dim")] * (len(percentiles) + 2 + len(resources))
            rows.append([Cell(run.label), *nothing, Cell(""), Cell("not captured", "dim")])
            continue
        verdict = verdict_cell(entry.verdict) if entry.verdict else Cell("")
        rows.append(
            [
                Cell(run.label),
                *(Cell(units.duration(times[place])) for times in percentiles.values()),
                Cell(units.count(entry.wall.n)),
                *(Cell(show(getattr(entry, field))) for _, field, show in resources),
                Cell(units.ratio(entry.speedup), verdict.tone),
                Cell(units.interval(entry.low, entry.high), verdict.tone),
                Cell("baseline", "dim") if run.label == overview.baseline else verdict,
            ]
        )
    # a saved result may say of a workload what its runs have, but not which wall time it is
    kinds = {"latency": "latency, profiler off", "profiled": "forward under the profiler", "": "wall time"}
    what = kinds[overview.walls.get(name, "")]
    return Table(f"{name}: {what}", columns, rows)


def _outputs(overview: Overview, name: str) -> Iterator[Table]:
    """Lay out how the outputs of a workload moved, if runs kept some."""
    found = {run.label: e.outputs for run in overview.runs for e in run.entries if e.workload == name and e.outputs}
    if not found:
        return
    columns = [Column("run", right=False, flexible=True), Column("cosine similarity"), Column("largest error")]
    columns += [Column("relative"), Column("top-1 agreement"), Column("", right=False, flexible=True)]
    rows = [
        [
            Cell(label),
            *map(Cell, _outputs_texts(outputs)),
            Cell("" if outputs.comparable else outputs.reason or "not comparable", "bad"),
        ]
        for label, outputs in found.items()
    ]
    yield Table(f"{name}: outputs relative to {overview.baseline}", columns, rows)


def _outputs_texts(outputs: OutputsChange) -> list[str]:
    figures = (
        (outputs.cosine_similarity, "{:.7f}"),
        (outputs.max_abs_error, "{:.2g}"),
        (outputs.relative_error, "{:.2g}"),
    )
    texts = [units.NOTHING if figure is None else form.format(figure) for figure, form in figures]
    return [*texts, units.share(outputs.top1_agreement)]


def csv_rows(overview: Overview) -> Iterator[Sequence[object]]:
    """Yield one row per run and workload; wall times in ns."""
    for run in overview.runs:
        for entry in run.entries:
            wall, figures = (
                entry.wall,
                [entry.speedup, entry.low, entry.high, entry.p_value, entry.q_value, entry.verdict],
            )
            kind = overview.walls.get(entry.workload)
            times = [wall.p50_ns, wall.p90_ns, wall.p99_ns, wall.mean_ns, wall.n, entry.rounds]
            costs = [entry.cpu_ns, entry.peak_memory_bytes]
            moved = [getattr(entry.outputs, field, None) for field in OUTPUTS_FIELDS]
            yield [run.label, entry.workload, run.torch, run.fpmath, run.mode, kind, *times, *figures, *costs, *moved]


def page(overview: Overview, selection: Selection, beside: Any = None) -> Page:
    """Lay out the selected runs. There is nothing ``beside``."""
    chosen = select(overview, selection)
    shown = document(overview, selection)
    tables: list[Block] = [block for block in shown.blocks if isinstance(block, Table)]
    words = [Paragraph(text, "strong") for text in _answers(overview)]
    words += [Paragraph(f"Warning: {text}", "bad") for text in overview.warnings]
    paths = [path for run in chosen.runs for path in run.paths]
    first = [_speedups_picture(chosen)]
    if len(chosen.workloads) > 1:
        first.append(_heatmap_picture(chosen))
    card = compare_card(overview)
    return Page(
        title=shown.title,
        answers=words,
        cards=[card] if card is not None else [],
        findings=list(finding_blocks(by_run(overview))),
        sections=[
            Section("Speedups", [*first, *tables[: len(chosen.workloads) > 1]]),
            Section("Wall times", tables[1:]),
            Section("How to reproduce it", [Code("Command", [shlex.join(["profkit", "compare", *paths])])]),
        ],
    )


def _speedups_picture(overview: Overview) -> Picture:
    mean = ", geometric mean of the workloads" if len(overview.workloads) > 1 else ""
    note = "Lines: 95% intervals; the axis is logarithmic. A hollow grey point: neither faster nor slower is shown."
    return Picture(f"Speedup over {overview.baseline}{mean}", run_speedups(overview), note)


def _heatmap_picture(overview: Overview) -> Picture:
    note = f"{UNDECIDED}: neither faster nor slower beyond the noise. Full colour from a factor of two on."
    return Picture(f"Speedup over {overview.baseline} by workload", heatmap(overview), note)


KIND = Kind(
    name="compare",
    schemas=("compare/2", "compare/1"),
    record=_record,
    rows="runs",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    upgrade=_upgrade,
    pictures={
        "speedup": _speedups_picture,
        "heatmap": _heatmap_picture,
    },
)
