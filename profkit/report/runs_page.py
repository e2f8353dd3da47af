"""A folder of runs as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from profkit.report.document import Cell, Column, Paragraph, Table
from profkit.report.kinds import kind_of
from profkit.report.page import Page, Section
from profkit.report.rendering import make_page

if TYPE_CHECKING:
    from profkit.comparison.records.many import Overview
    from profkit.runs import Run


def runs_page(runs: Sequence[Run], overview: Overview | None, why_not: str = "") -> Page:
    """List runs (what, when, where, which version) and how they compare, or ``why_not``."""
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
        sections += make_page(kind_of("compare"), overview).sections
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
