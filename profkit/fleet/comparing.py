"""Groups of an index, compared and shown as runs are."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from profkit.comparison.diff import compare
from profkit.comparison.many import compare_walls
from profkit.comparison.records.diff import Comparison
from profkit.comparison.records.many import Overview, WallKind
from profkit.errors import UsageError
from profkit.fleet.selection import Chosen
from profkit.runs.contents import RunData
from profkit.shortening import listed
from profkit.trace.options import By
from profkit.views.operators import OperatorsView, view_measured
from profkit.views.primitives import PrimitiveKey, PrimitiveRow, PrimitivesView

_KNOWN = (
    "compared by what the index knows: medians per round, by operator name; work that moved from one operator to "
    "another is not recognised. profkit diff with the two runs looks at their calls too."
)


def compare_groups(rounds: Chosen, by: Literal["name", "shape"], margin: float) -> dict[By, Comparison]:
    """Compare the two groups; raises UsageError if there are not two, or no workload in common."""
    before, after = rounds.require_pair()
    shared = [w for w in rounds.workloads if rounds.evidence(before, w) and rounds.evidence(after, w)]
    if not shared:
        raise UsageError(f"{before} and {after} have no workload in common", hint="Choose others with --where.")
    pairs = [(rounds.measure(before, workload, by), rounds.measure(after, workload, by)) for workload in shared]
    found = compare(pairs, before, after, [by], margin)[by]
    return {by: replace(found, warnings=[_KNOWN, *found.warnings])}


def compare_all(rounds: Chosen, margin: float) -> Overview:
    """Compare every group with the first; raises UsageError if there is only one."""
    runs = rounds.runs()
    if len(runs) < 2:
        raise UsageError(f"there is only one group: {listed(rounds.groups)}", hint="Choose more with --where.")
    walls, kinds, warnings = {}, dict[str, WallKind](), list[str]()
    for name in rounds.workloads:
        having = {group: of_group[name] for group, of_group in runs.items() if name in of_group}
        latencies = {group: RunData(run).latency_ns for group, run in having.items()}
        kinds[name] = "latency" if all(latencies.values()) else "profiled"
        walls[name] = (
            latencies
            if kinds[name] == "latency"
            else {group: rounds.measure(group, name).forward_ns for group in having}
        )
        warnings += [f"{run.title}: {text}" for run in having.values() for text in run.warnings]
    return compare_walls(runs, walls, kinds, warnings, margin)


def operators_of(rounds: Chosen, by: Literal["name", "shape"]) -> OperatorsView:
    """Return the operators of the one group and workload; raises UsageError if there are several."""
    group, workload = rounds.require_one()
    return view_measured(rounds.measure(group, workload, by), by)


def primitives_of(rounds: Chosen, source: str, by: PrimitiveKey) -> PrimitivesView:
    """Return the oneDNN primitives of the one group and workload, in the traced forwards of all its runs.

    Raises UsageError if there are several.
    """
    rounds.require_one()
    forwards, rows = rounds.primitives(by)
    return PrimitivesView(
        source=source,
        onednn=None,
        isa=None,
        threads=None,
        skipped_lines=0,
        warm=True,
        forwards=forwards,
        primitives=[
            PrimitiveRow(
                kind=kind,
                implementation=implementation,
                fpmath=math,
                data_types=types,
                problem=problem,
                calls=calls,
                exec_ns=ns,
                cache_hits=0,
                cache_misses=0,
                create_ns=0,
            )
            for kind, implementation, math, types, problem, calls, ns in rows
        ],
    )
