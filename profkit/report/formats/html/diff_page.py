"""A comparison as a page: the answer first, then everything that it rests on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from profkit.compare.records.diff import CallChange, Comparison, OperatorChange, WorkloadChange
from profkit.report.diff_document import (
    PROFILER_MARK,
    differences_table,
    forwards_of,
    gates_table,
    implementations_table,
    legend,
    mostly_profiler,
    unpaired_paragraph,
    wall_times_table,
)
from profkit.report.document import Paragraph
from profkit.report.figures import figures
from profkit.report.formats.csv import render_diff_csv
from profkit.report.formats.html.page import Block, Code, Field, Grid, Page, Picture, Section
from profkit.report.formats.json import render_json
from profkit.report.primitives_document import fpmath_paragraph, primitive_changes, way
from profkit.report.sentences import answers

PRIMITIVES = 12  # in a table of their own; the operator table has them all
NOTE = "▸ shows an operator's calls on both sides, with their total host time: what they call is in it."
Rows = Sequence[Mapping[str, Any]]
_VIEW_NAMES = {"name": "operator", "shape": "operator and shapes", "module": "operator and module", "stack": "stack"}


def diff_page(comparison: Comparison, others: Mapping[str, Comparison] | None = None) -> Page:
    """Lay out ``comparison``; ``others`` are the same by shape or module, for the operator tables to choose from."""
    before, after = comparison.baseline, comparison.candidate
    first: list[Block] = [gates_table(comparison)] if comparison.gates else []
    first.append(differences_table(comparison))
    first += [Paragraph(f"Warning: {text}", "bad") for text in comparison.warnings]
    first.append(
        Picture(
            "Speedup", figures.speedups(comparison), "With its 95% interval; grey: no change is shown beyond the noise."
        )
    )
    sections = [Section("What differs, and what it gained", first)]
    for number, workload in enumerate(comparison.workloads):
        views = {_view(w): w.operators for w in _same(comparison, others or {}, number) if _tells_more(w, workload)}
        sections.append(Section(workload.name, list(_workload(workload, before.label, after.label, views))))
    sections.append(Section("How to reproduce it", [_reproduce(comparison)]))
    return Page(
        title=f"{before.label} → {after.label}",
        answers=[Paragraph(text, "strong") for text in answers(comparison)],
        sections=sections,
        downloads={"diff.json": render_json(comparison), "diff.csv": render_diff_csv(comparison)},
    )


def _same(comparison: Comparison, others: Mapping[str, Comparison], number: int) -> list[WorkloadChange]:
    return [comparison.workloads[number], *(other.workloads[number] for other in others.values())]


def _tells_more(view: WorkloadChange, first: WorkloadChange) -> bool:
    """Whether a table has other rows than the first one: traces without shapes have the same by shape."""
    return view is first or len(view.operators) != len(first.operators)


def _view(change: WorkloadChange) -> str:
    """Return by what a table's operators are told apart."""
    some = change.operators[0] if change.operators else None
    kinds = {"shape": some and some.input_dims, "module": some and some.module, "stack": some and some.stack}
    return _VIEW_NAMES[next((kind for kind, place in kinds.items() if place is not None), "name")]


def _workload(
    change: WorkloadChange, left: str, right: str, views: Mapping[str, Sequence[OperatorChange]]
) -> Iterator[Block]:
    yield wall_times_table(change, left, right)
    yield Picture(
        "Who is responsible",
        figures.waterfall(change),
        "The change of the mean forward under the profiler, split over operators' self times; it adds up exactly.",
    )
    if change.implementations:
        yield implementations_table(change, left, right)
    if any(u.total_host_ns for u in change.unpaired):
        yield unpaired_paragraph(change, left, right)
    yield _operators(change, left, right, views)
    yield Picture("Latency distributions", figures.latency(change), "One point a forward, with p50, p90 and p99.")
    if change.calls:
        yield Picture(
            "Call tree",
            figures.icicle(change),
            "Widths are total host times, colours the change: blue got faster, orange slower, at most twofold. "
            "Click to enlarge a part, click the top to go back.",
        )
    if change.primitives is not None:
        yield Picture(
            "Primitives before and after", figures.primitives(change), "oneDNN's own log, from a pass of its own."
        )
        yield from primitive_changes(change.name, change.primitives, left, right, PRIMITIVES, cut_said=False)
    yield from (fpmath_paragraph(verdict) for verdict in change.fpmath)
    yield Picture("Forwards over time", figures.over_time(change), "Round by round, in the order in which they ran.")


def _operators(change: WorkloadChange, left: str, right: str, views: Mapping[str, Sequence[OperatorChange]]) -> Grid:
    fields = [
        Field("label", "operator", "text"),
        Field("callsBefore", f"calls {left}", "count"),
        Field("callsAfter", f"calls {right}", "count"),
        Field("before", left, "time"),
        Field("after", right, "time"),
        Field("speedup", "speedup", "ratio"),
        Field("interval", "95% interval", "interval"),
        Field("delta", "change", "delta"),
        Field("verdict", "verdict", "verdict"),
    ]
    rows: dict[str, Rows] = {name: [_operator(o) for o in operators] for name, operators in views.items()}
    if change.primitives is not None:
        rows["primitive (oneDNN, under its log)"] = list(_primitives(change))
    sides = f"{forwards_of(change.baseline)}, {forwards_of(change.candidate)}"
    return Grid(
        f"Operators: self host time per forward (medians; {sides})",
        fields,
        rows,
        tree=[_call(call) for call in change.calls],
        tree_fields=[Field("name", "", "text"), *fields[1:5], Field("delta", "", "delta")],
        note=" ".join([NOTE, *legend(change.operators)]),
    )


def _operator(change: OperatorChange) -> dict[str, Any]:
    before, after = change.baseline, change.candidate
    return {
        "name": change.name,
        "label": f"{change.name} {change.place or ''}".rstrip() + f" {PROFILER_MARK}" * mostly_profiler(change),
        "callsBefore": before.calls if before else None,
        "callsAfter": after.calls if after else None,
        "before": before.self_host_ns if before else None,
        "after": after.self_host_ns if after else None,
        "speedup": _rounded(change.speedup),
        "interval": None if change.low is None or change.high is None else (change.low, change.high),
        "delta": change.delta_ns,
        "verdict": change.verdict,
    }


def _primitives(change: WorkloadChange) -> Iterator[dict[str, Any]]:
    for problem in change.primitives.problems if change.primitives is not None else ():
        before, after = problem.baseline, problem.candidate
        ways = [way(before), way(after)]
        ratio = before.exec_ns / after.exec_ns if before and after and after.exec_ns else None
        yield {
            "name": "",
            "label": f"{problem.kind} {problem.problem}: {ways[0] if ways[0] == ways[1] else ' → '.join(ways)}",
            "callsBefore": before.calls if before else None,
            "callsAfter": after.calls if after else None,
            "before": before.exec_ns if before else None,
            "after": after.exec_ns if after else None,
            "speedup": _rounded(ratio),
            "interval": None,
            "delta": problem.delta_ns,
            "verdict": "",
        }


def _call(call: CallChange) -> dict[str, Any]:
    before, after = call.baseline, call.candidate
    times = [side.total_host_ns if side else None for side in (before, after)]
    return {
        "name": call.name,
        "parent": call.parent,
        "callsBefore": before.calls if before else None,
        "callsAfter": after.calls if after else None,
        "before": times[0],
        "after": times[1],
        "delta": (times[1] or 0) - (times[0] or 0),
    }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else float(f"{ratio:.5g}")


def _reproduce(comparison: Comparison) -> Code:
    sides = (comparison.baseline, comparison.candidate)
    lines = [command for side in sides for command in side.commands]
    rules = dict.fromkeys(gate.rule for gate in comparison.gates)
    words = [
        "profkit",
        "diff",
        *(side.path for side in sides),
        *(word for rule in rules for word in ("--fail-if", rule)),
    ]
    return Code("Commands", [*lines, shlex.join(words)])
