"""The answer in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.compare.records.diff import Comparison, ForwardChange, LatencyChange, WorkloadChange
from profkit.report.verdicts import speedup_text

_SHOWN = ("faster", "slower")
MATTERS = 0.2  # of the change of the forward, from which on a reason is worth a sentence


def headline(change: WorkloadChange) -> str:
    """Say whether a workload's forward got faster, how sure that is, and which operator did most of it."""
    found = change.inference
    if isinstance(found, LatencyChange):
        before, after, how = found.baseline.p50_ns, found.candidate.p50_ns, ""
    else:
        before, after, how = found.baseline_ns, found.candidate_ns, " under the profiler"
    interval = units.interval(found.low, found.high)
    ratio = f"{units.ratio(found.speedup)}{' ' * bool(interval)}{interval}"
    if found.verdict not in _SHOWN:
        why = _why_not(found)
        return (
            f"{change.name}'s forward{how} shows no change: {units.duration(before)} and {units.duration(after)} "
            f"({ratio}); {why}."
        )
    text = f"{change.name}'s forward{how} went from {units.duration(before)} to {units.duration(after)} ({ratio})"
    return f"{text}{_responsible(change, shown_off=isinstance(found, LatencyChange))}."


def _why_not(found: ForwardChange | LatencyChange) -> str:
    """Say why nothing is shown."""
    if found.verdict == "unresolved":
        return "the clock resolves no more"
    if found.low is None or found.high is None:
        return "the forwards of a single round scatter as much"
    return "its 95% CI includes 1" if found.low <= 1 <= found.high else "a rank test does not confirm it"


def _responsible(change: WorkloadChange, *, shown_off: bool) -> str:
    """Name the largest part in the same direction as the whole; under the profiler that may not be the latency's."""
    whole = change.attribution.forward_delta_ns
    faster = change.inference.verdict == "faster"
    if not whole or (whole < 0) != faster:
        return ", which the profiled forwards do not show"
    parts = [(share.name, share.delta_ns) for share in change.attribution.operators if share.delta_ns * whole > 0]
    parts.append(("the time outside operators", change.attribution.outside_operators_ns))
    name, part = max(parts, key=lambda p: p[1] * (1 if whole > 0 else -1))
    more = "less" if faster else "more"
    where = f"under the profiler the mean forward took {units.duration(abs(whole))} {more}"
    if not shown_off:
        where = f"the mean forward took {units.duration(abs(whole))} {more}"
    if abs(part) <= abs(whole):
        return f"; {where}, {units.duration(abs(part))} of it in {_called(name)}"
    # more than the whole, as where one operator's work went over to another
    against = min(change.attribution.operators, key=lambda share: share.delta_ns * whole)
    changes = [
        f"{_called(n)} {units.signed_duration(ns)}" for n, ns in ((name, part), (against.name, against.delta_ns))
    ]
    return f"; {where}: {' and '.join(changes)}"


def _called(name: str) -> str:
    """Return an operator's name as it can stand in a sentence: TorchScript's ``forward`` is no forward."""
    return name if "::" in name or " " in name else f"the operator {name}"


def primitives_reason(change: WorkloadChange) -> str | None:
    """Say what changed in oneDNN's log apart from the primitives: reorders and creations in every forward."""
    primitives = change.primitives
    if primitives is None or change.inference.verdict not in _SHOWN:
        return None
    whole = abs(change.attribution.forward_delta_ns)
    found = []
    for what, field in (
        ("bringing weights into another layout", "weights_reorder_ns"),
        ("creating primitives", "create_ns"),
    ):
        before, after = (getattr(side, field) for side in (primitives.baseline, primitives.candidate))
        if abs(after - before) >= MATTERS * whole:
            then, now = (units.duration(ns) if ns else "no time" for ns in (before, after))
            found.append(f"{what} took {then} in every forward before, and takes {now} now")
    return f"oneDNN's log: {'; '.join(found)}." if found else None


def together(comparison: Comparison) -> str | None:
    """Say what several workloads gained together, and which are not in it; None where there is but one."""
    if len(comparison.workloads) < 2:
        return None
    left_out = [w.name for w in comparison.workloads if w.inference.speedup is None]
    counted = len(comparison.workloads) - len(left_out)
    text = f"Geometric mean over {counted} workloads: {speedup_text(comparison.geomean_speedup)}"
    return text + (f", without {', '.join(left_out)}" if left_out else "")


def answers(comparison: Comparison) -> Iterator[str]:
    """Yield what stands on top of every report: each workload's headline, its reason, and all together."""
    for workload in comparison.workloads:
        yield headline(workload)
        if (text := primitives_reason(workload)) is not None:
            yield text
    if (text := together(comparison)) is not None:
        yield text
