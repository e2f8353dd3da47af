"""What inference costs on each machine (``cost/1``): cost per million inferences and p90, relative to the baseline."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.errors import UsageError
from profkit.report.cost_sentences import ONE_STREAM, UNVERIFIED, cost_answers, price_text
from profkit.report.document import Cell, Column, Document, Paragraph, Table, Tone, cut_note, plural
from profkit.report.figures.cost import relative_costs, relative_p90s
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Block, Code, Page, Picture, Section
from profkit.report.verdicts import verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.cost import CostEntry, CostReport, PublishedCost, Relative, RelativeCost, RunCost

CSV_HEADER = (
    "run",
    "instance_type",
    "workload",
    "published",
    "usd_per_hour",
    "price_origin",
    "price_source",
    "price_date",
    "price_verified",
    "wall",
    "batch",
    "rounds",
    "p50_ns",
    "p90_ns",
    "per_second",
    "usd_per_million",
    "usd_per_million_low",
    "usd_per_million_high",
    "relative_cost",
    "low",
    "high",
    "p_value",
    "q_value",
    "verdict",
    "relative_p90",
    "p90_low",
    "p90_high",
    "p90_verdict",
    "model_latency_ns",
)
ORDERS: dict[str, Callable[[RunCost], object]] = {
    "given": lambda run: 0,  # the order of the result
    "cost": lambda run: run.mean.relative if run.mean.relative is not None else float("inf"),
    "price": lambda run: run.price.usd_per_hour,
    "name": lambda run: run.label,
}
PUBLISHED_ORDERS: dict[str, Callable[[PublishedCost], object]] = {
    "given": lambda entry: 0,
    "cost": lambda entry: entry.usd_per_million if entry.usd_per_million is not None else float("inf"),
    "price": lambda entry: entry.usd_per_hour if entry.usd_per_hour is not None else float("inf"),
    "name": lambda entry: entry.name,
}
TONES: dict[str, Tone] = {"cheaper": "good", "more expensive": "bad"}
PUBLISHED = "published"
PUBLISHED_NOTE = (
    "published: by Amazon SageMaker Inference Recommender, not measured here. Its price per endpoint, and requests "
    "and latency at the maximum load of its test."
)


def _record() -> type[CostReport]:
    from profkit.comparison.records.cost import CostReport

    return CostReport


def select(report: CostReport, selection: Selection) -> CostReport:
    """Return ``report`` with the selected runs and published entries, by label or instance type.

    Raises UsageError if none matches.
    """
    names = [*map(_full_name, report.runs), *(entry.name for entry in report.published)]
    require_match(names, selection, "runs")
    published = choose(report.published, replace(selection, top=0), lambda entry: entry.name, PUBLISHED_ORDERS)
    return replace(report, runs=choose(report.runs, selection, _full_name, ORDERS), published=published)


def _full_name(run: RunCost) -> str:
    return run.label if run.instance_type in (None, run.label) else f"{run.label} {run.instance_type}"


def document(report: CostReport, selection: Selection, beside: Any = None) -> Document:
    """Lay out the selected runs. There is nothing ``beside``; the first sentence is about all runs."""
    every = select(report, replace(selection, top=0))
    shown = select(report, selection)
    blocks: list[Table | Paragraph] = [Paragraph(text, "strong") for text in cost_answers(report)]
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in report.warnings]
    cut = cut_note(len(every.runs), selection.top, "runs")
    for name in report.workloads:
        blocks += [_costs(shown, name, cut), _latencies(shown, name)]
    if len(report.workloads) > 1:
        blocks.append(_means(shown, cut))
    blocks.append(_prices(shown))
    return Document(f"Cost of {plural(len(every.runs), 'run')} relative to {report.baseline}", blocks)


def _entries(report: CostReport, name: str) -> list[tuple[RunCost, CostEntry | None]]:
    return [(run, next((e for e in run.entries if e.workload == name), None)) for run in report.runs]


def _machines(report: CostReport) -> bool:
    """Whether there is anything to say about machines beyond the labels."""
    return any(run.instance_type is not None and not run.label.endswith(run.instance_type) for run in report.runs)


def _who(report: CostReport) -> tuple[list[Column], Callable[[RunCost], list[Cell]]]:
    """Return the columns that name a run, and its cells in them."""
    columns = [Column("run", right=False, flexible=True)]
    if not _machines(report):
        return columns, lambda run: [Cell(run.label)]
    columns.append(Column("machine", right=False, flexible=True))
    return columns, lambda run: [Cell(run.label), Cell(run.instance_type or units.NOTHING)]


def _published_name(report: CostReport, entry: PublishedCost) -> list[Cell]:
    count = f"{entry.instances} × " if entry.instances not in (None, 1) else ""
    named = Cell(f"{count}{entry.name}")
    return [Cell("recommender", "dim"), named] if _machines(report) else [named]


def _costs(report: CostReport, name: str, cut: str) -> Table:
    who, cells = _who(report)
    columns = [*who, Column("price/hour"), Column("per second"), Column("per million"), Column("relative")]
    columns += [Column("95%", right=False), Column("", right=False, flexible=True, verdict=True)]
    rows = []
    for run, entry in _entries(report, name):
        if entry is None:
            rows.append(
                [*cells(run), Cell(price_text(run)), *[Cell(units.NOTHING, "dim")] * 3, Cell(""), _not_captured()]
            )
            continue
        rows.append(
            [
                *cells(run),
                Cell(price_text(run)),
                Cell(_rate(entry.throughput.per_second)),
                Cell(units.dollars(entry.amount.usd)),
                *_relative_cells(entry.cost, _cost_verdict(entry.cost), run.label == report.baseline),
            ]
        )
    for found in report.published:
        rate, usd = Cell(_rate(found.per_second)), Cell(units.dollars(found.usd_per_million))
        ratio = Cell(_number(found.relative))
        price = Cell(units.price(found.usd_per_hour))
        rows.append([*_published_name(report, found), price, rate, usd, ratio, Cell(""), Cell(PUBLISHED, "dim")])
    notes = [cut] if cut else []
    notes.append(f"{ONE_STREAM} per million: US dollars per million inferences; relative to {report.baseline}.")
    notes += [PUBLISHED_NOTE] if report.published else []
    return Table(f"{name}: cost of inference", columns, rows, "\n".join(notes))


def _not_captured() -> Cell:
    return Cell("not captured", "dim")


def _relative_cells(found: Relative | None, verdict: Cell, is_baseline: bool) -> list[Cell]:
    """Return a relative value, its interval and its verdict; the baseline's is 1 by definition."""
    if found is None or is_baseline:
        known = found is not None and found.relative is not None
        return [Cell("1" if known else units.NOTHING, "dim"), Cell(""), Cell("baseline" * is_baseline, "dim")]
    interval = units.interval(found.low, found.high)
    return [Cell(_number(found.relative), verdict.tone), Cell(interval, verdict.tone), verdict]


def _cost_verdict(found: RelativeCost) -> Cell:
    return Cell(found.verdict or "", TONES.get(found.verdict or "", "dim"))


def _rate(per_second: float | None) -> str:
    """Format a throughput per second: one decimal, below 10 three significant digits."""
    if per_second is None:
        return units.NOTHING
    return f"{per_second:,.1f}" if per_second >= 9.995 else f"{per_second:.3g}"


def _number(relative: float | None) -> str:
    """Format a relative value as a speedup, without its x."""
    return units.ratio(relative).removesuffix("x")


def _latencies(report: CostReport, name: str) -> Table:
    who, cells = _who(report)
    columns = [*who, Column("p50"), Column("p90"), Column("relative p90"), Column("95%", right=False)]
    columns.append(Column("", right=False, flexible=True, verdict=True))
    rows = []
    for run, entry in _entries(report, name):
        if entry is None:
            rows.append([*cells(run), *[Cell(units.NOTHING, "dim")] * 3, Cell(""), _not_captured()])
            continue
        times = [Cell(units.duration(ns)) for ns in (entry.wall.p50_ns, entry.wall.p90_ns)]
        verdict = verdict_cell(entry.p90.verdict if entry.p90 else None)
        rows.append([*cells(run), *times, *_relative_cells(entry.p90, verdict, run.label == report.baseline)])
    for entry_ in report.published:
        latency = Cell(units.duration(entry_.latency_ns))
        nothing = Cell(units.NOTHING, "dim")
        rows.append([*_published_name(report, entry_), latency, nothing, nothing, Cell(""), Cell(PUBLISHED, "dim")])
    kinds = {"latency": "latency, profiler off", "profiled": "forward under the profiler", "": "wall time"}
    notes = [f"{report.p90_missing}."] if report.p90_missing else []
    notes += ["published: its ModelLatency; which percentile it is, is not documented."] if report.published else []
    return Table(f"{name}: {kinds[report.walls.get(name, '')]}", columns, rows, "\n".join(notes))


def _means(report: CostReport, cut: str) -> Table:
    who, cells = _who(report)
    columns = [*who, Column("relative cost"), Column("95%", right=False)]
    columns.append(Column("", right=False, flexible=True, verdict=True))
    rows = [
        [*cells(run), *_relative_cells(run.mean, _cost_verdict(run.mean), run.label == report.baseline)]
        for run in report.runs
    ]
    over = f"Over {', '.join(report.shared)}." if report.shared else "The runs have no workload in common."
    return Table("Geometric mean of relative costs", columns, rows, "\n".join([cut, over] if cut else [over]))


def _prices(report: CostReport) -> Table:
    """Lay out where each price is from; runs of one machine and price are one row."""
    columns = [Column("machine", right=False, flexible=True), Column("price/hour"), Column("date", right=False)]
    columns.append(Column("from", right=False, flexible=True))
    origins = {"--price": "--price", "--prices": "price file", "manifest": "manifest", "profkit": "profkit's table"}
    rows: dict[tuple[str, ...], list[Cell]] = {}
    for run in report.runs:
        price = run.price
        origin = origins[price.origin]
        source = f"{origin}: {price.source}" if price.source and price.origin != "--price" else origin
        texts = (run.instance_type or run.label, price_text(run), price.date or units.NOTHING, source)
        tone: Tone = "plain" if price.verified else "bad"
        rows[texts] = [Cell(texts[0]), Cell(texts[1], tone), Cell(texts[2]), Cell(texts[3], tone)]
    unverified = any(not run.price.verified for run in report.runs)
    note = (
        f"{UNVERIFIED}: not checked against the source that sets the price; --price replaces it." if unverified else ""
    )
    return Table("Prices, US dollars per hour", columns, list(rows.values()), note)


def csv_rows(report: CostReport) -> Iterator[Sequence[object]]:
    """Yield one row per run and workload, then one per published entry; times in ns, money in US dollars."""
    for run in report.runs:
        price = run.price
        for entry in run.entries:
            cost, p90, amount = entry.cost, entry.p90, entry.amount
            yield [
                *(run.label, run.instance_type, entry.workload, None),
                *(price.usd_per_hour, price.origin, price.source, price.date, price.verified),
                *(report.walls.get(entry.workload), entry.batch, entry.rounds, entry.wall.p50_ns, entry.wall.p90_ns),
                *(entry.throughput.per_second, amount.usd, amount.low, amount.high),
                *(cost.relative, cost.low, cost.high, cost.p_value, cost.q_value, cost.verdict),
                *((p90.relative, p90.low, p90.high, p90.verdict) if p90 else [None] * 4),
                None,
            ]
    for found in report.published:
        row: dict[str, object] = dict.fromkeys(CSV_HEADER)
        row |= {"run": "recommender", "instance_type": found.name, "published": "recommender"}
        row |= {"workload": report.workloads[0] if report.workloads else None, "usd_per_hour": found.usd_per_hour}
        row |= {"per_second": found.per_second, "usd_per_million": found.usd_per_million}
        row |= {"relative_cost": found.relative, "model_latency_ns": found.latency_ns}
        yield list(row.values())


def page(report: CostReport, selection: Selection, beside: Any = None) -> Page:
    """Lay out the selected runs. There is nothing ``beside``."""
    chosen, shown = select(report, selection), document(report, selection)
    tables: list[Block] = [block for block in shown.blocks if isinstance(block, Table)]
    words = [block for block in shown.blocks if isinstance(block, Paragraph)]
    first: list[Block] = [_cost_picture(chosen)]
    first += [_p90_picture(chosen)] if _has_p90(chosen) else []
    sections = [Section("Relative to the baseline", first), Section("Figures", tables)]
    sections.append(Section("How to reproduce it", [Code("Command", [_command(chosen)])]))
    return Page(title=shown.title, answers=words, sections=sections)


def _command(report: CostReport) -> str:
    paths = [path for run in report.runs for path in run.paths]
    given = [run for run in report.runs if run.price.origin in ("--price", "--prices")]
    prices = [word for run in given for word in ("--price", f"{run.label}={run.price.usd_per_hour:.12g}")]
    return shlex.join(["profkit", "cost", *paths, *prices])


def _cost_picture(report: CostReport) -> Picture:
    note = "95% intervals; the price has none. Grey: the same, or cannot tell."
    note += " Diamonds: published by the recommender." if report.published else ""
    note += f" *: {UNVERIFIED} price." if any(not run.price.verified for run in report.runs) else ""
    return Picture("Relative cost per million inferences", relative_costs(report), note)


def _has_p90(report: CostReport) -> bool:
    return any(entry.p90 is not None for run in report.runs for entry in run.entries)


def _p90_picture(report: CostReport) -> Picture:
    if not _has_p90(report):
        reason = report.p90_missing or "no selected run has one"
        raise UsageError(f"there is no p90 to draw: {reason}")
    return Picture("Relative p90 latency", relative_p90s(report), "95% intervals. Grey: the same, or cannot tell.")


KIND = Kind(
    name="cost",
    schemas=("cost/1",),
    record=_record,
    rows="runs",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"cost": _cost_picture, "p90": _p90_picture},
)
