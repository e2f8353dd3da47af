"""False-discovery control over a table of p values, with weights.

Benjamini and Hochberg's procedure (1995) with the weights of Genovese, Roeder and Wasserman (*False discovery control
with p-value weighting*, Biometrika 2006). It is written out because importing ``scipy.stats`` takes longer than all
the rest of a diff; a test compares it with SciPy's.
"""

from __future__ import annotations

import numpy as np

from profkit.arrays import Floats, Integers, Mask

LARGE_SHARE = 0.01  # of the forward: an operator below 1% cannot matter to a user, so it may not cost the others power


def control_discoveries(p_value: Floats, share: Floats | None = None) -> Floats:
    """Return the p values adjusted so that, of all rows below a level, on average at most that part is false.

    ``p_value`` has one entry per row, nan if the row was not tested; ``share`` is the row's part of the forward (0 to
    1). The rows of at least ``LARGE_SHARE`` get half of the error budget, because the many small ones must not hide
    them. No adjusted value is below the row's own p value.
    """
    result = np.full(len(p_value), np.nan)
    tested = np.flatnonzero(~np.isnan(p_value))
    if len(tested):
        weighted = np.minimum(p_value[tested] / _weights(tested, share), 1.0)
        result[tested] = np.maximum(adjust(weighted), p_value[tested])
    return result


def adjust(p_value: Floats) -> Floats:
    """Adjust p values by Benjamini and Hochberg (1995), as ``scipy.stats.false_discovery_control`` does."""
    order = np.argsort(p_value)[::-1]
    scaled = p_value[order] * len(p_value) / np.arange(len(p_value), 0, -1)
    result = np.empty_like(p_value)
    result[order] = np.minimum.accumulate(np.minimum(scaled, 1.0))
    return result


def _weights(tested: Integers, share: Floats | None) -> Floats:
    """Return weights with a mean of 1, by which the large rows and the others get half of the budget each."""
    large: Mask = np.zeros(len(tested), dtype=bool) if share is None else share[tested] >= LARGE_SHARE
    count = int(large.sum())
    if count in (0, len(tested)):
        return np.ones(len(tested))
    half = len(tested) / 2
    return np.where(large, half / count, half / (len(tested) - count))
