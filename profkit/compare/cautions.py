"""What the reader must know before believing the figures."""

from __future__ import annotations

from collections.abc import Iterator

from profkit.runs.measurement import OBSERVER_LIMIT, OBSERVER_SKEW, Measurement
from profkit.stats.stability import oddities


def cautions(baseline: Measurement, candidate: Measurement) -> Iterator[str]:
    """Yield the warnings about one workload's comparison."""
    workload = baseline.run.workload
    if baseline.rule != candidate.rule:
        yield (
            f"{workload}: the forward is found by different rules ({baseline.rule}, {candidate.rule}); "
            "their wall times include different things."
        )
    for side in (baseline, candidate):
        if not side.operators:
            yield f"{workload}: no operator begins in a forward of {side.run.label}, so there is none to compare."
    if baseline.run.path.resolve() == candidate.run.path.resolve():
        yield f"{workload}: both sides are the same run."
        yield from _about(baseline)
        return
    for side in (baseline, candidate):
        yield from _about(side)
    effects = [e for e in (side.observer_effect for side in (baseline, candidate)) if e is not None]
    if len(effects) == 2 and max(effects) > OBSERVER_SKEW * min(effects):
        yield (
            f"{workload}: the profiler slows the two sides differently ({effects[0]:.2f}x, "
            f"{effects[1]:.2f}x), so the changes of operator times hold its effect too; the latency does not."
        )


def _about(side: Measurement) -> Iterator[str]:
    manifest = side.run.manifest
    who = f"{side.run.label} {side.run.workload}" if manifest is not None else str(side.run.path)
    for text in oddities(side.latency_ns or side.forward_ns):
        yield f"{who}: {text}"
    if (effect := side.observer_effect) is not None and effect > OBSERVER_LIMIT:
        yield f"{who}: the profiler made the forward {effect:.2f} times slower; its operator times are inflated."
    if any(side.anomalies.values()):
        odd = ", ".join(f"{n} {name}" for name, n in side.anomalies.items() if n)
        yield f"{who}: anomalies in the trace: {odd}."
    if side.repairs:
        mended = ", ".join(f"{n} × {defect}" for defect, n in side.repairs.items())
        yield f"{who}: the trace was damaged and has been mended: {mended}."
    if side.calls.others:
        whole = side.calls.others + len(side.calls.total_ns)
        yield (
            f"{who}: {side.calls.others} of {whole} forwards call other operators than the rest; calls are aligned "
            "by the most frequent kind."
        )
    if manifest is not None:
        if manifest.status != "complete":
            yield f"{who}: the capture did not finish: {manifest.reason}"
        yield from (f"{who}: round {f.round}: {f.reason}; {f.instead}." for f in manifest.fallbacks)
        yield from (f"{who}: {text}" for text in manifest.warnings)
