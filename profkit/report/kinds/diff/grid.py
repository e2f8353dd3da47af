"""The grid of a comparison's page: operators, oneDNN primitives, and the calls that an operator expands to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.kinds.diff.document import forwards_of, legend, operator_label, partners
from profkit.report.kinds.diff.primitives import implementations, primitive_speedup
from profkit.report.page import Field, Grid, Tree, Values, View
from profkit.report.verdicts import verdict_cell

if TYPE_CHECKING:
    from profkit.comparison.records.diff import CallChange, OperatorChange, PrimitiveChange, WorkloadChange

_NOTE = "▸ shows an operator's calls on both sides with their total host time, which includes their callees."


def operators_grid(
    change: WorkloadChange, left: str, right: str, views: Mapping[str, Sequence[OperatorChange]]
) -> Grid:
    """Lay out the operators of a workload in ``views``, the first of which expands to calls."""
    fields = [
        Field("operator", words=True),
        Field(f"calls {left}"),
        Field(f"calls {right}"),
        Field(left),
        Field(right),
        Field("speedup", coloured=True),
        Field("95% interval"),
        Field("change"),
        Field("verdict", words=True, coloured=True),
    ]
    shown = {name: operators_view(operators) for name, operators in views.items()}
    if change.primitives is not None:
        shown["primitive (oneDNN, under its log)"] = _primitives_view(change.primitives.problems)
    sides = f"{forwards_of(change.baseline)}, {forwards_of(change.candidate)}"
    verdicts = dict.fromkeys(o.verdict or "" for operators in views.values() for o in operators)
    return Grid(
        f"Operators: self host time per forward ({sides})",
        fields,
        shown,
        verdicts={verdict: verdict_cell(verdict) for verdict in verdicts if verdict},
        tree=_tree(change.calls) if change.calls else None,
        note="\n".join(
            [_NOTE, *legend(change.operators, change.implementations), *partners(change.operators, left, right)]
        ),
    )


def operators_view(operators: Sequence[OperatorChange]) -> View:
    """Return the rows of some operators, formatted as in the text report."""
    befores, afters = [o.baseline for o in operators], [o.candidate for o in operators]
    return View(
        columns=[
            Values([operator_label(o) for o in operators]),
            Values.counts([side.calls if side else None for side in befores]),
            Values.counts([side.calls if side else None for side in afters]),
            Values.times([o.judged_ns[0] for o in operators]),
            Values.times([o.judged_ns[1] for o in operators]),
            Values([units.ratio(o.speedup) for o in operators], [o.speedup for o in operators]),
            Values([units.interval(o.low, o.high) for o in operators], [o.low for o in operators]),
            _changes([o.delta_ns for o in operators]),
            Values([verdict_cell(o.verdict).text for o in operators]),
        ],
        verdicts=[o.verdict or "" for o in operators],
        names=[o.name for o in operators],
    )


def _primitives_view(problems: Sequence[PrimitiveChange]) -> View:
    befores, afters = [p.baseline for p in problems], [p.candidate for p in problems]
    labels = []
    for p in problems:
        before, after = implementations(p.baseline), implementations(p.candidate)
        labels.append(f"{p.kind} {p.problem}: {before if before == after else f'{before} → {after}'}")
    ratios = [primitive_speedup(p) for p in problems]
    nothing = [""] * len(problems)
    return View(
        columns=[
            Values(labels),
            Values.counts([side.calls if side else None for side in befores]),
            Values.counts([side.calls if side else None for side in afters]),
            Values.times([side.exec_ns if side else None for side in befores]),
            Values.times([side.exec_ns if side else None for side in afters]),
            Values([units.ratio(ratio) for ratio in ratios], ratios),
            Values(nothing),
            _changes([p.delta_ns for p in problems]),
            Values(nothing),
        ]
    )


def _tree(calls: Sequence[CallChange]) -> Tree:
    befores, afters = [c.baseline for c in calls], [c.candidate for c in calls]
    times = [[side.total_host_ns if side else None for side in sides] for sides in (befores, afters)]
    changes = [(after or 0) - (before or 0) for before, after in zip(*times, strict=True)]
    return Tree(
        names=[c.name for c in calls],
        parents=[c.parent for c in calls],
        columns=[
            [c.name for c in calls],
            Values.counts([side.calls if side else None for side in befores]).texts,
            Values.counts([side.calls if side else None for side in afters]).texts,
            Values.times(times[0]).texts,
            Values.times(times[1]).texts,
            None,
            None,
            _changes(changes).texts,
            None,
        ],
    )


def _changes(values: Sequence[float]) -> Values:
    """Return changes in ns, sorted by size whatever their sign."""
    return Values([units.signed_duration(ns) for ns in values], [abs(ns) for ns in values])
