"""What a rule examines, and the limits that several rules share."""

from __future__ import annotations

import msgspec

from profkit.comparison.records.diff import WorkloadChange
from profkit.comparison.records.findings import Finding, RuledOut
from profkit.runs.manifest import Manifest

Answer = Finding | RuledOut
LEAST_SHARE = 0.01  # of the forward: a smaller time cannot matter to a user


class Subject(msgspec.Struct, frozen=True):
    """One workload on both sides, and the manifests of its runs (None if a side has none)."""

    change: WorkloadChange
    baseline: Manifest | None
    candidate: Manifest | None

    @property
    def sides(self) -> tuple[str, str]:
        """The labels of the baseline and the candidate."""
        return self.change.baseline.label, self.change.candidate.label

    @property
    def forward_ns(self) -> float:
        """The longer of the two sides' profiled forwards (ns)."""
        return max(self.change.forward.baseline_ns, self.change.forward.candidate_ns)

    def matters(self, ns: float) -> bool:
        """Whether a time per forward is at least :data:`LEAST_SHARE` of the forward."""
        return abs(ns) >= LEAST_SHARE * self.forward_ns > 0
