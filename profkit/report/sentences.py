"""The answer in sentences: the verdict with percent, interval and times, the largest part, and together."""

from __future__ import annotations

import math
from collections.abc import Iterator

from profkit import units
from profkit.comparison.records.diff import Comparison, WorkloadChange
from profkit.comparison.records.parts import Judged
from profkit.report.verdicts import speedup_text

_TWICE = 0.5  # a speedup: from here on a factor is easier to read than percent


def headline(change: WorkloadChange) -> str:
    """Return a workload's verdict in words, its times and rounds; for a change that is shown, its largest part."""
    latency = change.latency
    if latency is not None:
        before, after, what = latency.baseline.p50_ns, latency.candidate.p50_ns, f"{change.name}'s forward"
    else:
        before, after = change.forward.baseline_ns, change.forward.candidate_ns
        what = f"{change.name}'s forward under the profiler"
    times = f"{units.duration(before)} → {units.duration(after)}"
    text = f"{what}: {verdict_words(change.inference)}: {times}, {rounds_text(change)}"
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
        return f"no verdict ({units.ratio(speedup)}), because {judged.why_no_interval}"
    if judged.verdict == "faster":
        return f"{units.ratio(speedup)} faster {units.interval(low, high)}"
    if judged.verdict == "slower":
        return f"{percent_slower(speedup)}% slower [{percent_slower(high)}, {percent_slower(low)}]"
    best, worst = _percent(high), _percent(low)
    if judged.verdict == "same":
        return f"the same, between {best} and {worst}" if best != worst else "the same, to within 0.1%"
    return f"inconclusive, between {best} and {worst}"


def _percent(speedup: float) -> str:
    """Return a bound of a speedup as a change of the time in words."""
    if speedup >= 1:
        return f"{100 * (1 - 1 / speedup):.1f}% faster"
    if speedup > _TWICE:
        return f"{percent_slower(speedup)}% slower"
    factor = _inverse(speedup)
    return f"{units.ratio(factor)} slower" if math.isfinite(factor) else "any factor slower"


def _inverse(speedup: float) -> float:
    """Return 1 / ``speedup``; infinity for the bound 0, which a saved result may have."""
    return 1 / speedup if speedup and math.isfinite(1 / speedup) else math.inf


def percent_slower(speedup: float) -> str:
    """Return how much longer the candidate takes, as a number of percent with one decimal."""
    slower = 100 * (_inverse(speedup) - 1)
    return f"{slower:.1f}" if math.isfinite(slower) else units.NOTHING


def rounds_text(change: WorkloadChange) -> str:
    """Say how many rounds there are."""
    before, after = change.baseline.rounds, change.candidate.rounds
    if before == after:
        return f"{before} round{'s' * (before != 1)} a side"
    return f"{before} and {after} rounds"


def _largest_part(change: WorkloadChange) -> str:
    """Name the largest part in the direction of the change, if the profiled forwards show it too."""
    whole = change.attribution.forward_delta_ns
    if not explains_change(change):
        return "; the profiled forwards do not show the same change"
    shares = change.attribution.operators
    parts = [(_called(share.name), share.delta_ns) for share in shares if share.delta_ns * whole > 0]
    parts.append(("the time outside operators", change.attribution.outside_operators_ns))
    name, part = max(parts, key=lambda p: p[1] * (1 if whole > 0 else -1))
    text = f"; under the profiler {units.signed_duration(whole)}, largest part {name} {units.signed_duration(part)}"
    if abs(part) <= abs(whole) or not shares:
        return text
    # more than the whole: the work of another operator moved into this one
    against = min(shares, key=lambda share: share.delta_ns * whole)
    return f"{text}, against {_called(against.name)} {units.signed_duration(against.delta_ns)}"


def explains_change(change: WorkloadChange) -> bool:
    """Whether the attribution explains the change of the forward.

    The attribution is of the mean profiled forward. It explains a change that is shown, by the profiled forwards too,
    as far as the intervals tell by the same factor, and in the same direction as its parts.
    """
    shown = change.inference
    agree = shown.is_shown and change.forward.verdict == shown.verdict and _overlap(shown, change.forward)
    return agree and change.attribution.forward_delta_ns * (-1 if shown.verdict == "faster" else 1) > 0


def _overlap(one: Judged, other: Judged) -> bool:
    """Whether the intervals of two speedups have values in common; without intervals nothing speaks against it."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return True
    return one.low <= other.high and other.low <= one.high


def attribution_title(change: WorkloadChange) -> str:
    """Return what the attribution is called: that of a change only if there is one to explain."""
    return "attribution of the change" if explains_change(change) else "parts of the difference"


def attribution_note(change: WorkloadChange) -> str:
    """Say why the attribution explains nothing; empty if it explains the change."""
    if explains_change(change):
        return ""
    text = "These parts explain no change of the forward"
    shown, profiled = change.inference, change.forward
    if not profiled.is_shown:
        return f"{text}: it is not shown to change{' under the profiler' * shown.is_shown}."
    if profiled.verdict == shown.verdict and not _overlap(shown, profiled):
        return (
            f"{text}: it is {profiled.verdict} by another factor under the profiler. The rest of the difference may be "
            "the profiler's own time."
        )
    if profiled.verdict == shown.verdict:
        return f"{text}: its mean did not move the way its median did."
    words = {"faster": "faster", "slower": "slower", "same": "the same"}
    unprofiled = words.get(shown.verdict or "", "not shown to change")
    return (
        f"{text}: it is {profiled.verdict} under the profiler, but {unprofiled} with the profiler off. The difference "
        "may be the profiler's own time."
    )


def _called(name: str) -> str:
    """Return an operator's name as it can appear in a sentence: TorchScript's ``forward`` is not the forward."""
    return name if "::" in name or " " in name else f"the operator {name!r}"


def fpmath_warnings(change: WorkloadChange) -> Iterator[str]:
    """Yield a warning if the two sides differ by an fpmath mode that had no effect, whatever their latencies are."""
    paths = {change.baseline.path: change.candidate.label, change.candidate.path: change.baseline.label}
    for verdict in change.fpmath:
        if verdict.reference in paths and verdict.outcome in ("accepted without effect", "not accepted"):
            what = "had no effect" if verdict.outcome == "accepted without effect" else "was not accepted"
            tested = paths[verdict.reference]
            yield f"Warning: {verdict.mode} {what} in {tested}, so it causes no difference between these runs."


def together(comparison: Comparison) -> str | None:
    """Return the geometric mean of several workloads in words, and which are not in it; None for a single one."""
    if len(comparison.workloads) < 2:
        return None
    left_out = [w.name for w in comparison.workloads if w.inference.speedup is None]
    counted = len(comparison.workloads) - len(left_out)
    text = f"Geometric mean over {counted} workloads: {speedup_text(comparison.geomean_speedup)}"
    return text + (f", without {', '.join(left_out)}" if left_out else "")


def because(change: WorkloadChange) -> str:
    """Say what is the largest part of a change that is shown, or how many rounds would decide; empty if unknown."""
    if change.inference.is_shown:
        text = _largest_part(change).removeprefix("; ")
        return f"{text[0].upper()}{text[1:]}."
    needed = change.inference.rounds_needed
    return "" if needed is None else f"About {needed} more rounds per side would decide."


def answers(comparison: Comparison, *, headlines: bool = True) -> Iterator[str]:
    """Yield the sentences at the top of every report: per workload its headline, then all together.

    Without ``headlines``, what a page's cards say is left out.
    """
    for workload in comparison.workloads:
        if headlines:
            yield headline(workload)
        yield from fpmath_warnings(workload)
    if (text := together(comparison)) is not None:
        yield text
