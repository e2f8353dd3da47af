"""Rules over a comparison: each says what it found and what it ruled out, in a file of its own."""

from __future__ import annotations

from collections.abc import Sequence

from profkit.comparison.findings import (
    fpmath_mode,
    machine,
    observer_effect,
    outputs,
    overhead,
    page_faults,
    primitive_cache,
    reference_code,
    threads,
    type_conversions,
    weight_reorders,
    work_done_by_others,
)
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.diff import WorkloadChange
from profkit.comparison.records.findings import Finding, RuledOut
from profkit.runs.manifest import Manifest

RULES = (
    weight_reorders,
    primitive_cache,
    reference_code,
    work_done_by_others,
    type_conversions,
    overhead,
    page_faults,
    threads,
    outputs,
    fpmath_mode,
    observer_effect,
    machine,
)

__all__ = ["RULES", "Finding", "RuledOut", "find"]


def find(
    change: WorkloadChange, baseline: Manifest | None, candidate: Manifest | None
) -> tuple[list[Finding], list[RuledOut]]:
    """Return what the rules found, the largest time first, and what they ruled out, in the order of the rules."""
    answers: Sequence[Answer] = [
        answer for rule in RULES for answer in rule.examine(Subject(change, baseline, candidate))
    ]
    found = [answer for answer in answers if isinstance(answer, Finding)]
    ruled_out = [answer for answer in answers if isinstance(answer, RuledOut)]
    return sorted(found, key=lambda finding: -abs(finding.delta_ns or 0.0)), ruled_out
