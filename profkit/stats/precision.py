"""How many more rounds a comparison needs."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from profkit.arrays import Floats
from profkit.stats.student import approximate_quantile

MOST_ROUNDS = 200  # per side: nobody runs more, and an estimate that far out means little


def rounds_needed(value: Floats, half_width: Floats, rounds: Floats, margin: float) -> list[int | None]:
    """Estimate, per row, how many more rounds per side would decide it; None if unknown or above ``MOST_ROUNDS``.

    ``value`` and ``half_width`` are the log ratio and half of its 95% interval after ``rounds`` rounds a side (all of
    the shape (rows,)). If both stay as they are, the interval shrinks with Student's t over the root of the rounds. A
    row is decided once the interval excludes 1, or lies inside ``margin``.
    """
    widths = _relative_widths()
    found: list[int | None] = []
    for log_ratio, half, count in zip(value.tolist(), half_width.tolist(), rounds.tolist(), strict=True):
        if not np.isfinite(log_ratio + half) or half <= 0 or count < 2:
            found.append(None)
            continue
        target = max(abs(log_ratio), float(np.log1p(margin)) - abs(log_ratio))
        now = widths[int(count) - 2] if count - 2 < len(widths) else widths[-1]
        enough = np.flatnonzero(widths <= now * target / half)
        more = int(enough[0]) + 2 - int(count) if len(enough) else MOST_ROUNDS + 1
        found.append(max(1, more) if more <= MOST_ROUNDS else None)
    return found


@lru_cache(maxsize=1)
def _relative_widths() -> Floats:
    """Return t / sqrt(n) for n = 2, 3, … rounds a side: what the width of the interval is proportional to."""
    return np.array([approximate_quantile(0.05, 2.0 * (n - 1)) / math.sqrt(n) for n in range(2, 2 * MOST_ROUNDS)])
