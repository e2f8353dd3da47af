"""Comparison: pairs the workloads of two folders of runs and says, for each, what changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from profkit.compare.attribution import attribute
from profkit.compare.differences import find_differences
from profkit.compare.outputs import compare_outputs
from profkit.compare.records import (
    Comparison,
    Estimate,
    ForwardChange,
    Latency,
    LatencyChange,
    OperatorChange,
    OperatorTimes,
    Side,
    Verdict,
    WorkloadChange,
)
from profkit.compare.statistics import ROUNDS_NEEDED, speedup, verdict
from profkit.errors import UsageError
from profkit.runs import Run, find_runs
from profkit.runs.measurement import OBSERVER_LIMIT, OBSERVER_SKEW, Measurement, OperatorSeries, measure
from profkit.trace.operators import Key
from profkit.trace.options import DEFAULT, By, ReadOptions
from profkit.trace.table import Integers


def compare_runs(
    baseline: str | Path, candidate: str | Path, by: By = "name", options: ReadOptions = DEFAULT
) -> Comparison:
    """Compare every workload that both folders (or files) have; operators by name, input shape, module or stack.

    Raises InputError where a side cannot be read, UsageError where they have no workload in common.
    """
    pairs = _pair(find_runs(baseline), find_runs(candidate), str(baseline), str(candidate))
    measured = [(measure(a, by, options), measure(b, by, options)) for a, b in pairs]
    workloads = [_compare_workload(a, b) for a, b in measured]
    speedups = [s for s in map(_speedup, workloads) if s is not None]
    geomean = math.exp(math.fsum(map(math.log, speedups)) / len(speedups)) if speedups else None
    return Comparison(
        baseline=_side([a for a, _ in measured], baseline, candidate),
        candidate=_side([b for _, b in measured], candidate, baseline),
        geomean_speedup=Estimate(value=geomean),
        workloads=workloads,
        differences=find_differences((a.workload, a.manifest, b.manifest) for a, b in pairs),
        warnings=_warnings(measured),
    )


def _speedup(workload: WorkloadChange) -> float | None:
    """Return what inference gained: by latency where it was measured, for the profiler slows things down."""
    return workload.latency.speedup if workload.latency is not None else workload.forward.speedup


def _pair(baseline: list[Run], candidate: list[Run], left: str, right: str) -> list[tuple[Run, Run]]:
    """Pair runs by workload; a lone run without a manifest on either side is paired with the other lone one."""
    for side, where in ((baseline, left), (candidate, right)):
        names = [run.workload for run in side]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            found = ", ".join(str(run.path) for run in side if run.workload == doubled[0])
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


def _side(measured: Sequence[Measurement], path: str | Path, other: str | Path) -> Side:
    manifests = [m.run.manifest for m in measured if m.run.manifest is not None]
    labels = {m.label for m in manifests}
    names = [Path(p).name.removesuffix(".gz").removesuffix(".json").removesuffix(".pt.trace") for p in (path, other)]
    short = names[0] if names[0] != names[1] else str(path)
    return Side(
        label=labels.pop() if len(labels) == 1 else short,
        path=str(path),
        torch=_common([m.torch for m in measured]),
        fpmath=_common([m.settings.fpmath for m in manifests]),
        mode=_common([m.settings.mode for m in manifests]),
        rounds=sum(len(m.forward_ns) for m in measured),
        forwards=sum(m.forwards for m in measured),
    )


def _common(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _compare_workload(baseline: Measurement, candidate: Measurement) -> WorkloadChange:
    resolution_ns = max(baseline.resolution_ns, candidate.resolution_ns)
    before, after = _median(baseline.forward_ns), _median(candidate.forward_ns)
    rules = dict.fromkeys((baseline.rule, candidate.rule))
    operators = [
        _compare_operator(key, baseline, candidate, resolution_ns)
        for key in dict.fromkeys([*baseline.operators, *candidate.operators])
    ]
    return WorkloadChange(
        name=baseline.run.workload,
        baseline=_side([baseline], baseline.run.path, candidate.run.path),
        candidate=_side([candidate], candidate.run.path, baseline.run.path),
        forward=ForwardChange(
            rule=" / ".join(rules),
            baseline_ns=before,
            candidate_ns=after,
            speedup=speedup(before, after),
            verdict=verdict(baseline.forward_ns, candidate.forward_ns, resolution_ns),
        ),
        latency=_compare_latency(baseline.latency_ns, candidate.latency_ns),
        operators=sorted(operators, key=lambda o: (-abs(o.delta_ns), o.name, o.place or "")),
        attribution=attribute(baseline, candidate),
        outputs=compare_outputs(baseline.run, candidate.run),
    )


def _compare_latency(baseline: Sequence[Integers], candidate: Sequence[Integers]) -> LatencyChange | None:
    if not baseline or not candidate:
        return None
    before, after = _latency(baseline), _latency(candidate)
    return LatencyChange(
        baseline=before,
        candidate=after,
        speedup=speedup(before.p50_ns, after.p50_ns),
        verdict=verdict(baseline, candidate, 0),
    )


def _latency(rounds: Sequence[Integers]) -> Latency:
    values = np.concatenate(rounds)
    p50, p90, p99 = (float(p) for p in np.percentile(values, (50, 90, 99)))
    return Latency(p50_ns=p50, p90_ns=p90, p99_ns=p99, mean_ns=float(values.mean()), n=len(values))


def _compare_operator(key: Key, baseline: Measurement, candidate: Measurement, resolution_ns: int) -> OperatorChange:
    before, after = baseline.operators.get(key), candidate.operators.get(key)
    left = None if before is None else _times(before)
    right = None if after is None else _times(after)
    outcome: Verdict
    if before is None or after is None:
        outcome = "added" if before is None else "removed"
    else:
        # each call's two ends may be off by one tick
        blur_ns = resolution_ns * float(max(np.median(before.calls), np.median(after.calls)))
        outcome = verdict(baseline.by_round(before.self_ns), candidate.by_round(after.self_ns), blur_ns)
    self_before = left.self_host_ns if left else 0.0
    self_after = right.self_host_ns if right else 0.0
    return OperatorChange(
        name=key[0],
        input_dims=key[1] if baseline.by == "shape" else None,
        module=key[1] if baseline.by == "module" else None,
        stack=key[1] if baseline.by == "stack" else None,
        baseline=left,
        candidate=right,
        speedup=speedup(self_before, self_after),
        delta_ns=self_after - self_before,
        verdict=outcome,
    )


def _times(series: OperatorSeries) -> OperatorTimes:
    return OperatorTimes(
        calls=float(np.median(series.calls)),
        self_host_ns=float(np.median(series.self_ns)),
        total_host_ns=float(np.median(series.total_ns)),
    )


def _median(rounds: Sequence[Integers]) -> float:
    return float(np.median(np.concatenate(rounds)))


def _warnings(measured: Sequence[tuple[Measurement, Measurement]]) -> list[str]:
    """Return what the reader must know before believing the figures."""
    found: list[str] = []
    for pair in measured:
        if pair[0].rule != pair[1].rule:
            found.append(
                f"{pair[0].run.workload}: the forward is found by different rules ({pair[0].rule}, {pair[1].rule}); "
                "their wall times include different things."
            )
        for side in pair:
            found += _warnings_of(side)
        effects = [e for e in (side.observer_effect for side in pair) if e is not None]
        if len(effects) == 2 and max(effects) > OBSERVER_SKEW * min(effects):
            found.append(
                f"{pair[0].run.workload}: the profiler slows the two sides differently ({effects[0]:.2f}x, "
                f"{effects[1]:.2f}x), so the changes of operator times hold its effect too; the latency does not."
            )
    return found


def _warnings_of(side: Measurement) -> list[str]:
    found = []
    who = f"{side.run.label} {side.run.workload}" if side.run.manifest is not None else str(side.run.path)
    manifest = side.run.manifest
    if side.forwards == 1:
        found.append(
            f"{who}: a single forward; its noise is unknown and the verdicts rest on the clock alone. "
            "Capture more with profkit capture --rounds 3."
        )
    elif len(side.forward_ns) < ROUNDS_NEEDED:
        found.append(
            f"{who}: a single round; how processes differ is unknown and the verdicts rest on the clock alone. "
            "Capture more with profkit capture --rounds 3."
        )
    if (effect := side.observer_effect) is not None and effect > OBSERVER_LIMIT:
        found.append(
            f"{who}: the profiler made the forward {effect:.2f} times slower; its operator times are inflated."
        )
    if any(side.anomalies.values()):
        odd = ", ".join(f"{n} {name}" for name, n in side.anomalies.items() if n)
        found.append(f"{who}: anomalies in the trace: {odd}.")
    if side.repairs:
        mended = ", ".join(f"{n} × {defect}" for defect, n in side.repairs.items())
        found.append(f"{who}: the trace was damaged and has been mended: {mended}.")
    if manifest is not None:
        if manifest.status != "complete":
            found.append(f"{who}: the capture did not finish: {manifest.reason}")
        found += [f"{who}: round {f.round}: {f.reason}; {f.instead}." for f in manifest.fallbacks]
        found += [f"{who}: {text}" for text in manifest.warnings]
    return found
