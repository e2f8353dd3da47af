"""When a difference is shown, and when it may be noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from profkit.compare.records import Verdict
from profkit.trace.table import Integers

ROUNDS_NEEDED = 2  # on each side, before noise can be told from change


def speedup(baseline: float, candidate: float) -> float | None:
    """Return baseline ÷ candidate; None where a side is zero."""
    return baseline / candidate if baseline > 0 and candidate > 0 else None


def verdict(baseline: Sequence[Integers], candidate: Sequence[Integers], resolvable_ns: float) -> Verdict:
    """Say what two sets of rounds show; each round is an array of forwards.

    A change no larger than ``resolvable_ns``, what the coarser clock can blur, is ``unresolved``. Beyond it, a
    side is faster only when every one of its rounds' medians lies below every one of the other's: forwards of
    one process share its luck, so rounds are compared, not forwards. With a single round on a side nothing is
    known of that luck and the clock alone decides.
    """
    before, after = ([float(np.median(r)) for r in side if len(r)] for side in (baseline, candidate))
    change = float(np.median(after) - np.median(before))
    if abs(change) <= resolvable_ns:
        return "same" if change == 0 else "unresolved"
    if min(len(before), len(after)) >= ROUNDS_NEEDED and max(min(before), min(after)) <= min(max(before), max(after)):
        return "same"
    return "faster" if change < 0 else "slower"
