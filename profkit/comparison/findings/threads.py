"""More threads than processors: they wait for each other at every barrier."""

from __future__ import annotations

from collections.abc import Iterator

from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import Finding

NAME = "threads"


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding for each side that ran with more intra-op threads than processors."""
    for label, manifest in zip(subject.sides, (subject.baseline, subject.candidate), strict=True):
        threads = manifest.torch.threads if manifest is not None and manifest.torch is not None else None
        cores = manifest.host.cores if manifest is not None else None
        if threads and cores and threads > cores:
            yield Finding(
                rule=NAME,
                what=f"{label} ran with {threads} threads on {cores} processors",
                certainty="observed",
                evidence=[f"torch.threads {threads}", f"host.cores {cores}"],
                advice=f"Use --threads {cores} or fewer.",
            )
