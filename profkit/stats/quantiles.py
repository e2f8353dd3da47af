"""Quantiles of few values, without what NumPy's own cost at each call and for the import of ``numpy.ma``."""

from __future__ import annotations

import numpy as np

from profkit.arrays import Floats


def quantile(values: np.ndarray, q: float, axis: int = -1) -> Floats:
    """Return the ``q`` quantile along an axis, between two values as ``numpy.quantile`` has it by default.

    The values are finite, and there is at least one along the axis.
    """
    ordered = np.sort(values, axis=axis)
    last = ordered.shape[axis] - 1
    place = int(q * last)
    share = q * last - place
    below: Floats = np.take(ordered, place, axis=axis).astype(np.float64)
    above: Floats = np.take(ordered, min(place + 1, last), axis=axis).astype(np.float64)
    between: Floats = below + (above - below) * share if share < 0.5 else above - (above - below) * (1 - share)
    return between


def median(values: np.ndarray, axis: int = -1) -> Floats:
    """Return the median along an axis; a single number for one dimension."""
    return quantile(values, 0.5, axis)
