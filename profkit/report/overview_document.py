"""Many runs side by side as a document: a heat map of speedups, and every wall time."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.compare.records.many import Entry, Overview, RunOverview
from profkit.report.diff_document import verdict_cell
from profkit.report.document import Cell, Column, Document, Paragraph, Table
from profkit.report.sentences import estimate

NOT_SHOWN = "~"


def overview_document(overview: Overview) -> Document:
    """Lay out ``overview``."""
    blocks: list[Table | Paragraph] = [Paragraph(text, "strong") for text in _answers(overview)]
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in overview.warnings]
    blocks.append(_heat_map(overview))
    blocks += [_workload(overview, name) for name in overview.workloads]
    return Document(f"{len(overview.runs)} runs relative to {overview.baseline}", blocks)


def _answers(overview: Overview) -> Iterator[str]:
    if not [r for r in overview.runs if r.geomean_speedup.speedup is not None and r.label != overview.baseline]:
        yield f"No other run has a workload of {overview.baseline}."
        return
    if overview.baseline in overview.fastest:
        yield f"No run is shown to be faster than {overview.baseline}."
        return
    best = next(run for run in overview.runs if run.label == overview.fastest[0])
    count = len(overview.workloads) - len(best.left_out)
    what = f" over {count} workload{'s' * (count != 1)}" if len(overview.workloads) > 1 else ""
    gained = f"{estimate(best.geomean_speedup)} relative to {overview.baseline}{what}"
    others = overview.fastest[1:]
    if not others:
        yield f"{best.label} is the fastest: {gained}."
    else:
        verb = "is" if len(others) == 1 else "are"
        yield f"{best.label} has the lowest times: {gained}; {', '.join(others)} {verb} not shown to be slower."


def _heat_map(overview: Overview) -> Table:
    """Lay out speedups by run and workload; ``~`` marks those that noise may have made."""
    columns = [Column("run", right=False, flexible=True), *(Column(name) for name in overview.workloads)]
    many = len(overview.workloads) > 1
    columns += [Column("geometric mean"), Column("95% interval", right=False)] if many else []
    rows = []
    for run in overview.runs:
        entries = {entry.workload: entry for entry in run.entries}
        row = [Cell(run.label), *(_speedup(entries.get(name), run, overview) for name in overview.workloads)]
        if many:
            mean = run.geomean_speedup
            row += [Cell(units.ratio(mean.speedup)), Cell(units.interval(mean.low, mean.high))]
        rows.append(row)
    notes = [f"Speedup over {overview.baseline}; {NOT_SHOWN}: no change is shown beyond the noise."]
    notes += [
        f"{run.label}: its geometric mean is without {', '.join(run.left_out)}."
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
    mark = "" if entry.verdict in ("faster", "slower") else f"{NOT_SHOWN} "
    return Cell(mark + units.ratio(entry.speedup), verdict.tone)


def _workload(overview: Overview, name: str) -> Table:
    columns = [Column("run", right=False, flexible=True), Column("p50"), Column("p90"), Column("p99"), Column("n")]
    columns += [Column("speedup"), Column("95% interval", right=False), Column("", right=False)]
    rows = []
    for run in overview.runs:
        entry = next((entry for entry in run.entries if entry.workload == name), None)
        if entry is None:
            rows.append([Cell(run.label), *([Cell(units.NOTHING, "dim")] * 5), Cell(""), Cell("not captured", "dim")])
            continue
        verdict = verdict_cell(entry.verdict) if entry.verdict else Cell("")
        wall = entry.wall
        rows.append(
            [
                Cell(run.label),
                *(Cell(units.duration(ns)) for ns in (wall.p50_ns, wall.p90_ns, wall.p99_ns)),
                Cell(units.count(wall.n)),
                Cell(units.ratio(entry.speedup), verdict.tone),
                Cell(units.interval(entry.low, entry.high), verdict.tone),
                Cell("baseline", "dim") if run.label == overview.baseline else verdict,
            ]
        )
    what = "latency, profiler off" if overview.walls[name] == "latency" else "forward under the profiler"
    return Table(f"{name}: {what}", columns, rows)
