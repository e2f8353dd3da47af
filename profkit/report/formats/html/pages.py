"""Operators, primitives, many runs, and a folder of runs as pages."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from profkit.compare.records.diff import FpmathVerdict
from profkit.compare.records.many import Overview
from profkit.report.document import Cell, Column, Paragraph, Table
from profkit.report.figures import figures
from profkit.report.formats.csv import render_operators_csv, render_overview_csv, render_primitives_csv
from profkit.report.formats.html.page import Block, Code, Field, Grid, Page, Picture, Section
from profkit.report.formats.json import render_json
from profkit.report.overview_document import overview_document
from profkit.report.primitives_document import describe, primitives_document
from profkit.report.run_documents import SUMS, operators_document
from profkit.report.selection import Selection
from profkit.runs import Run
from profkit.views.operators import OperatorsView
from profkit.views.primitives import PrimitivesView


def operators_page(view: OperatorsView) -> Page:
    """Lay out the operators of one run."""
    document = operators_document(view, Selection(top=1))
    whole = sum(row.self_host_ns for row in view.operators) or 1
    rows = [
        {
            "name": "",
            "label": f"{row.name} {row.place or ''}".rstrip(),
            "calls": row.calls,
            "self": row.self_host_ns,
            "share": row.self_host_ns / whole,
            "total": row.total_host_ns,
            "device": row.total_device_ns,
            "primitives": ", ".join(dict.fromkeys(f"{k.kind} {k.implementation} {k.fpmath}" for k in row.primitives)),
        }
        for row in view.operators
    ]
    fields = [
        Field("label", "operator", "text"),
        Field("calls", "calls", "count"),
        Field("self", "self host", "time"),
        Field("share", "share", "share"),
        Field("total", "total host", "time"),
    ]
    if any(row.total_device_ns for row in view.operators):
        fields.append(Field("device", "total device", "time"))
    if any(row.primitives for row in view.operators):
        fields.append(Field("primitives", "primitives of oneDNN", "text"))
    parts = [(f"{row.name} {row.place or ''}".rstrip(), row.self_host_ns) for row in view.operators]
    picture = figures.parts("self host time (ms)", parts)
    scope = "per forward (medians)" if view.per_forward else SUMS
    words = [block for block in document.blocks if isinstance(block, Paragraph)]
    return Page(
        title=document.title,
        answers=words,
        sections=[Section("Operators", [Picture("Where the time goes", picture), Grid(scope, fields, {"all": rows})])],
        downloads={"operators.json": render_json(view), "operators.csv": render_operators_csv(view)},
    )


def primitives_page(view: PrimitivesView, fpmath: FpmathVerdict | None = None) -> Page:
    """Lay out oneDNN's primitives."""
    document = primitives_document(view, Selection(top=1), fpmath)
    words = [block for block in document.blocks if isinstance(block, Paragraph)]
    tables: list[Block] = [block for block in document.blocks[:-1] if isinstance(block, Table)]
    sums: dict[str, float] = {}
    for row in view.primitives:
        name = " ".join(filter(None, (row.kind, row.implementation, row.fpmath if row.fpmath != "fp32" else None)))
        sums[name] = sums.get(name, 0.0) + row.exec_ns
    fields = [
        Field("label", "primitive", "text"),
        Field("calls", "calls", "count"),
        Field("time", "time", "time"),
        Field("hits", "cache hits", "count"),
        Field("misses", "cache misses", "count"),
        Field("create", "create", "time"),
    ]
    rows = [
        {
            "name": "",
            "label": describe(row),
            "calls": row.calls,
            "time": row.exec_ns,
            "hits": row.cache_hits,
            "misses": row.cache_misses,
            "create": row.create_ns,
        }
        for row in view.primitives
    ]
    picture = Picture("Where oneDNN's time goes", figures.parts("executions (ms)", list(sums.items())))
    grid = Grid("Primitives" + (", warm forwards" if view.warm else ", whole log"), fields, {"all": rows})
    return Page(
        title=document.title,
        answers=words,
        sections=[Section("Primitives", [*tables, picture, grid])],
        downloads={"primitives.json": render_json(view), "primitives.csv": render_primitives_csv(view)},
    )


def overview_page(overview: Overview) -> Page:
    """Lay out many runs side by side."""
    document = overview_document(overview)
    tables: list[Block] = [block for block in document.blocks if isinstance(block, Table)]
    words = [block for block in document.blocks if isinstance(block, Paragraph)]
    paths = [path for run in overview.runs for path in run.paths]
    first = [
        Picture("Speedups", figures.heatmap(overview), f"Over {overview.baseline}; ~: no change is shown."),
        Picture("With intervals", figures.run_speedups(overview), "Grey: no change is shown beyond the noise."),
    ]
    return Page(
        title=document.title,
        answers=words,
        sections=[
            Section("Speedups", [*first, tables[0]]),
            Section("Wall times", tables[1:]),
            Section("How to reproduce it", [Code("Command", [shlex.join(["profkit", "compare", *paths])])]),
        ],
        downloads={"compare.json": render_json(overview), "compare.csv": render_overview_csv(overview)},
    )


def runs_page(runs: Sequence[Run], overview: Overview | None, why_not: str = "") -> Page:
    """List runs: what, when, where, which version; and how they compare, or why they do not."""
    columns = [Column(title, right=False) for title in ("run", "workload", "PyTorch", "settings", "host", "when")]
    columns += [Column("rounds"), Column("verdict", right=False), Column("status", right=False)]
    verdicts = {
        (run.label, entry.workload): entry.verdict or "baseline"
        for run in (overview.runs if overview is not None else ())
        for entry in run.entries
    }
    table = Table("Runs", columns, [_listed(run, verdicts.get((run.label, run.workload), "")) for run in runs])
    sections = [Section("Runs", [table])]
    if overview is not None:
        sections += overview_page(overview).sections
    answers = [Paragraph(why_not, "dim")] if why_not else []
    return Page(title=f"{len(runs)} runs", answers=answers, sections=sections)


def _listed(run: Run, verdict: str) -> list[Cell]:
    m = run.manifest
    if m is None:
        empty = [Cell("")] * 4
        return [Cell(str(run.path)), Cell(run.workload), *empty, Cell(str(len(run.traces))), Cell(verdict), Cell("")]
    settings = f"{m.settings.mode}, {m.settings.fpmath}"
    version = f"{m.torch.version}+{m.torch.wheel}".removesuffix("+None") if m.torch else ""
    when = m.rounds[0].started if m.rounds else ""
    status = Cell(
        m.status if m.reason is None else f"{m.status}: {m.reason}", "dim" if m.status == "complete" else "bad"
    )
    cells = [Cell(text) for text in (run.label, run.workload, version, settings, m.host.cpu or m.host.name, when)]
    return [*cells, Cell(str(len(m.rounds))), Cell(verdict), status]
