"""The answer in sentences: the verdict with percent, interval and times, the largest part, and together."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.compare.records.diff import Comparison, WorkloadChange
from profkit.compare.records.parts import Judged
from profkit.report.verdicts import speedup_text

LARGE_PART = 0.2  # of the change of the forward: a smaller cause does not explain it


def headline(change: WorkloadChange) -> str:
    """Return a workload's verdict in words, its times and rounds; for a change that is shown, its largest part."""
    latency = change.latency
    if latency is not None:
        before, after, what = latency.baseline.p50_ns, latency.candidate.p50_ns, f"{change.name}'s forward"
    else:
        before, after = change.forward.baseline_ns, change.forward.candidate_ns
        what = f"{change.name}'s forward under the profiler"
    times = f"{units.duration(before)} → {units.duration(after)}"
    text = f"{what}: {verdict_words(change.inference)}: {times}, {_rounds(change)}"
    if change.inference.is_shown:
        return f"{text}{_largest_part(change)}."
    needed = change.inference.rounds_needed
    return f"{text}." if needed is None else f"{text}; about {needed} more rounds per side would decide."


def verdict_words(judged: Judged) -> str:
    """Return a verdict with percent and interval: ``17.7% slower [14.6, 21.3]``, ``1.39x faster [1.30, 1.53]``."""
    speedup, low, high = judged.speedup, judged.low, judged.high
    if judged.verdict == "unresolved":
        return "the change is smaller than the clock can show"
    if speedup is None:
        return "no speedup, because a side took no time"
    if low is None or high is None:
        return f"no verdict ({units.ratio(speedup)}), because a single round gives no interval"
    if judged.verdict == "faster":
        return f"{units.ratio(speedup)} faster {units.interval(low, high)}"
    if judged.verdict == "slower":
        slower = [f"{100 * (1 / bound - 1):.1f}" for bound in (speedup, high, low)]
        return f"{slower[0]}% slower [{slower[1]}, {slower[2]}]"
    between = f"between {_percent(high)} and {_percent(low)}"
    if judged.verdict == "same":
        return f"the same, {between}"
    return f"inconclusive, {between}"


def _percent(speedup: float) -> str:
    """Return a bound of a speedup as a change of the time in words."""
    return f"{100 * (1 - 1 / speedup):.1f}% faster" if speedup >= 1 else f"{100 * (1 / speedup - 1):.1f}% slower"


def _rounds(change: WorkloadChange) -> str:
    before, after = change.baseline.rounds, change.candidate.rounds
    if before == after:
        return f"{before} round{'s' * (before != 1)} a side"
    return f"{before} and {after} rounds"


def _largest_part(change: WorkloadChange) -> str:
    """Name the largest part in the direction of the change, as the profiled forwards show it."""
    whole = change.attribution.forward_delta_ns
    faster = change.inference.verdict == "faster"
    if not whole or (whole < 0) != faster:
        return "; the profiled forwards do not show this change"
    shares = change.attribution.operators
    parts = [(_called(share.name), share.delta_ns) for share in shares if share.delta_ns * whole > 0]
    parts.append(("the time outside operators", change.attribution.outside_operators_ns))
    name, part = max(parts, key=lambda p: p[1] * (1 if whole > 0 else -1))
    text = f"; under the profiler {units.signed_duration(whole)}, largest part {name} {units.signed_duration(part)}"
    if abs(part) <= abs(whole):
        return text
    # more than the whole: the work of another operator moved into this one
    against = min(shares, key=lambda share: share.delta_ns * whole)
    return f"{text}, against {_called(against.name)} {units.signed_duration(against.delta_ns)}"


def _called(name: str) -> str:
    """Return an operator's name as it can appear in a sentence: TorchScript's ``forward`` is not the forward."""
    return name if "::" in name or " " in name else f"the operator {name!r}"


def primitives_reason(change: WorkloadChange) -> str | None:
    """Say which reorders of weights or creations of primitives began or stopped in every forward; None if none."""
    primitives = change.primitives
    if primitives is None or not change.inference.is_shown:
        return None
    whole = abs(change.attribution.forward_delta_ns)
    found = []
    for what, field in (("reorders of weights", "weights_reorder_ns"), ("creation of primitives", "create_ns")):
        before, after = (getattr(side, field) for side in (primitives.baseline, primitives.candidate))
        if abs(after - before) >= LARGE_PART * whole:
            found.append(f"{what} {units.duration(before)} → {units.duration(after)} per forward")
    return f"oneDNN's log: {'; '.join(found)}." if found else None


def together(comparison: Comparison) -> str | None:
    """Return the geometric mean of several workloads in words, and which are not in it; None for a single one."""
    if len(comparison.workloads) < 2:
        return None
    left_out = [w.name for w in comparison.workloads if w.inference.speedup is None]
    counted = len(comparison.workloads) - len(left_out)
    text = f"Geometric mean over {counted} workloads: {speedup_text(comparison.geomean_speedup)}"
    return text + (f", without {', '.join(left_out)}" if left_out else "")


def answers(comparison: Comparison) -> Iterator[str]:
    """Yield the sentences at the top of every report: per workload its headline and cause, then all together."""
    for workload in comparison.workloads:
        yield headline(workload)
        if (text := primitives_reason(workload)) is not None:
            yield text
    if (text := together(comparison)) is not None:
        yield text
