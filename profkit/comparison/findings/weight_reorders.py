"""Weights that oneDNN reorders into its own layout in every forward, on one side only."""

from __future__ import annotations

from collections.abc import Iterator

from profkit import units
from profkit.comparison.findings.subject import Answer, Subject
from profkit.comparison.records.diff import PrimitiveChange, PrimitivesChange
from profkit.comparison.records.findings import Finding
from profkit.comparison.records.parts import SideName
from profkit.onednn.grammar import weights_dimensions
from profkit.shortening import LONGEST_NAME, shorten

NAME = "weight reorders"
SHOWN = 3  # reorders that are named as evidence
ADVICE = "Freeze the model, so that weights are reordered once. If it is frozen, report it to PyTorch."
SOURCE = "https://docs.pytorch.org/docs/stable/generated/torch.jit.optimize_for_inference.html"


def examine(subject: Subject) -> Iterator[Answer]:
    """Yield a finding if one side spends a part of its forward that matters on reorders of weights, and the other none.

    If both reorder weights, the difference of their times is not judged: each is from a single pass.
    """
    primitives = subject.change.primitives
    if primitives is None:
        return
    before, after = primitives.baseline.weights_reorder_ns, primitives.candidate.weights_reorder_ns
    if not subject.matters(max(before, after)) or subject.matters(min(before, after)):
        return
    more = after > before
    label, other = reversed(subject.sides) if more else subject.sides
    side: SideName = "candidate" if more else "baseline"
    reorders = list(_only_on(side, primitives))
    count = sum(getattr(p, side).calls for p in reorders)
    largest = sorted(reorders, key=lambda p: -abs(p.delta_ns))[:SHOWN]
    named = [f"reorder {shorten(p.problem, LONGEST_NAME)} {units.signed_duration(p.delta_ns)}" for p in largest]
    how_many = f"{units.count(count)} reorders" if count else "reorders"
    yield Finding(
        rule=NAME,
        what=f"{label} reorders weights into another layout in every forward: {how_many} that {other} does not make",
        delta_ns=after - before,
        certainty="observed",
        evidence=[f"reorders of weights {units.duration(before)} → {units.duration(after)} per forward", *named],
        advice=ADVICE if more else "",
        source=SOURCE if more else "",
    )


def _only_on(side: SideName, primitives: PrimitivesChange) -> Iterator[PrimitiveChange]:
    """Yield the reorders of weights that one side alone makes: those of the dimensions that some weights have."""
    other: SideName = "baseline" if side == "candidate" else "candidate"
    weights = {weights_dimensions(p.kind, p.problem) for p in primitives.problems}
    for problem in primitives.problems:
        alone = getattr(problem, side) is not None and getattr(problem, other) is None
        if problem.kind == "reorder" and problem.problem in weights and alone:
            yield problem
