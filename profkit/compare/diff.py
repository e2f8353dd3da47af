"""Comparison: pairs the workloads of two folders of runs and says, for each, what changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from profkit.arrays import Integers
from profkit.compare.attribution import attribute
from profkit.compare.calls.align import align
from profkit.compare.calls.implementations import implementations, replacements, unpaired
from profkit.compare.calls.merged_tree import call_changes
from profkit.compare.cautions import cautions
from profkit.compare.configuration import find_differences
from profkit.compare.fpmath import find_strict, is_strict_twin, judge_fpmath
from profkit.compare.latency import compare_latency, geometric_mean, row
from profkit.compare.operators import compare_operators
from profkit.compare.outputs import compare_outputs
from profkit.compare.primitives import compare_primitives
from profkit.compare.records.diff import Comparison, ForwardChange, FpmathVerdict, Samples, Side, WorkloadChange
from profkit.errors import UsageError
from profkit.runs import Run, find_runs
from profkit.runs.measurement import Measurement, measure
from profkit.stats.inference import speedup, verdict, weigh
from profkit.trace.options import DEFAULT, By, ReadOptions


def compare_runs(
    baseline: str | Path, candidate: str | Path, by: By = "name", options: ReadOptions = DEFAULT
) -> Comparison:
    """Compare every workload that both folders (or files) have; operators by name, input shape, module or stack.

    Raises InputError where a side cannot be read, UsageError where they have no workload in common.
    """
    pairs = _pair(find_runs(baseline), find_runs(candidate), str(baseline), str(candidate))
    pairs, left_out = _with_traces(pairs)
    measured = [[measure(run, by, options, with_calls=True) for run in pair] for pair in pairs]
    return Comparison(
        baseline=side([a for a, _ in measured], baseline, candidate),
        candidate=side([b for _, b in measured], candidate, baseline),
        geomean_speedup=geometric_mean(measured),
        workloads=[_compare_workload(a, b, options) for a, b in measured],
        differences=find_differences((a.workload, a.manifest, b.manifest) for a, b in pairs),
        warnings=[*left_out, *(text for a, b in measured for text in cautions(a, b))],
    )


def _pair(baseline: list[Run], candidate: list[Run], left: str, right: str) -> list[tuple[Run, Run]]:
    """Pair runs by workload; a lone run without a manifest on either side is paired with the other lone one."""
    for runs, where in ((baseline, left), (candidate, right)):
        names = [run.workload for run in runs]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            found = ", ".join(str(run.path) for run in runs if run.workload == doubled[0])
            raise UsageError(f"{where} holds several runs of {doubled[0]}: {found}", hint="Name one of them.")
    if len(baseline) == len(candidate) == 1 and None in (baseline[0].manifest, candidate[0].manifest):
        return [(baseline[0], candidate[0])]
    others = {run.workload: run for run in candidate}
    pairs = [(run, others[run.workload]) for run in baseline if run.workload in others]
    if not pairs:
        have = [f"{p} has {', '.join(r.workload for r in s)}" for p, s in ((left, baseline), (right, candidate))]
        raise UsageError(
            f"no workload in common: {'; '.join(have)}",
            hint="Capture the same workload on both sides, or name two runs of the same one.",
        )
    return pairs


def _with_traces(pairs: list[tuple[Run, Run]]) -> tuple[list[tuple[Run, Run]], list[str]]:
    """Return the pairs with a trace on both sides, and a warning for each other one; raises InputError for none."""
    whole = [pair for pair in pairs if all(run.traces for run in pair)]
    lacking = [run for pair in pairs for run in pair if not run.traces]
    if not whole:
        lacking[0].require_traces()
    reasons = [(run, run.manifest.reason if run.manifest else None) for run in lacking]
    return whole, [
        f"{run.label} {run.workload} is left out: {reason or 'it holds no trace'}." for run, reason in reasons
    ]


def side(measured: Sequence[Measurement], path: str | Path, other: str | Path) -> Side:
    """Say who stands on one side; what is not the same in all of its runs is null."""
    manifests = [m.run.manifest for m in measured if m.run.manifest is not None]
    labels = {m.label for m in manifests}
    names = [Run(Path(p), ()).workload for p in (path, other)]
    short = names[0] if names[0] != names[1] else str(path)
    return Side(
        label=labels.pop() if len(labels) == 1 else short,
        path=str(path),
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


def _compare_workload(baseline: Measurement, candidate: Measurement, options: ReadOptions) -> WorkloadChange:
    aligned = align(baseline.calls, candidate.calls)
    return WorkloadChange(
        name=baseline.run.workload,
        baseline=side([baseline], baseline.run.path, candidate.run.path),
        candidate=side([candidate], candidate.run.path, baseline.run.path),
        forward=_compare_forward(baseline, candidate),
        latency=compare_latency(baseline.latency_ns, candidate.latency_ns),
        operators=compare_operators(baseline, candidate, replacements(aligned)),
        implementations=implementations(aligned),
        unpaired=unpaired(aligned),
        calls=call_changes(baseline.calls, candidate.calls),
        attribution=attribute(baseline, candidate),
        outputs=compare_outputs(baseline.run, candidate.run),
        primitives=compare_primitives(baseline.run, candidate.run, options),
        fpmath=_fpmath_verdicts(baseline.run, candidate.run, options),
        baseline_samples=_samples(baseline),
        candidate_samples=_samples(candidate),
    )


def _fpmath_verdicts(baseline: Run, candidate: Run, options: ReadOptions) -> list[FpmathVerdict]:
    """Judge the fpmath mode of a side against the other where that is the same in FP32, else against what lies near."""
    found = []
    for run, other in ((baseline, candidate), (candidate, baseline)):
        strict = other if is_strict_twin(run, other) else find_strict(run)
        if (verdict_ := judge_fpmath(strict, run, options)) is not None:
            found.append(verdict_)
    return found


def _compare_forward(baseline: Measurement, candidate: Measurement) -> ForwardChange:
    before, after = (float(np.median(np.concatenate(m.forward_ns))) for m in (baseline, candidate))
    evidence = weigh(row(baseline.forward_ns), row(candidate.forward_ns))
    ratio = speedup(before, after)
    shown = evidence.interval(0, ratio)
    resolution_ns = max(baseline.resolution_ns, candidate.resolution_ns)
    return ForwardChange(
        rule=" / ".join(dict.fromkeys((baseline.rule, candidate.rule))),
        baseline_ns=before,
        candidate_ns=after,
        speedup=ratio,
        low=shown.low,
        high=shown.high,
        p_value=shown.p_value,
        verdict=verdict(after - before, resolution_ns, float(evidence.q_value[0]), float(evidence.log_ratio[0])),
    )


def _samples(measured: Measurement) -> Samples:
    return Samples(forward_ns=_lists(measured.forward_ns), latency_ns=_lists(measured.latency_ns))


def _lists(rounds: Sequence[Integers]) -> list[list[int]]:
    return [forwards.tolist() for forwards in rounds]
