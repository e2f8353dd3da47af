"""A comparison as a page: the answer first, then everything that it is based on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from profkit.report.cards import diff_cards
from profkit.report.document import Paragraph
from profkit.report.figures.call_tree import call_tree
from profkit.report.figures.latency import latency, over_time
from profkit.report.figures.primitives import primitives
from profkit.report.figures.speedups import speedups
from profkit.report.figures.waterfall import waterfall
from profkit.report.findings import by_workload, finding_blocks
from profkit.report.kinds.diff.document import (
    differences_table,
    gates_table,
    implementations_table,
    unpaired_paragraph,
    wall_times_table,
)
from profkit.report.kinds.diff.grid import operators_grid
from profkit.report.kinds.diff.primitives import primitive_changes
from profkit.report.kinds.diff.resources import resources_table
from profkit.report.kinds.diff.rows import select
from profkit.report.kinds.kind import Selection
from profkit.report.page import Block, Code, Page, Picture, Section
from profkit.report.sentences import answers, attribution_note, attribution_title
from profkit.report.verdicts import fpmath_paragraph

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison, OperatorChange, WorkloadChange

PRIMITIVES = 12  # in a table of their own, a screenful; the operator table has them all
SPEEDUP_NOTE = "Lines: 95% intervals; the axis is logarithmic. A hollow grey point: neither faster nor slower is shown."
CALL_TREE_NOTE = (
    "Widths are total host times, on one scale for both sides. A call that takes at least 1.1 times as long on one "
    "side is coloured, strongly from 1.5 times on. Point at a call for its times; the table of operators expands to "
    "all calls."
)
_VIEW_NAMES = {"name": "operator", "shape": "operator and shapes", "module": "operator and module", "stack": "stack"}


def page(comparison: Comparison, selection: Selection, beside: Mapping[str, Comparison] | None = None) -> Page:
    """Lay out the selected operators of ``comparison``.

    ``beside`` are the same comparison by shape or module; the operator tables can be switched to them.
    """
    chosen = select(comparison, selection)
    others = [select(other, selection) for other in (beside or {}).values()]
    before, after = chosen.baseline, chosen.candidate
    first: list[Block] = [gates_table(chosen)] if chosen.gates else []
    first.append(differences_table(chosen))
    first += [Paragraph(f"Warning: {text}", "bad") for text in chosen.warnings]
    first.append(Picture("Speedup", speedups(chosen), SPEEDUP_NOTE))
    sections = [Section("What differs, and the speedup", first)]
    for number, workload in enumerate(chosen.workloads):
        views = {_view_name(workload): workload.operators}
        for other in others:
            change = other.workloads[number]
            if len(change.operators) != len(workload.operators):  # traces without shapes have the same rows by shape
                views[_view_name(change)] = change.operators
        sections.append(Section(workload.name, list(_workload(workload, before.label, after.label, views))))
    sections.append(Section("How to reproduce it", [_reproduce(chosen)]))
    return Page(
        title=f"{before.label} → {after.label}",
        answers=[*map(Paragraph, answers(chosen, headlines=False))],
        cards=list(diff_cards(chosen)),
        findings=list(finding_blocks(by_workload(chosen))),
        sections=sections,
    )


def _view_name(change: WorkloadChange) -> str:
    """Return what distinguishes the rows of an operator table."""
    some = change.operators[0] if change.operators else None
    kinds = {"shape": some and some.input_dims, "module": some and some.module, "stack": some and some.stack}
    return _VIEW_NAMES[next((kind for kind, place in kinds.items() if place is not None), "name")]


def _workload(
    change: WorkloadChange, left: str, right: str, views: Mapping[str, Sequence[OperatorChange]]
) -> Iterator[Block]:
    yield wall_times_table(change, left, right)
    yield from resources_table(change, left, right)
    yield Picture(
        attribution_title(change).capitalize(),
        waterfall(change),
        "The mean forwards under the profiler. The operators' self times and the rest add up to the difference. "
        + attribution_note(change),
    )
    if change.primitives is not None:
        note = "From the oneDNN log, recorded in a pass of its own."
        yield Picture("Primitives before and after", primitives(change), note)
        yield from primitive_changes(change.name, change.primitives, left, right, PRIMITIVES, can_show_all=False)
    yield from (fpmath_paragraph(verdict) for verdict in change.fpmath)
    yield operators_grid(change, left, right, views)
    if change.implementations:
        yield implementations_table(change, left, right)
    if any(u.total_host_ns for u in change.unpaired):
        yield unpaired_paragraph(change, left, right)
    if change.calls:
        yield Picture("Call tree", call_tree(change), CALL_TREE_NOTE)
    yield Picture(
        "Latency distributions",
        latency(change),
        "Each bar counts forwards. p90 and p99 are shown with enough forwards.",
    )
    yield Picture("Forwards over time", over_time(change), "Round by round, in the order in which they ran.")


def _reproduce(comparison: Comparison) -> Code:
    sides = (comparison.baseline, comparison.candidate)
    lines = [command for side in sides for command in side.commands]
    rules = dict.fromkeys(gate.rule for gate in comparison.gates)
    words = ["profkit", "diff", *(side.path for side in sides)]
    words += [word for rule in rules for word in ("--fail-if", rule)]
    return Code("Commands", [*lines, shlex.join(words)])
