"""What changed, operator by operator: figures, evidence, verdicts, and who stands for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from profkit.compare.calls.implementations import Replacement
from profkit.compare.calls.renamed import known_since
from profkit.compare.records.diff import Estimate, OperatorChange, OperatorTimes, Verdict
from profkit.runs.measurement import Measurement, OperatorSeries
from profkit.stats.inference import Evidence, Rounds, speedup, verdict, weigh
from profkit.trace.operators import Key


def compare_operators(
    baseline: Measurement, candidate: Measurement, replaced: tuple[Mapping[str, Replacement], Mapping[str, Replacement]]
) -> list[OperatorChange]:
    """Compare every operator that a side has, the largest change first.

    ``replaced`` names, per side, what does the work of operators over there; it matters for those that stand on one
    side only.
    """
    shared = [key for key in baseline.operators if key in candidate.operators]
    changes = []
    if shared:
        evidence = _evidence(shared, baseline, candidate)
        totals = weigh(_rounds(shared, baseline, "total_ns"), _rounds(shared, candidate, "total_ns"))
        changes = [_change(key, k, (evidence, totals), baseline, candidate) for k, key in enumerate(shared)]
    names = [{key[0] for key in side.operators} for side in (baseline, candidate)]
    for k, (here, there) in enumerate(((baseline, candidate), (candidate, baseline))):
        for key in here.operators:
            if key not in there.operators:
                partner = _partner(key[0], here, replaced[k]) if key[0] not in names[1 - k] else None
                changes.append(_one_sided(key, here, is_new=bool(k), partner=partner))
    return sorted(changes, key=lambda o: (-abs(o.delta_ns), o.name, o.place or ""))


def _partner(name: str, side: Measurement, replaced: Mapping[str, Replacement]) -> str | None:
    """Return what does an operator's work over there, where every call of it in every forward is explained."""
    found = replaced.get(name)
    series = [s.calls for key, s in side.operators.items() if key[0] == name]
    return found.by if found is not None and (np.sum(series, axis=0) == found.calls).all() else None


def _evidence(shared: Sequence[Key], baseline: Measurement, candidate: Measurement) -> Evidence:
    sides = [_rounds(shared, side, "self_ns") for side in (baseline, candidate)]
    medians = [np.median(np.concatenate(side, axis=1), axis=1) for side in sides]
    forwards = [np.median(np.concatenate(side.forward_ns)) for side in (baseline, candidate)]
    share = np.maximum(medians[0] / max(forwards[0], 1), medians[1] / max(forwards[1], 1))
    return weigh(sides[0], sides[1], share=share)


def _rounds(keys: Sequence[Key], side: Measurement, figure: str) -> Rounds:
    return side.by_round(np.stack([getattr(side.operators[key], figure) for key in keys]))


def _change(
    key: Key, place: int, evidence: tuple[Evidence, Evidence], baseline: Measurement, candidate: Measurement
) -> OperatorChange:
    before, after = baseline.operators[key], candidate.operators[key]
    left, right = _times(before, baseline), _times(after, candidate)
    # each call's two ends may be off by one tick
    blur_ns = max(baseline.resolution_ns, candidate.resolution_ns) * max(left.calls, right.calls)
    delta_ns = right.self_host_ns - left.self_host_ns
    ratio = speedup(left.self_host_ns, right.self_host_ns)
    q_value = float(evidence[0].q_value[place])
    shown = evidence[0].interval(place, ratio)
    total = speedup(left.total_host_ns, right.total_host_ns)
    around = evidence[1].interval(place, total)
    return OperatorChange(
        name=key[0],
        input_dims=key[1] if baseline.by == "shape" else None,
        module=key[1] if baseline.by == "module" else None,
        stack=key[1] if baseline.by == "stack" else None,
        baseline=left,
        candidate=right,
        speedup=ratio,
        low=shown.low,
        high=shown.high,
        p_value=shown.p_value,
        q_value=None if shown.p_value is None else q_value,
        total=Estimate(value=total, low=around.low, high=around.high),
        total_verdict=verdict(
            right.total_host_ns - left.total_host_ns,
            blur_ns,
            float(evidence[1].q_value[place]),
            float(evidence[1].log_ratio[place]),
        ),
        delta_ns=delta_ns,
        verdict=verdict(delta_ns, blur_ns, q_value, float(evidence[0].log_ratio[place])),
    )


def _one_sided(key: Key, side: Measurement, *, is_new: bool, partner: str | None) -> OperatorChange:
    times = _times(side.operators[key], side)
    outcome: Verdict = "replaced" if partner is not None else "added" if is_new else "removed"
    return OperatorChange(
        name=key[0],
        input_dims=key[1] if side.by == "shape" else None,
        module=key[1] if side.by == "module" else None,
        stack=key[1] if side.by == "stack" else None,
        baseline=None if is_new else times,
        candidate=times if is_new else None,
        speedup=None,
        delta_ns=times.self_host_ns if is_new else -times.self_host_ns,
        verdict=outcome,
        paired_with=partner,
        since=known_since(key[0]) if is_new else None,
    )


def _times(series: OperatorSeries, side: Measurement) -> OperatorTimes:
    calls, self_ns = float(np.median(series.calls)), float(np.median(series.self_ns))
    cost = side.recording_ns
    return OperatorTimes(
        calls=calls,
        self_host_ns=self_ns,
        total_host_ns=float(np.median(series.total_ns)),
        profiler_share=None if cost is None or not self_ns else min(1.0, cost * calls / self_ns),
    )
