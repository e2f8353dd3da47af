"""How many forwards a quantile in the tail takes, such as the 99th percentile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

FEWEST_BEYOND = 10
"""Forwards beyond the quantile on each side, over all rounds. The number beyond scatters like a Poisson count, so with
ten of them the share that is beyond is known within about a third (1 / sqrt(10)); with one, not at all."""


def fewest_forwards(q: float) -> tuple[int, int]:
    """Return how many forwards the ``q`` quantile takes, in every round and on each side.

    A round needs 1 / (1 - q): with fewer, even its slowest forward lies below the quantile on average, at n / (n + 1)
    (the expected rank of the largest of n values).
    """
    per_round = round(1 / (1 - q))
    return per_round, FEWEST_BEYOND * per_round


def has_enough(forwards: Sequence[int], q: float) -> bool:
    """Whether a side with so many forwards in each of its rounds has enough for the ``q`` quantile."""
    per_round, per_side = fewest_forwards(q)
    return min(forwards, default=0) >= per_round and sum(forwards) >= per_side


def too_few(q: float) -> str:
    """Say what the ``q`` quantile takes, for a result that has too few forwards."""
    per_round, per_side = fewest_forwards(q)
    return (
        f"too few forwards for p{round(100 * q)}: it takes {per_round} in every round and {per_side:,} on each side; "
        "capture more with --steps"
    )


CONFIDENCE = 0.99
"""That samples reach beyond a quantile, in MLPerf's rule."""


@lru_cache(maxsize=16)
def fewest_samples(q: float) -> int:
    """Return how many samples it takes to estimate the ``q`` quantile of one side: 64 for 0.9, 662 for 0.99.

    It is the fewest of which two or more lie beyond the quantile with 99% confidence: P(Binomial(n, 1 - q) <= 1) is at
    most 1%. Source: the early stopping of MLPerf Inference (LoadGen), whose smallest counts these are.
    """
    count = math.ceil(1 / (1 - q))
    while q**count + count * (1 - q) * q ** (count - 1) > 1 - CONFIDENCE:
        count += 1
    return count
