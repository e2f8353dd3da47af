"""oneDNN's primitive cache: creations that miss it take time in every forward."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import Finding, RuledOut

NAME = "primitive cache"
SAME_RATE = 0.001  # difference of two hit rates that counts as none
SOURCE = "https://oneapi-src.github.io/oneDNN/v3.0/dev_guide_primitive_cache.html"


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if the hit rate and the time of creation changed; rule the cache out if the hit rate did not."""
    primitives = subject.change.primitives
    if primitives is None:
        return
    before, after = primitives.baseline, primitives.candidate
    if before.hit_rate is None or after.hit_rate is None:
        return
    if abs(after.hit_rate - before.hit_rate) <= SAME_RATE:
        yield RuledOut(rule=NAME, what=f"primitive cache: same hit rate ({units.share(after.hit_rate)}) on both sides")
        return
    delta_ns = after.create_ns - before.create_ns
    if not subject.matters(delta_ns):
        return
    fewer = after.hit_rate < before.hit_rate
    yield Finding(
        rule=NAME,
        what=f"{subject.sides[1]} finds {'fewer' if fewer else 'more'} oneDNN primitives in the cache",
        delta_ns=delta_ns,
        certainty="observed",
        evidence=[
            f"creating primitives {units.duration(before.create_ns)} → {units.duration(after.create_ns)} per forward",
            f"cache hit rate {units.share(before.hit_rate)} → {units.share(after.hit_rate)}",
        ],
        advice="Raise the capacity of the caches: --lru-cache-capacity, --env ONEDNN_PRIMITIVE_CACHE_CAPACITY=1024."
        if fewer
        else "",
        source=SOURCE if fewer else "",
    )
