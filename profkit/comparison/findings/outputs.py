"""Whether the model's outputs moved."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.findings import Finding, RuledOut

NAME = "outputs"
COSINE = 0.9999  # below this, another precision or another computation is likely, not another order of sums


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if the outputs moved far, or rule that out if they are identical."""
    outputs = subject.change.outputs
    if outputs is None or not outputs.comparable or outputs.max_abs_error is None:
        return
    if outputs.max_abs_error == 0:
        yield RuledOut(rule=NAME, what="outputs: identical on both sides")
        return
    cosine, agreement = outputs.cosine_similarity, outputs.top1_agreement
    if (cosine is None or cosine >= COSINE) and (agreement is None or agreement == 1):
        return
    evidence = [f"largest error {outputs.max_abs_error:.3g}"]
    evidence += [f"cosine similarity {cosine:.7f}"] if cosine is not None else []
    evidence += [f"top-1 agreement {units.share(agreement)}"] if agreement is not None else []
    yield Finding(
        rule=NAME,
        what=f"the outputs of {subject.sides[1]} differ from those of {subject.sides[0]}",
        certainty="observed",
        evidence=evidence,
        advice="Check the model's accuracy on real data before you rely on the speed.",
    )
