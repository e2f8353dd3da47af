"""Findings in words, for every format: what, how much, how certain, the evidence, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from profkit import units
from profkit.comparison.records.diff import Comparison, WorkloadChange
from profkit.comparison.records.findings import Finding
from profkit.comparison.records.many import Overview, RunFindings
from profkit.comparison.records.sweep import SweepStep
from profkit.report.document import Paragraph, Tone
from profkit.report.page import Item

MOST = 5  # findings of a workload in a report; the JSON has them all
_CERTAINTY = {"shown": "shown beyond noise", "observed": "observed, without an interval"}


Explained = WorkloadChange | RunFindings | SweepStep
"""What has findings and causes that are ruled out."""


def paragraphs_of(blocks: Iterable[Item | Paragraph]) -> Iterator[Paragraph]:
    """Yield the blocks of :func:`finding_blocks` as paragraphs."""
    for block in blocks:
        yield block if isinstance(block, Paragraph) else Paragraph(f"Finding: {_sentence(block)}")


def finding_blocks(found: Iterable[tuple[str, Explained]]) -> Iterator[Item | Paragraph]:
    """Yield the findings of each (what it is about, or "" if that is clear; change), and what is ruled out."""
    for subject, change in found:
        about = f"{subject}: " if subject else ""
        for finding in change.findings[:MOST]:
            yield Item(
                _amount(finding),
                _tone(finding),
                f"{about}{finding.what}",
                _CERTAINTY[finding.certainty],
                finding.evidence,
                finding.advice,
                finding.source,
            )
        if len(change.findings) > MOST:
            yield Paragraph(f"{about}{len(change.findings) - MOST} more findings: the JSON has them all.", "dim")
        if change.ruled_out:
            causes = dict.fromkeys(cause.what for cause in change.ruled_out)
            yield Paragraph(f"Ruled out: {about}{'; '.join(causes)}.", "dim")


def _amount(finding: Finding) -> str:
    return "" if finding.delta_ns is None else f"{units.signed_duration(finding.delta_ns)} per forward"


def _tone(finding: Finding) -> Tone:
    """Return the colour of the amount: that of a verdict only if a verdict shows it."""
    if finding.certainty != "shown" or not finding.delta_ns:
        return "plain"
    return "good" if finding.delta_ns < 0 else "bad"


def by_workload(comparison: Comparison) -> list[tuple[str, Explained]]:
    """Return the changes of a comparison, each with what its findings are about."""
    several = len(comparison.workloads) > 1
    return [(change.name if several else "", change) for change in comparison.workloads]


def by_run(overview: Overview) -> list[tuple[str, Explained]]:
    """Return the findings of an overview, each with what they are about."""
    several = len(overview.workloads) > 1
    return [(f"{found.label} {found.workload}" if several else found.label, found) for found in overview.findings]


def findings_of(result: object) -> list[Finding]:
    """Return the findings of a result, those of several workloads one after the other; [] for a kind without any."""
    if isinstance(result, Comparison):
        return [finding for change in result.workloads for finding in change.findings]
    if isinstance(result, Overview):
        return [finding for found in result.findings for finding in found.findings]
    return []


def first_finding(change: Explained, verdict: str | None) -> str:
    """Return the largest finding in the direction of the verdict, in a sentence; empty without one."""
    sign = {"slower": 1, "faster": -1}.get(verdict or "", 0)
    first = next((found for found in change.findings if (found.delta_ns or 0) * sign > 0), None)
    return "" if first is None else f"{_amount(first)}: {first.what} ({_CERTAINTY[first.certainty]})."


def _sentence(item: Item) -> str:
    text = f"{item.amount}{': ' * bool(item.amount)}{item.what} ({item.certainty})."
    if item.evidence:
        text += f" Evidence: {'; '.join(item.evidence)}."
    if item.advice:
        text += f" {item.advice}"
    return text + (f" See {item.source}" if item.source else "")
