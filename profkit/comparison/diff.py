"""Compares measured pairs of runs, workload by workload. Opens no file itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from profkit.arrays import Integers
from profkit.comparison.attribution import attribute
from profkit.comparison.calls.align import Alignment, align
from profkit.comparison.calls.implementations import implementations, unpaired
from profkit.comparison.calls.merged_tree import call_changes
from profkit.comparison.cautions import cautions
from profkit.comparison.configuration import find_differences
from profkit.comparison.findings import find
from profkit.comparison.fpmath import judge_fpmath
from profkit.comparison.latency import Pair, compare_forward, compare_latency, geometric_mean_speedup, wall_times
from profkit.comparison.numbered import under_common_names, with_names
from profkit.comparison.operators import MovedWork, compare_operators
from profkit.comparison.outputs import about_not_finite, compare_outputs
from profkit.comparison.primitives import compare_primitives
from profkit.comparison.records.diff import Comparison, FpmathVerdict, OperatorChange, Samples, Side, WorkloadChange
from profkit.comparison.resources import compare_resources
from profkit.runs.measurement import Measurement
from profkit.runs.pairing import Pairing, pair_rounds
from profkit.runs.store import trace_name
from profkit.stats.judged import MARGIN, Design
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
    matched = [_match(*pair, margin) for pair in pairs]
    pairs = [(pair.baseline, pair.candidate) for pair in matched]
    workloads = [_compare_workload(pair, first) for pair in matched]
    comparison = Comparison(
        baseline=_side([before for before, _ in pairs], baseline, candidate),
        candidate=_side([after for _, after in pairs], candidate, baseline),
        margin=margin,
        paired=all(pair.pairing.paired for pair in matched),
        geomean_speedup=geometric_mean_speedup([pair.wall_times for pair in matched], margin),
        workloads=workloads,
        differences=find_differences(
            (before.run.workload, before.run.manifest, after.run.manifest) for before, after in pairs
        ),
        warnings=[
            *(text for pair in matched for text in cautions(pair.baseline, pair.candidate, pair.pairing)),
            *(
                text
                for change in workloads
                for text in about_not_finite(
                    change.name, (change.baseline.label, change.candidate.label), change.outputs
                )
            ),
        ],
    )
    found: dict[By, Comparison] = {first: comparison}
    for by in others:
        regrouped = [
            _regrouped(workload, pair, by) for workload, pair in zip(comparison.workloads, matched, strict=True)
        ]
        found[by] = replace(comparison, workloads=regrouped)
    return found


class _Matched(msgspec.Struct, frozen=True):
    """A measured pair, with the rounds that are compared with each other and the calls that correspond.

    ``names`` are the names of the operators that are compared under a stem, on both sides.
    """

    baseline: Measurement
    candidate: Measurement
    pairing: Pairing
    design: Design
    alignment: Alignment
    names: Mapping[str, tuple[list[str], list[str]]]

    def operators(self, by: By) -> list[OperatorChange]:
        """Compare the operators, grouped as asked for."""
        moved = MovedWork.of(self.alignment)
        return with_names(compare_operators(self.baseline, self.candidate, moved, by, self.design), self.names)

    @property
    def wall_times(self) -> Pair:
        """The wall times that count for inference."""
        return wall_times(self.baseline, self.candidate, self.design)


def _match(before: Measurement, after: Measurement, margin: float) -> _Matched:
    a, b = before.run.manifest, after.run.manifest
    if a is None or b is None:
        pairing = Pairing(tuple(range(len(before.forward_ns))), tuple(range(len(after.forward_ns))))
    else:
        pairing = pair_rounds(a, b)
    before, after, names = under_common_names(before, after)
    return _Matched(
        before.select(pairing.baseline),
        after.select(pairing.candidate),
        pairing,
        pairing.design(margin),
        align(before.calls, after.calls),
        names,
    )


def _compare_workload(pair: _Matched, by: By) -> WorkloadChange:
    before, after, design = pair.baseline, pair.candidate, pair.design
    data = (before.data, after.data)
    change = WorkloadChange(
        name=before.run.workload,
        baseline=_side([before], str(before.run.path), str(after.run.path)),
        candidate=_side([after], str(after.run.path), str(before.run.path)),
        paired=design.paired,
        forward=compare_forward(before, after, design),
        latency=compare_latency(before.latency_ns, after.latency_ns, design),
        resources=compare_resources(*data, design),
        operators=pair.operators(by),
        implementations=implementations(pair.alignment),
        unpaired=unpaired(pair.alignment),
        calls=call_changes(before.calls, after.calls),
        attribution=attribute(before, after, by),
        outputs=compare_outputs(*data),
        primitives=compare_primitives(data[0].primitives, data[1].primitives),
        fpmath=_fpmath_verdicts(before, after, design.margin),
        baseline_samples=_samples(before),
        candidate_samples=_samples(after),
    )
    found, ruled_out = find(change, before.run.manifest, after.run.manifest)
    return replace(change, findings=found, ruled_out=ruled_out)


def _regrouped(change: WorkloadChange, pair: _Matched, by: By) -> WorkloadChange:
    return replace(
        change,
        operators=pair.operators(by),
        attribution=attribute(pair.baseline, pair.candidate, by),
    )


def _fpmath_verdicts(before: Measurement, after: Measurement, margin: float) -> list[FpmathVerdict]:
    found = [judge_fpmath(side.data.reference, side.data, margin) for side in (before, after)]
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
