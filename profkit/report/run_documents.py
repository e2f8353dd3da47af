"""The operator view and the description of one run as documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, bar, cut_note
from profkit.report.selection import Selection, select_rows
from profkit.runs.configuration import own_variables
from profkit.runs.manifest import Manifest
from profkit.views.information import RunInformation
from profkit.views.operators import OperatorRow, OperatorsView

SUMS = "sums over everything captured"
PRIMITIVES_NOTE = "→ primitives of oneDNN per forward, from a pass of their own under its log, which slows them."


def operators_document(view: OperatorsView, selection: Selection) -> Document:
    """Lay out the operators of one run; shares are of the self host time of all operators."""
    whole = sum(row.self_host_ns for row in view.operators)
    columns = [
        Column("operator", right=False, flexible=True),
        Column("calls"),
        Column("self host"),
        Column("share"),
        Column("", right=False, drawing=True),
        Column("total host"),
    ]
    on_device = any(row.total_device_ns for row in view.operators)
    if on_device:
        columns += [Column("self device"), Column("total device")]
    chosen = select_rows(view.operators, selection)
    shown = chosen[: selection.top or None]
    note = cut_note(len(chosen) - len(shown), "operators")
    rows = [cells for row in shown for cells in _operator_rows(row, whole, on_device=on_device)]
    if any(row.primitives for row in shown):
        note = "\n".join(filter(None, (note, PRIMITIVES_NOTE)))
    forwards = view.forwards
    scope = "per forward (medians)" if view.per_forward else SUMS
    blocks: list[Table | Paragraph] = [Table(f"Operators, {scope}", columns, rows, note)]
    if forwards.count:
        middle = units.duration(_median(forwards.wall_ns))
        text = (
            f"{forwards.count} forward{'s' * (forwards.count != 1)} by rule {forwards.rule}, median wall time {middle}."
        )
        blocks.insert(0, Paragraph(text))
    odd = [f"{n} {name}" for name, n in view.anomalies.items() if n]
    odd += [f"{repair.count} × {repair.defect} mended" for repair in view.repairs]
    if any(row.module is not None for row in view.operators) and not any(row.module for row in view.operators):
        blocks.append(Paragraph("There are no modules in it: capture with --with-stack.", "bad"))
    if not view.operators:
        blocks.append(Paragraph("There is no operator in it.", "bad"))
    if odd:
        blocks.append(Paragraph("Anomalies: " + ", ".join(odd), "bad"))
    version = f", PyTorch {view.torch}" if view.torch else ""
    return Document(f"{view.source}{version}", blocks)


def _operator_rows(row: OperatorRow, whole: float, *, on_device: bool) -> Iterator[list[Cell]]:
    """Yield an operator's row, and one for each primitive of oneDNN's that ran in it."""
    yield [
        Cell(f"{row.name} {row.place or ''}".rstrip()),
        Cell(units.count(row.calls)),
        Cell(units.duration(row.self_host_ns)),
        Cell(units.share(row.self_host_ns / whole if whole else None)),
        Cell(bar(row.self_host_ns / whole if whole else 0), "dim"),
        Cell(units.duration(row.total_host_ns)),
        *(Cell(units.duration(ns)) for ns in (row.self_device_ns, row.total_device_ns) if on_device),
    ]
    for use in row.primitives:
        mode = "" if use.fpmath == "fp32" else f" {use.fpmath}"
        cells = [
            Cell(f"  → {use.kind} {use.implementation}{mode}", "dim"),
            Cell(units.count(use.calls), "dim"),
            *[Cell("")] * 3,
            Cell(units.duration(use.exec_ns), "dim"),
        ]
        yield [*cells, *([Cell("")] * (2 * on_device))]


def information_document(information: RunInformation) -> Document:
    """Lay out what a run is."""
    pair = [Column("", right=False), Column("", right=False, flexible=True)]
    blocks: list[Table | Paragraph] = []
    if information.manifest is not None:
        rows = [[Cell(k), Cell(v)] for k, v in _facts(information.manifest)]
        blocks.append(Table(f"{information.manifest.label} {information.workload}", pair, rows))
    for trace in information.traces:
        middle = _median(trace.forward_ns)
        anomalies = ", ".join(f"{n} {name}" for name, n in trace.anomalies.items() if n)
        repairs = ", ".join(f"{n} × {name}" for name, n in trace.repairs.items())
        others = ", ".join(f"{n} {phase}" for phase, n in trace.other_events.items())
        facts = [
            ("PyTorch", trace.torch or "not written in the file"),
            ("dialect", f"PyTorch {trace.dialect}"),
            ("clock resolution", units.duration(trace.resolution_ns)),
            ("forwards", f"{len(trace.forward_ns)} by rule {trace.rule}, median {units.duration(middle)}"),
            ("spans", f"{trace.spans} on {trace.tracks} tracks, {trace.operators} of them operators"),
            ("categories", ", ".join(f"{n} {name or '(none)'}" for name, n in trace.categories.items())),
            ("other records by phase", others or "none"),
            ("anomalies", anomalies or "none"),
            ("repairs", repairs or "none"),
        ]
        blocks.append(Table(trace.file, pair, [[Cell(k), Cell(v)] for k, v in facts]))
    return Document(information.path, blocks)


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    """Return what the manifest says, as (name, text) rows."""
    torch, host = manifest.torch, manifest.host
    inputs = ", ".join(f"{i.dtype}{i.shape}" for i in manifest.workload.inputs)
    off = _median([ns for r in manifest.rounds for ns in r.latency_ns])
    on = _median([ns for r in manifest.rounds for ns in r.profiled_ns])
    facts = [
        ("status", manifest.status if manifest.reason is None else f"{manifest.status}: {manifest.reason}"),
        ("workload", f"{manifest.workload.name} ({manifest.workload.source}), {inputs}"),
        ("weights SHA-256", (manifest.workload.weights_sha256 or units.NOTHING)[:12]),
        *manifest.settings.rows(),
        *((name, manifest.environment[name]) for name in sorted(own_variables(manifest))),
        ("rounds", str(len(manifest.rounds))),
        ("host", ", ".join(filter(None, [host.cpu, f"{host.cores} cores", host.instance_type, host.os]))),
    ]
    if torch is not None:
        version = torch.version + (f"+{torch.wheel}" if torch.wheel else "")
        facts.insert(2, ("PyTorch", f"{version}, oneDNN {torch.onednn or 'none'}, {torch.threads} threads"))
        facts.insert(3, ("CPU capability", torch.cpu_capability or units.NOTHING))
    if manifest.python is not None:
        facts.append(("Python", manifest.python.version))
    if off and on:
        facts.append(("latency p50", f"{units.duration(off)} with the profiler off"))
        facts.append(("observer effect", f"{units.ratio(on / off)} (profiled {units.duration(on)})"))
    if manifest.primitives is not None:
        facts.append(
            ("oneDNN log", f"{manifest.primitives.log}, with a trace of {manifest.primitives.steps} warm forwards")
        )
    facts += [("fallback", f"round {f.round}: {f.reason}; {f.instead}") for f in manifest.fallbacks]
    facts += [("warning", text) for text in manifest.warnings]
    return facts


def _median(values: Sequence[int]) -> float | None:
    ordered, middle = sorted(values), len(values) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
