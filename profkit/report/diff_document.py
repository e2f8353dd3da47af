"""A comparison as a document: the configurations' differences, the forward, the latency, the operators."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.compare.records import Comparison, Difference, OperatorChange, Side, Verdict, WorkloadChange
from profkit.report.document import Cell, Column, Document, Paragraph, Table, Tone, cut
from profkit.report.selection import Selection, select_changes

_TONES: dict[Verdict, Tone] = {"faster": "good", "slower": "bad", "same": "dim", "unresolved": "dim"}
_WORDS: dict[Verdict, str] = {"same": "~ same", "unresolved": "~ clock"}
_LEGEND = {
    "same": "~ same: the rounds of both sides overlap.",
    "unresolved": "~ clock: less than the trace's clock resolves over that many calls.",
}


RESPONSIBLE = 5  # operators named among those responsible


def diff_document(comparison: Comparison, selection: Selection) -> Document:
    """Lay out ``comparison``; ``selection`` picks and orders the operators."""
    before, after = comparison.baseline, comparison.candidate
    blocks: list[Table | Paragraph] = [_differences(comparison)]
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in comparison.warnings]
    for workload in comparison.workloads:
        blocks += _workload(workload, before.label, after.label, selection)
    if len(comparison.workloads) > 1:
        mean = units.ratio(comparison.geomean_speedup.value)
        blocks.append(Paragraph(f"Geometric mean over {len(comparison.workloads)} workloads: {mean}", "strong"))
    return Document(f"{before.label} → {after.label}", blocks)


def _differences(comparison: Comparison) -> Table:
    columns = [
        Column("configuration", right=False),
        Column(comparison.baseline.label, right=False, flexible=True),
        Column(comparison.candidate.label, right=False, flexible=True),
        Column("", right=False),
    ]
    rows = [_difference(d) for d in comparison.differences]
    if rows:
        return Table("What differs", columns, rows)
    known = comparison.baseline.fpmath is not None and comparison.candidate.fpmath is not None
    note = "no difference between the configurations" if known else "no manifest on a side: configurations unknown"
    return Table("What differs", columns, [], note)


def _difference(difference: Difference) -> list[Cell]:
    name = difference.field if difference.workload is None else f"{difference.field} ({difference.workload})"
    mark = Cell("expected", "dim") if difference.expected else Cell("UNEXPECTED", "bad")
    return [Cell(name), *(Cell(_short(v)) for v in (difference.baseline, difference.candidate)), mark]


def _short(value: str | None) -> str:
    if value is None:
        return units.NOTHING
    return value if len(value) <= 40 else value[:12] + "…"


def _workload(change: WorkloadChange, left: str, right: str, selection: Selection) -> Iterator[Table | Paragraph]:
    columns = [Column(t, right=bool(t), flexible=not t) for t in ("", left, right, "speedup")]
    columns.append(Column("", right=False))
    forward = change.forward
    rows = []
    if (latency := change.latency) is not None:
        a, b = latency.baseline, latency.candidate
        rows.append(_timing("latency p50, profiler off", a.p50_ns, b.p50_ns, latency.speedup, latency.verdict))
        rows.append(_timing("latency p90, profiler off", a.p90_ns, b.p90_ns, a.p90_ns / b.p90_ns, None))
    name = f"forward, profiled ({forward.rule})"
    rows.append(_timing(name, forward.baseline_ns, forward.candidate_ns, forward.speedup, forward.verdict))
    yield Table(f"{change.name}: wall time of one forward", columns, rows, _outputs(change))
    yield _responsible(change)
    yield _operators(change, left, right, selection)


def _timing(what: str, before: float, after: float, speedup: float | None, verdict: Verdict | None) -> list[Cell]:
    last = _verdict(verdict) if verdict else Cell("")
    return [
        Cell(what),
        Cell(units.duration(before)),
        Cell(units.duration(after)),
        Cell(units.ratio(speedup), last.tone),
        last,
    ]


def _verdict(verdict: Verdict) -> Cell:
    return Cell(_WORDS.get(verdict, verdict), _TONES.get(verdict, "plain"))


def _outputs(change: WorkloadChange) -> str:
    outputs = change.outputs
    if outputs is None:
        return ""
    if not outputs.finite:
        return "outputs: a side holds NaN or infinity"
    if not outputs.comparable or outputs.cosine_similarity is None:
        return "outputs: not comparable"
    return f"outputs: cosine similarity {outputs.cosine_similarity:.7f}, largest error {outputs.max_abs_error:.2g}"


def _responsible(change: WorkloadChange) -> Table:
    """Lay out the change of the mean forward; the rows add up to it."""
    whole = change.attribution.forward_delta_ns
    largest = change.attribution.operators[:RESPONSIBLE]
    others = change.attribution.operators[RESPONSIBLE:]
    parts = [(share.name if not share.place else f"{share.name} {share.place}", share.delta_ns) for share in largest]
    if others:
        parts.append((f"{len(others)} other operators", sum(share.delta_ns for share in others)))
    parts.append(("outside operators", change.attribution.outside_operators_ns))
    rows = [
        [Cell(n), Cell(units.signed_duration(ns)), Cell(units.share(ns / whole if whole else None))] for n, ns in parts
    ]
    title = f"{change.name}: who is responsible for {units.signed_duration(whole)} of the mean forward, profiled"
    return Table(title, [Column("", right=False, flexible=True), Column("part"), Column("share")], rows)


def _operators(change: WorkloadChange, left: str, right: str, selection: Selection) -> Table:
    columns = [
        Column("operator", right=False, flexible=True),
        Column("calls"),
        Column(left),
        Column(right),
        Column("speedup"),
        Column("change"),
        Column("", right=False),
    ]
    chosen = select_changes(change.operators, selection)
    rows, note = cut([_operator(o) for o in chosen], selection.top, "operators")
    shown = {o.verdict for o in chosen[: len(rows)]}
    legend = [text for verdict, text in _LEGEND.items() if verdict in shown]
    sides = f"{_forwards(change.baseline)}, {_forwards(change.candidate)}"
    title = f"{change.name}: self host time per forward (medians; {sides})"
    return Table(title, columns, rows, "\n".join([*([note] if note else []), *legend]))


def _forwards(side: Side) -> str:
    return f"{side.forwards} forward{'s' * (side.forwards != 1)} in {side.rounds} round{'s' * (side.rounds != 1)}"


def _operator(change: OperatorChange) -> list[Cell]:
    before, after = change.baseline, change.candidate
    calls = [units.count(side.calls if side else None) for side in (before, after)]
    verdict = _verdict(change.verdict)
    return [
        Cell(f"{change.name} {change.place or ''}".rstrip()),
        Cell(calls[0] if calls[0] == calls[1] else " → ".join(calls)),
        Cell(units.duration(before.self_host_ns if before else None)),
        Cell(units.duration(after.self_host_ns if after else None)),
        Cell(units.ratio(change.speedup), verdict.tone),
        Cell(units.signed_duration(change.delta_ns)),
        verdict,
    ]
