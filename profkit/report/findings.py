"""Findings in words, for every format: what, how much, how certain, the evidence, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.compare.records.diff import Comparison, WorkloadChange
from profkit.compare.records.findings import Finding
from profkit.report.document import Paragraph, Tone
from profkit.report.page import Item

MOST = 5  # findings of a workload in a report; the JSON has them all
_CERTAINTY = {"shown": "shown beyond noise", "observed": "observed, without an interval"}


def finding_paragraphs(comparison: Comparison) -> Iterator[Paragraph]:
    """Yield the findings of each workload, the largest time first, and what is ruled out."""
    several = len(comparison.workloads) > 1
    for change in comparison.workloads:
        about = f"{change.name}: " if several else ""
        for finding in change.findings[:MOST]:
            yield Paragraph(f"Finding: {about}{_sentence(finding)}")
        if len(change.findings) > MOST:
            yield Paragraph(f"{about}{len(change.findings) - MOST} more findings: --format json has them all.", "dim")
        if change.ruled_out:
            yield Paragraph(f"Ruled out: {about}{_ruled_out(change)}.", "dim")


def finding_blocks(comparison: Comparison) -> Iterator[Item | Paragraph]:
    """Yield the same as the blocks of a page."""
    several = len(comparison.workloads) > 1
    for change in comparison.workloads:
        about = f"{change.name}: " if several else ""
        for finding in change.findings[:MOST]:
            yield Item(
                "" if finding.delta_ns is None else f"{units.signed_duration(finding.delta_ns)} per forward",
                _tone(finding.delta_ns),
                f"{about}{finding.what}",
                _CERTAINTY[finding.certainty],
                finding.evidence,
                finding.advice,
                finding.source,
            )
        if len(change.findings) > MOST:
            yield Paragraph(f"{about}{len(change.findings) - MOST} more findings: the JSON has them all.", "dim")
        if change.ruled_out:
            yield Paragraph(f"Ruled out: {about}{_ruled_out(change)}.", "dim")


def _tone(delta_ns: float | None) -> Tone:
    return "plain" if not delta_ns else "good" if delta_ns < 0 else "bad"


def first_finding(change: WorkloadChange) -> str:
    """Return the largest finding in the direction of the change that is shown, in a sentence; empty without one."""
    sign = {"slower": 1, "faster": -1}.get(change.inference.verdict or "", 0)
    first = next((found for found in change.findings if (found.delta_ns or 0) * sign > 0), None)
    return "" if first is None else f"{units.signed_duration(first.delta_ns)} per forward: {first.what}."


def _sentence(finding: Finding) -> str:
    amount = "" if finding.delta_ns is None else f"{units.signed_duration(finding.delta_ns)} per forward: "
    text = f"{amount}{finding.what} ({_CERTAINTY[finding.certainty]})."
    if finding.evidence:
        text += f" Evidence: {'; '.join(finding.evidence)}."
    if finding.advice:
        text += f" {finding.advice}"
    return text + (f" See {finding.source}" if finding.source else "")


def _ruled_out(change: WorkloadChange) -> str:
    return "; ".join(dict.fromkeys(cause.what for cause in change.ruled_out))
