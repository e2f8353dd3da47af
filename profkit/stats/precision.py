"""How many more rounds a comparison needs."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from profkit.arrays import Floats
from profkit.stats.student import approximate_quantile, quantile

MOST_ROUNDS = 200  # per side: nobody runs more, and an estimate that far out means little
_FEW_DEGREES = 4  # below it the fast approximation of Student's t is off by more than 1%


def rounds_needed(
    value: Floats, half_width: Floats, degrees: Floats, rounds: Floats, margin: float
) -> list[int | None]:
    """Estimate, per row, how many more rounds per side would decide it; None if unknown or above ``MOST_ROUNDS``.

    ``value`` and ``half_width`` are the log ratio and half of its 95% interval, with ``degrees`` of freedom, after
    ``rounds`` rounds a side (all of the shape (rows,)). If value and scatter stay as they are, the interval shrinks
    with Student's t over the root of the rounds. A row is decided once the interval excludes 1, or lies inside
    ``margin``.
    """
    found: list[int | None] = []
    columns = (value.tolist(), half_width.tolist(), degrees.tolist(), rounds.tolist())
    for log_ratio, half, freedom, count in zip(*columns, strict=True):
        if not np.isfinite(log_ratio + half) or half <= 0 or count < 2:
            found.append(None)
            continue
        target = max(abs(log_ratio), float(np.log1p(margin)) - abs(log_ratio))
        widths = _relative_widths(round(freedom / (count - 1), 1))
        now = widths[int(count) - 2] if count - 2 < len(widths) else widths[-1]
        enough = np.flatnonzero(widths <= now * target / half)
        more = int(enough[0]) + 2 - int(count) if len(enough) else MOST_ROUNDS + 1
        found.append(max(1, more) if more <= MOST_ROUNDS else None)
    return found


def forwards_per_round(between: float, within: float, round_cost: float, forward_cost: float) -> float:
    """Return how many forwards per round give the narrowest interval in a given time; inf if rounds do not differ.

    ``between`` is the variance of the log ratio from round to round, ``within`` what one forward adds to it; the costs
    are those of a round without forwards and of one forward (s). The optimum of two-stage sampling (Cochran, *Sampling
    Techniques*, 1977, section 10.6).
    """
    if between <= 0 or forward_cost <= 0:
        return math.inf
    return math.sqrt(max(0.0, within) / between * max(0.0, round_cost) / forward_cost)


@lru_cache(maxsize=64)
def _relative_widths(degrees_per_round: float) -> Floats:
    """Return t / sqrt(n) for n = 2, 3, … rounds a side: what the width of the interval is proportional to.

    ``degrees_per_round`` is 1 for pairs of rounds, 2 for two sides of as many rounds.
    """
    degrees = [degrees_per_round * (n - 1) for n in range(2, 2 * MOST_ROUNDS)]
    needed = [quantile(0.05, d) if d < _FEW_DEGREES else approximate_quantile(0.05, d) for d in degrees]
    return np.array(needed) / np.sqrt(np.arange(2, 2 * MOST_ROUNDS))
