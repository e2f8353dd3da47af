"""A comparison as a text report: the answer, differences, wall times, attribution of the change, operators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, Tone, cut_note, plural
from profkit.report.figures.waterfall import draw, steps
from profkit.report.findings import by_workload, finding_blocks, paragraphs_of
from profkit.report.kinds.diff.primitives import primitive_changes
from profkit.report.kinds.diff.resources import resources_table
from profkit.report.kinds.diff.rows import select_operators
from profkit.report.kinds.kind import Selection
from profkit.report.sentences import answers, attribution_note, attribution_title
from profkit.report.verdicts import INTERVAL_LEGEND, LEGEND, bounds, fpmath_paragraph, verdict_cell
from profkit.shortening import listed

if TYPE_CHECKING:
    from profkit.comparison.records.diff import (
        Comparison,
        Difference,
        ImplementationChange,
        OperatorChange,
        Side,
        WorkloadChange,
    )
    from profkit.comparison.records.parts import Judged

PRIMITIVES = 8  # changed primitives in the report unless all are asked for: the operators are the main table
LONGEST_VALUE = 40  # characters of a value in the table of differences, where two must fit beside each other
MOSTLY_PROFILER = 0.5  # of an operator's self time: above this the operator's own work is the smaller part
PROFILER_MARK = "†"
TOTAL_MARK = "‡"
PROFILER_LEGEND = f"{PROFILER_MARK} about half or more of this time is profiler overhead."


def document(comparison: Comparison, selection: Selection, beside: Any = None) -> Document:
    """Lay out ``comparison``; ``selection`` picks and orders the operators. There is nothing ``beside``."""
    before, after = comparison.baseline, comparison.candidate
    blocks: list[Table | Paragraph] = [Paragraph(text, "strong") for text in answers(comparison)]
    blocks += paragraphs_of(finding_blocks(by_workload(comparison)))
    if comparison.gates:
        blocks.append(gates_table(comparison))
    blocks.append(differences_table(comparison))
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in comparison.warnings]
    for workload in comparison.workloads:
        blocks += _workload(workload, before.label, after.label, selection)
    return Document(f"{before.label} → {after.label}", blocks)


def gates_table(comparison: Comparison) -> Table:
    """Lay out the outcome of each gate."""
    columns = [
        Column("gate", right=False),
        Column("found", right=False, flexible=True),
        Column("outcome", right=False, verdict=True),
    ]
    outcomes = {"failed": Cell("FAILED", "bad"), "passed": Cell("passed", "good")}
    rows = [
        [Cell(gate.rule), Cell(gate.found), outcomes.get(gate.outcome, Cell(gate.outcome, "dim"))]
        for gate in comparison.gates
    ]
    return Table("Gates", columns, rows)


def differences_table(comparison: Comparison) -> Table:
    """Lay out the differences between the configurations."""
    columns = [
        Column("configuration", right=False),
        Column(comparison.baseline.label, right=False, flexible=True),
        Column(comparison.candidate.label, right=False, flexible=True),
        Column("difference", right=False, verdict=True),
    ]
    rows = [_difference(d) for d in comparison.differences]
    if rows:
        return Table("What differs", columns, rows)
    known = comparison.baseline.fpmath is not None and comparison.candidate.fpmath is not None
    note = "the configurations are the same" if known else "a side has no manifest: its configuration is unknown"
    return Table("What differs", columns, [], note)


def _difference(difference: Difference) -> list[Cell]:
    name = difference.field if difference.workload is None else f"{difference.field} ({difference.workload})"
    mark = Cell("expected", "dim") if difference.expected else Cell("UNEXPECTED", "bad")
    return [Cell(name), *(Cell(_short(v)) for v in (difference.baseline, difference.candidate)), mark]


def _short(value: str | None) -> str:
    if value is None:
        return units.NOTHING
    return value if len(value) <= LONGEST_VALUE else value[:12] + "…"


def _workload(change: WorkloadChange, left: str, right: str, selection: Selection) -> Iterator[Table | Paragraph]:
    yield wall_times_table(change, left, right)
    yield from resources_table(change, left, right)
    yield attribution_table(change, left, right)
    if change.implementations:
        yield implementations_table(change, left, right)
    if any(u.total_host_ns for u in change.unpaired):
        yield unpaired_paragraph(change, left, right)
    if change.primitives is not None:
        yield from primitive_changes(change.name, change.primitives, left, right, selection.top and PRIMITIVES)
    for verdict in change.fpmath:
        yield fpmath_paragraph(verdict, f"{change.name}: ")
    yield _operators(change, left, right, selection)


def wall_times_table(change: WorkloadChange, left: str, right: str) -> Table:
    """Lay out the wall times of both sides."""
    columns = [Column(t, right=bool(t), flexible=not t) for t in ("", left, right, "speedup")]
    columns += [Column("95% interval", right=False), Column("", right=False, verdict=True)]
    rows = []
    if (latency := change.latency) is not None:
        a, b = latency.baseline, latency.candidate
        rows.append(_timing("latency p50, profiler off", a.p50_ns, b.p50_ns, latency))
        if latency.p90 is not None:
            rows.append(_timing("latency p90", a.p90_ns, b.p90_ns, latency.p90))
        if latency.p99 is not None:
            rows.append(_timing("latency p99", a.p99_ns, b.p99_ns, latency.p99))
    forward = change.forward
    name = f"forward, profiled ({forward.rule})"
    rows.append(_timing(name, forward.baseline_ns, forward.candidate_ns, forward))
    return Table(f"{change.name}: wall time of one forward", columns, rows, _outputs(change))


def _timing(what: str, before: float | None, after: float | None, found: Judged) -> list[Cell]:
    last = verdict_cell(found.verdict)
    speedup, low, high = bounds(found)
    return [
        Cell(what),
        Cell(units.duration(before)),
        Cell(units.duration(after)),
        Cell(units.ratio(speedup), last.tone),
        Cell(units.interval(low, high), last.tone),
        last,
    ]


def _outputs(change: WorkloadChange) -> str:
    outputs = change.outputs
    if outputs is None:
        return ""
    if not outputs.finite:
        return "outputs: a side has NaN or infinity"
    if not outputs.comparable or outputs.cosine_similarity is None:
        return f"outputs not comparable: {outputs.reason or 'the reason was not saved'}"
    parts = [f"cosine similarity {outputs.cosine_similarity:.7f}"]
    if outputs.max_abs_error is not None:
        relative = f" ({outputs.relative_error:.2g} of the largest output)" if outputs.relative_error else ""
        parts.append(f"largest error {outputs.max_abs_error:.2g}{relative}")
    if outputs.top1_agreement is not None:
        parts.append(f"top-1 agreement {units.share(outputs.top1_agreement)}")
    return f"outputs: {', '.join(parts)}"


def attribution_table(change: WorkloadChange, left: str, right: str) -> Table:
    """Lay out the difference of the mean forwards as a waterfall; the rows add up to it."""
    whole = change.attribution.forward_delta_ns
    parts = steps(change)
    bars = draw(parts)
    rows = []
    for place, (step, bar) in enumerate(zip(parts, bars, strict=True)):
        is_end = place in (0, len(parts) - 1)
        tone: Tone = "plain" if is_end else "good" if step.delta_ns < 0 else "bad" if step.delta_ns > 0 else "plain"
        name = f"{(left, right)[place > 0]}, mean forward" if is_end else step.name
        figure = units.duration(step.end_ns) if is_end else units.signed_duration(step.delta_ns)
        share = "" if is_end else units.share(step.delta_ns / whole if whole else None)
        rows.append([Cell(name), Cell(figure), Cell(share), Cell(bar, tone)])
    title = f"{change.name}: {attribution_title(change)} of the mean forward, profiled ({units.signed_duration(whole)})"
    columns = [Column("", right=False, flexible=True), Column("part"), Column("share")]
    return Table(title, [*columns, Column("", right=False, drawing=True)], rows, attribution_note(change))


def implementations_table(change: WorkloadChange, left: str, right: str) -> Table:
    """Lay out the operators that do their work by calling other operators than before."""
    columns = [
        Column("operator: calls before → after", right=False, flexible=True),
        Column("calls"),
        Column(left),
        Column(right),
        Column("speedup"),
    ]
    return Table(
        f"{change.name}: changed implementations", columns, [_implementation(i) for i in change.implementations]
    )


def _implementation(found: ImplementationChange) -> list[Cell]:
    return [
        Cell(f"{found.operator}: {_paths(found)}"),
        Cell(units.count(found.calls)),
        Cell(units.duration(found.baseline.total_host_ns)),
        Cell(units.duration(found.candidate.total_host_ns)),
        Cell(units.ratio(found.speedup)),
    ]


def _paths(found: ImplementationChange) -> str:
    """Return which operators do the work before and after; ``itself`` if the operator does."""
    return " → ".join(" > ".join(side.path) or "itself" for side in (found.baseline, found.candidate))


def unpaired_paragraph(change: WorkloadChange, left: str, right: str) -> Paragraph:
    """Name the calls without a counterpart on the other side."""
    sides = []
    for label, side in ((left, "baseline"), (right, "candidate")):
        alone = [u for u in change.unpaired if u.side == side and u.total_host_ns]
        named = [f"{u.calls} × {u.name} ({units.duration(u.total_host_ns)})" for u in alone[:4]]
        if len(alone) > 4:
            named.append(f"{sum(u.calls for u in alone[4:])} other calls")
        if named:
            sides.append(f"in {label} {', '.join(named)}")
    return Paragraph(
        f"{change.name}: calls without a counterpart on the other side, fused into others or no longer made: "
        f"{'; '.join(sides)}."
    )


def _operators(change: WorkloadChange, left: str, right: str, selection: Selection) -> Table:
    columns = [
        Column("operator", right=False, flexible=True),
        Column("calls", spare=True),
        Column(left),
        Column(right),
        Column("speedup"),
        Column("95%", right=False),
        Column("change"),
        Column("", right=False, verdict=True),
    ]
    every = select_operators(change.operators, replace(selection, top=0))
    shown = every[: selection.top or None]
    note = cut_note(len(every), selection.top, "operators")
    sides = f"{forwards_of(change.baseline)}, {forwards_of(change.candidate)}"
    title = f"{change.name}: self host time per forward ({sides})"
    notes = [*([note] if note else []), *legend(shown, change.implementations), *partners(shown, left, right)]
    return Table(title, columns, [_operator(o) for o in shown], "\n".join(notes))


def legend(shown: Sequence[OperatorChange], implementations: Sequence[ImplementationChange]) -> Iterator[str]:
    """Yield a line for each mark in a table of these operators, and how each one judged on its total time changed."""
    verdicts = {o.verdict for o in shown}
    if any(o.low is not None for o in shown):
        yield INTERVAL_LEGEND
    yield from (text for verdict, text in LEGEND.items() if verdict in verdicts)
    if any(mostly_profiler(o) for o in shown):
        yield PROFILER_LEGEND
    names = {o.name for o in shown if o.judged_on == "total"}
    if names:
        moved = [f"{i.operator} ({_paths(i)})" for i in implementations if i.operator in names]
        yield (
            f"{TOTAL_MARK} total host time, which includes the called operators, because different operators do this "
            f"work{': ' * bool(moved)}{', '.join(moved)}. Do not add the rows of those operators to it."
        )


def partners(shown: Sequence[OperatorChange], left: str, right: str) -> Iterator[str]:
    """Yield, for each operator that does the work of another or lost it, which one; and since when PyTorch has it.

    First come the operators that torch.compile numbers: which names are compared under one.
    """
    yield from dict.fromkeys(_numbered(o, left, right) for o in shown if o.baseline_names)
    on_total = {o.name for o in shown if o.judged_on == "total"}
    for o in shown:
        if o.paired_with is not None and o.baseline and o.candidate:
            yield f"{o.name}: {o.paired_with} does a part of its work on one side, so its times are not compared."
        elif o.paired_with in on_total:
            where = right if o.baseline else left
            yield f"{o.name}: its work is done by {o.paired_with} in {where}, and counted in that row {TOTAL_MARK}."
        elif o.paired_with is not None:
            yield f"{o.name} is replaced by {o.paired_with}." if o.baseline else f"{o.name} replaces {o.paired_with}."
        elif o.since is not None:
            yield f"PyTorch {o.since} and later call {o.name} here."


def _numbered(change: OperatorChange, left: str, right: str) -> str:
    before, after = listed(change.baseline_names), listed(change.candidate_names)
    return (
        f"{change.name}: paired although torch.compile numbers its names differently: {before} in {left}, {after} in "
        f"{right}."
    )


def mostly_profiler(change: OperatorChange) -> bool:
    """Whether about half or more of an operator's self time on a side is profiler overhead, if that time is judged."""
    return change.judged_on == "self" and any(
        (s.profiler_share or 0) >= MOSTLY_PROFILER for s in (change.baseline, change.candidate) if s
    )


def forwards_of(side: Side) -> str:
    """Say how many forwards and rounds a side has."""
    return f"{plural(side.forwards, 'forward')} in {plural(side.rounds, 'round')}"


def operator_label(change: OperatorChange) -> str:
    """Return an operator's name and place as its row shows them, with the marks that the legend explains."""
    marks = (TOTAL_MARK,) if change.judged_on == "total" else (PROFILER_MARK,) if mostly_profiler(change) else ()
    return " ".join([f"{change.name} {change.place or ''}".rstrip(), *marks])


def _operator(change: OperatorChange) -> list[Cell]:
    before, after = change.baseline, change.candidate
    calls = [units.count(side.calls if side else None) for side in (before, after)]
    verdict = verdict_cell(change.verdict)
    return [
        Cell(operator_label(change)),
        Cell(calls[0] if calls[0] == calls[1] else " → ".join(calls)),
        *(Cell(units.duration(ns)) for ns in change.judged_ns),
        Cell(units.ratio(change.speedup), verdict.tone),
        Cell(units.interval(change.low, change.high), verdict.tone),
        Cell(units.signed_duration(change.delta_ns)),
        verdict,
    ]
