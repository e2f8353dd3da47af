"""Compares measured pairs of runs, workload by workload. Opens no file itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from profkit.arrays import Integers
from profkit.compare.attribution import attribute
from profkit.compare.calls.align import Alignment, align
from profkit.compare.calls.implementations import implementations, replacements, unpaired
from profkit.compare.calls.merged_tree import call_changes
from profkit.compare.cautions import cautions
from profkit.compare.configuration import find_differences
from profkit.compare.fpmath import judge_fpmath
from profkit.compare.latency import compare_forward, compare_latency, geometric_mean_speedup, wall_times
from profkit.compare.operators import compare_operators
from profkit.compare.outputs import compare_outputs
from profkit.compare.primitives import compare_primitives
from profkit.compare.records.diff import Comparison, FpmathVerdict, Samples, Side, WorkloadChange
from profkit.runs.measurement import Measurement
from profkit.runs.store import trace_name
from profkit.stats.judged import MARGIN
from profkit.trace.options import By

MeasuredPair = tuple[Measurement, Measurement]
"""The baseline's and the candidate's measurement of one workload."""


def compare(
    pairs: Sequence[MeasuredPair],
    baseline: str,
    candidate: str,
    groupings: Sequence[By] = ("name",),
    margin: float = MARGIN,
) -> dict[By, Comparison]:
    """Compare measured pairs; return one comparison per grouping of the operators.

    ``baseline`` and ``candidate`` are the paths as given. The comparisons differ in ``operators`` and ``attribution``
    only: everything else is computed once.
    """
    first, *others = groupings
    alignments = [align(before.calls, after.calls) for before, after in pairs]
    aligned = list(zip(pairs, alignments, strict=True))
    comparison = Comparison(
        baseline=_side([before for before, _ in pairs], baseline, candidate),
        candidate=_side([after for _, after in pairs], candidate, baseline),
        margin=margin,
        geomean_speedup=geometric_mean_speedup([wall_times(*pair) for pair in pairs], margin),
        workloads=[_compare_workload(pair, alignment, first, margin) for pair, alignment in aligned],
        differences=find_differences(
            (before.run.workload, before.run.manifest, after.run.manifest) for before, after in pairs
        ),
        warnings=[text for pair in pairs for text in cautions(*pair)],
    )
    found: dict[By, Comparison] = {first: comparison}
    for by in others:
        workloads = [
            _regrouped(workload, pair, alignment, by, margin)
            for workload, (pair, alignment) in zip(comparison.workloads, aligned, strict=True)
        ]
        found[by] = replace(comparison, workloads=workloads)
    return found


def _compare_workload(pair: MeasuredPair, alignment: Alignment, by: By, margin: float) -> WorkloadChange:
    before, after = pair
    data = (before.data, after.data)
    return WorkloadChange(
        name=before.run.workload,
        baseline=_side([before], str(before.run.path), str(after.run.path)),
        candidate=_side([after], str(after.run.path), str(before.run.path)),
        forward=compare_forward(before, after, margin),
        latency=compare_latency(before.latency_ns, after.latency_ns, margin),
        operators=compare_operators(before, after, replacements(alignment), by, margin),
        implementations=implementations(alignment),
        unpaired=unpaired(alignment),
        calls=call_changes(before.calls, after.calls),
        attribution=attribute(before, after, by),
        outputs=compare_outputs(*data),
        primitives=compare_primitives(data[0].primitives, data[1].primitives),
        fpmath=_fpmath_verdicts(before, after),
        baseline_samples=_samples(before),
        candidate_samples=_samples(after),
    )


def _regrouped(
    change: WorkloadChange, pair: MeasuredPair, alignment: Alignment, by: By, margin: float
) -> WorkloadChange:
    return replace(
        change,
        operators=compare_operators(*pair, replacements(alignment), by, margin),
        attribution=attribute(*pair, by),
    )


def _fpmath_verdicts(before: Measurement, after: Measurement) -> list[FpmathVerdict]:
    found = [judge_fpmath(side.data.reference, side.data) for side in (before, after)]
    return [verdict for verdict in found if verdict is not None]


def _side(measured: Sequence[Measurement], path: str, other: str) -> Side:
    """Describe one side; a fact that its runs do not share is null."""
    manifests = [m.run.manifest for m in measured if m.run.manifest is not None]
    labels = {m.label for m in manifests}
    names = [trace_name(Path(p)) for p in (path, other)]
    short = names[0] if names[0] != names[1] else path
    return Side(
        label=labels.pop() if len(labels) == 1 else short,
        path=path,
        torch=_common([m.torch for m in measured]),
        fpmath=_common([m.settings.fpmath for m in manifests]),
        mode=_common([m.settings.mode for m in manifests]),
        rounds=sum(len(m.forward_ns) for m in measured),
        forwards=sum(m.forwards for m in measured),
        with_stack=bool(manifests) and all(m.settings.with_stack for m in manifests),
        commands=list(dict.fromkeys(filter(None, (m.capture_command() for m in manifests)))),
    )


def _common(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _samples(measured: Measurement) -> Samples:
    return Samples(forward_ns=_lists(measured.forward_ns), latency_ns=_lists(measured.latency_ns))


def _lists(rounds: Sequence[Integers]) -> list[list[int]]:
    return [forwards.tolist() for forwards in rounds]
