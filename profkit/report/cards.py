"""The cards at the top of a page: a verdict in a word, by how much, from what to what, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.document import Tone
from profkit.report.findings import first_finding
from profkit.report.page import Card
from profkit.report.sentences import because, percent_slower, rounds_text
from profkit.report.verdicts import DECIDED, TONES

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison, WorkloadChange
    from profkit.comparison.records.many import Overview, RunOverview
    from profkit.comparison.records.parts import Judged

WORDS = {"faster": "faster", "slower": "slower", "same": "the same", "inconclusive": "inconclusive"}


def diff_cards(comparison: Comparison) -> Iterator[Card]:
    """Yield a card per workload, and one for all of them together if there are several."""
    for change in comparison.workloads:
        yield _workload(change)
    if len(comparison.workloads) > 1:
        yield _card(f"all {len(comparison.workloads)} workloads, geometric mean", comparison.geomean_speedup, "", [])


def _workload(change: WorkloadChange) -> Card:
    latency = change.latency
    if latency is not None:
        before, after, what = latency.baseline.p50_ns, latency.candidate.p50_ns, "median latency, profiler off"
        forwards = f"{latency.baseline.n} and {latency.candidate.n} forwards"
    else:
        before, after, what = change.forward.baseline_ns, change.forward.candidate_ns, "median forward, profiled"
        forwards = f"{change.baseline.forwards} and {change.candidate.forwards} forwards"
    times = f"{units.duration(before)} → {units.duration(after)}"
    subject = f"{change.name}: {what}"
    return _card(
        subject,
        change.inference,
        times,
        [rounds_text(change), forwards],
        first_finding(change, change.inference.verdict) or because(change),
    )


def compare_card(overview: Overview) -> Card | None:
    """Return the card of the run with the lowest times; None if no run has a workload of the baseline."""
    best = next((run for run in overview.runs if run.label in overview.fastest[:1]), None)
    if best is None or not any(run.geomean_speedup.speedup for run in overview.runs if run.label != overview.baseline):
        return None
    if overview.baseline in overview.fastest:
        return Card(
            f"relative to {overview.baseline}", f"no run is shown to be faster than {overview.baseline}", "dim", "", ""
        )
    subject = f"{best.label} relative to {overview.baseline}"
    if len(overview.workloads) > 1:
        subject += ", geometric mean"
    times, facts = _times(overview, best)
    found = overview.findings[0] if len(overview.findings) == 1 else None
    first = first_finding(found, best.geomean_speedup.verdict) if found is not None else ""
    return _card(subject, best.geomean_speedup, times, facts, first)


def _times(overview: Overview, best: RunOverview) -> tuple[str, list[str]]:
    """Return the medians of the baseline and the best run and their rounds, if there is only one workload."""
    base = next((run for run in overview.runs if run.label == overview.baseline), None)
    if base is None or len(overview.workloads) != 1 or len(base.entries) != 1 or len(best.entries) != 1:
        return "", [f"{len(overview.workloads)} workloads"]
    before, after = base.entries[0], best.entries[0]
    times = f"{units.duration(before.wall.p50_ns)} → {units.duration(after.wall.p50_ns)}"
    return times, [f"{before.rounds} and {after.rounds} rounds", f"{before.wall.n} and {after.wall.n} forwards"]


def _card(subject: str, judged: Judged, times: str, facts: list[str], because: str = "") -> Card:
    verdict = judged.verdict or ""
    tone: Tone = TONES.get(verdict, "dim")
    amount, interval = "", units.interval(judged.low, judged.high)
    if verdict == "slower" and judged.speedup and judged.low and judged.high:
        amount = f"{percent_slower(judged.speedup)}%"
        interval = f"[{percent_slower(judged.high)}, {percent_slower(judged.low)}] %"
    elif verdict in DECIDED:
        amount = units.ratio(judged.speedup)
    elif interval:
        interval = f"speedup {units.ratio(judged.speedup)} {interval}"
    shown = [f"95% interval: {interval}"] if interval else []
    if judged.no_interval is not None or not (interval or verdict):
        shown = [judged.why_no_interval]
    return Card(subject, WORDS.get(verdict, "no verdict"), tone, amount, times, [*shown, *facts], because)
