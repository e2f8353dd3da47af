"""Throughput and latency of a workload under load (``load/1``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, Tone, cut_note, plural
from profkit.report.figures.load import load_curve
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Block, Page, Picture, Section

if TYPE_CHECKING:
    from profkit.comparison.records.load import Arrivals, Load, LoadAnswer, LoadPoint, LoadQuantile

CSV_HEADER = (
    "point",
    "arrivals",
    "processes",
    "threads",
    "rate_per_s",
    "status",
    "requests",
    "throughput_per_s",
    "throughput_low",
    "throughput_high",
    "mean_ns",
    *(f"{name}_{part}" for name in ("p50", "p90", "p99") for part in ("ns", "low_ns", "high_ns")),
    "utilisation",
    "unserved",
    "dispatch_ns",
    "peak_memory_bytes",
    "limit",
    "gain",
    "gain_low",
    "gain_high",
    "reason",
)
ORDERS: dict[str, Callable[[LoadPoint], object]] = {
    "load": lambda p: 0,  # the order of the result
    "throughput": lambda p: -(p.throughput.value if p.throughput is not None else 0.0),
    "name": lambda p: p.name,
}
QUANTILES = ("p50", "p90", "p99")
LOOPS: dict[Arrivals, str] = {"closed": "Closed loop", "poisson": "Open loop"}
TONES: dict[str | None, Tone] = {"within": "good", "exceeds": "bad", "cannot tell": "plain", None: "plain"}
LEGEND = (
    "Level: processes × threads. Per s: answered requests per second. Memory: of all processes, shared pages in each.",
    "95%: confidence interval, Student's t over the slices of a point. It covers how the machine drifts, not how fresh "
    "processes differ.",
)
LEGENDS: dict[Arrivals, str] = {
    "closed": "Gain: throughput over that with the next fewer processes.",
    "poisson": "Busy: share of time in which a process serves; from 100% on the queue grows without bound. Latency "
    "counts from the arrival, so that waiting is part of it.",
}


def _record() -> type[Load]:
    from profkit.comparison.records.load import Load

    return Load


def select(load: Load, selection: Selection) -> Load:
    """Return ``load`` with the selected points; raises UsageError if no name matches."""
    require_match((p.name for p in load.points), selection, "points")
    return replace(load, points=choose(load.points, selection, lambda p: p.name, ORDERS))


def document(load: Load, selection: Selection, beside: Any = None) -> Document:
    """Lay out what the points say, and a table per kind of arrivals. There is nothing ``beside``."""
    every, shown = select(load, replace(selection, top=0)).points, select(load, selection).points
    blocks: list[Table | Paragraph] = [*_answers(load)]
    tables = [_table(load, shown, arrivals) for arrivals in LOOPS]
    found = [table for table in tables if table.rows]
    kinds = [arrivals for arrivals in LEGENDS if any(p.arrivals == arrivals for p in shown)]
    legends = [LEGEND[0], *(LEGENDS[arrivals] for arrivals in kinds), LEGEND[1]]
    notes = [cut_note(len(every), selection.top, "points"), *_needs(shown), *legends]
    if found:
        found[-1] = replace(found[-1], note="\n".join(note for note in notes if note))
    return Document(_title(load), [*blocks, *found])


def _title(load: Load) -> str:
    torch = f" (PyTorch {load.torch.version})" if load.torch is not None else ""
    batch = f", batches of {load.batch}" if load.batch > 1 else ""
    return f"{load.workload} under load: {load.label}{torch}{batch}, {plural(load.cores, 'core')} of {load.host.cpu}"


def _answers(load: Load) -> Iterator[Paragraph]:
    """Yield what the points say: the best, the knee, then what went wrong."""
    points = {p.name: p for p in load.points}
    for answer in load.answers:
        yield Paragraph(_best(load, answer, points), "strong" if answer.outcome == "shown" else "bad")
        if answer.knee is not None:
            yield Paragraph(_knee(answer))
    for point in load.points:
        if point.gain is not None and point.gain.verdict == "slower":
            yield Paragraph(f"{point.name}: {_falls(point)}", "bad")
        if point.status in ("failed", "left out", "overloaded", "uncertain"):
            words = {"left out": "is left out", "uncertain": "may be overloaded", "overloaded": "is overloaded"}
            yield Paragraph(f"{point.name} {words.get(point.status, point.status)}: {point.reason}.", "bad")
    if not load.complete:
        yield Paragraph("Interrupted: points have fewer slices than asked for, or are missing.", "bad")
    for text in load.warnings:
        yield Paragraph(f"Warning: {text}.", "bad")


def _best(load: Load, answer: LoadAnswer, points: dict[str, LoadPoint]) -> str:
    """Say which point has the best throughput, within the limit if there is one."""
    loop, limit = LOOPS[answer.arrivals], load.latency_limit
    within = f" within {limit.text}" if limit is not None else ""
    best = points.get(answer.best or "")
    if best is not None:
        text = f"{loop}: the best throughput{within} is {_throughput(best)} requests/s on {_level(best)}"
        if limit is not None:
            text += f", {limit.quantile} {_time(getattr(best, limit.quantile))}"
        others = [f"{name} is not shown to be lower" for name in answer.not_lower]
        return "; ".join([text, *others, *_undecided(load, answer)]) + "."
    if answer.best is not None:  # a saved result of selected points
        return f"{loop}: the best throughput{within} is that of {answer.best}."
    if answer.outcome == "cannot tell":
        return f"{loop}: " + "; ".join(_undecided(load, answer)) + "."
    return f"{loop}: no point is{within or ' valid'}."


def _undecided(load: Load, answer: LoadAnswer) -> list[str]:
    """Say of which points the data cannot tell whether they are within the limit."""
    if not answer.undecided or load.latency_limit is None:
        return []
    return [f"the data cannot tell whether {load.latency_limit.text} holds at {', '.join(answer.undecided)}"]


def _knee(answer: LoadAnswer) -> str:
    text = f"{LOOPS[answer.arrivals]}: the knee, where throughput / mean latency is largest, is at {answer.knee}"
    if answer.knee_not_lower:
        text += f"; not distinguished from {', '.join(answer.knee_not_lower)}"
    return text + "."


def _falls(point: LoadPoint) -> str:
    """Say by how much throughput falls at a point, compared with the one with fewer processes."""
    gain = point.gain
    assert gain is not None
    if gain.speedup is None or gain.low is None or gain.high is None:
        return "throughput falls compared with fewer processes."
    drop, low, high = (100 * (1 - value) for value in (gain.speedup, gain.high, gain.low))
    return f"throughput falls by {drop:.1f}% [{low:.1f}, {high:.1f}] compared with the next fewer processes."


def _level(point: LoadPoint) -> str:
    processes = f"{point.processes} process{'es' * (point.processes != 1)}"
    return f"{processes} × {plural(point.threads, 'thread')}"


def _throughput(point: LoadPoint) -> str:
    found = point.throughput
    if found is None:
        return units.NOTHING
    low, high = found.low, found.high
    return f"{found.value:.3g}" + ("" if low is None or high is None else f" [{low:.3g}, {high:.3g}]")


def _time(found: LoadQuantile) -> str:
    return f"{units.duration(found.value_ns)} {_interval(found)}".rstrip()


def _interval(found: LoadQuantile) -> str:
    """Return the bounds of a quantile, in the unit that suits each."""
    if found.interval is None:
        return ""
    return f"[{units.duration(found.interval.low_ns)}, {units.duration(found.interval.high_ns)}]"


def _needs(points: Sequence[LoadPoint]) -> Iterator[str]:
    """Yield what the quantiles need that some point lacks."""
    for name in QUANTILES:
        lacking = [p for p in points if p.requests and p.status != "overloaded" and getattr(p, name).value_ns is None]
        if lacking:
            needed: LoadQuantile = getattr(lacking[0], name)
            yield (
                f"{name} takes {needed.needed} requests, and {needed.needed_per_slice} in every slice: measure longer "
                "with --duration."
            )


def _table(load: Load, points: Sequence[LoadPoint], arrivals: Arrivals) -> Table:
    """Lay out the points of one kind of arrivals; columns that no point fills are left out."""
    rows = [p for p in points if p.arrivals == arrivals]
    names = [name for name in QUANTILES if name == "p50" or any(getattr(p, name).value_ns is not None for p in rows)]
    columns = [Column("level")] if arrivals == "closed" else [Column("rate"), Column("busy")]
    columns += [Column("requests", spare=True), Column("per s"), Column("95%", right=False)]
    for name in names:
        columns += [Column(name), Column("95%", right=False, spare=True)]
    columns += [Column("memory")]
    if arrivals == "closed":
        columns += [Column("gain", spare=True), Column("95%", right=False, spare=True)]
    columns.append(Column("limit" if load.latency_limit is not None else "", right=False, verdict=True))
    cells = [_row(p, names) for p in rows]
    title = LOOPS[arrivals] if arrivals == "closed" or not rows else f"{LOOPS[arrivals]} on {_level(rows[0])}"
    return Table(title, columns, cells)


def _row(point: LoadPoint, names: Sequence[str]) -> list[Cell]:
    found, gain = point.throughput, point.gain
    known = found is not None and found.low is not None and found.high is not None
    first = [Cell(point.name)]
    if point.arrivals != "closed":
        busy = point.utilisation.value if point.utilisation is not None else None
        rate = units.NOTHING if point.rate_per_s is None else f"{point.rate_per_s:g}/s"
        first = [Cell(rate), Cell(units.share(busy))]
    cells = [
        *first,
        Cell(str(point.requests)),
        Cell(units.NOTHING if found is None else f"{found.value:.3g}"),
        Cell(f"[{found.low:.3g}, {found.high:.3g}]" if found is not None and known else ""),
    ]
    for name in names:
        quantile: LoadQuantile = getattr(point, name)
        cells += [Cell(units.duration(quantile.value_ns)), Cell(_interval(quantile))]
    cells.append(Cell(units.size(point.peak_memory_bytes)))
    if point.arrivals == "closed":
        ratio = (None, None, None) if gain is None else (gain.speedup, gain.low, gain.high)
        tone: Tone = "bad" if gain is not None and gain.verdict == "slower" else "plain"
        cells += [Cell(units.ratio(ratio[0]), tone), Cell(units.interval(ratio[1], ratio[2]), tone)]
    if point.status != "measured":
        return [*cells, Cell(point.status, "bad")]
    return [*cells, Cell(point.limit or "", TONES[point.limit])]


def csv_rows(load: Load) -> Iterator[Sequence[object]]:
    """Yield one row per point; times in ns, throughputs per second."""
    for p in load.points:
        found, gain = p.throughput, p.gain
        throughput = (None, None, None) if found is None else (found.value, found.low, found.high)
        times: list[float | None] = []
        for name in QUANTILES:
            quantile: LoadQuantile = getattr(p, name)
            interval = quantile.interval
            times += [quantile.value_ns, *((None, None) if interval is None else (interval.low_ns, interval.high_ns))]
        yield [
            *(p.name, p.arrivals, p.processes, p.threads, p.rate_per_s, p.status, p.requests),
            *throughput,
            p.mean.value if p.mean is not None else None,
            *times,
            p.utilisation.value if p.utilisation is not None else None,
            *(p.unserved, p.dispatch_ns, p.peak_memory_bytes, p.limit),
            *((None, None, None) if gain is None else (gain.speedup, gain.low, gain.high)),
            p.reason,
        ]


def _picture(load: Load) -> Picture:
    note = (
        "Bars: 95% intervals. In the closed loop a point is processes × threads, in the open loop a rate of arrivals."
    )
    return Picture(f"{load.workload}: latency over throughput", load_curve(load), note)


def page(load: Load, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``, with the curve."""
    shown = document(load, selection)
    words = [block for block in shown.blocks if isinstance(block, Paragraph)]
    tables: list[Block] = [block for block in shown.blocks if isinstance(block, Table)]
    sections = [Section("Curve", [_picture(select(load, selection))]), Section("Points", tables)]
    return Page(shown.title, words, sections)


KIND = Kind(
    name="load",
    schemas=("load/1",),
    record=_record,
    rows="points",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"load": _picture},
)
