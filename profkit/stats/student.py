"""Student's t distribution: two-sided p values and the half width of intervals.

Both come from the regularized incomplete beta function, by its continued fraction (DLMF 8.17.22, evaluated by the
modified Lentz method). They are written out because importing ``scipy.special`` takes a third of a whole diff; a test
compares them with SciPy's.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from profkit.arrays import Floats

_TERMS = 400  # of the continued fraction at most: about 20 suffice for the degrees of freedom of rounds
_TINY = 1e-300  # in place of a zero denominator
_LARGEST_T = 1e9  # beyond every quantile that is asked for
_STEPS = 200  # of Newton's method at most: about 5 suffice


def two_sided_p(t: Floats, degrees: Floats) -> Floats:
    """Return the probability of a larger absolute value than each of ``t``, with ``degrees`` (> 0) of freedom.

    Both have one shape; nan where either is nan.
    """
    with np.errstate(all="ignore"):
        whole = degrees + np.square(t)
        p = _regularized_beta(degrees / 2, 0.5, degrees / whole, np.square(t) / whole)
    missing = np.isnan(t) | np.isnan(degrees)
    probability: Floats = np.where(missing, np.nan, np.clip(p, 0.0, 1.0))
    return probability


@lru_cache(maxsize=4096)
def quantile(level: float, degrees: float) -> float:
    """Return the t that a two-sided test at ``level`` needs: half of a ``1 - level`` interval in standard errors.

    nan if ``degrees`` is nan or not positive. Newton's method on the p value, kept inside a shrinking bracket.
    """
    if not degrees > 0:
        return math.nan
    low, high = 0.0, _LARGEST_T
    t = max(1e-3, approximate_quantile(level, degrees))
    for _ in range(_STEPS):
        excess = float(two_sided_p(np.array(t), np.array(degrees))) - level
        low, high = (t, high) if excess > 0 else (low, t)
        log_density = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(degrees * math.pi)
        density = math.exp(log_density - (degrees + 1) / 2 * math.log1p(t * t / degrees))
        step = excess / (2 * density)  # the slope of the p value is -2 times the density
        if abs(step) <= 1e-13 * t:  # before the bracket is looked at: t is an end of it
            return t + step
        t = t + step if low < t + step < high else (low + high) / 2
    return t


def approximate_quantile(level: float, degrees: float) -> float:
    """Return the same by its expansion in 1 / ``degrees``: within 4% from 2 degrees on.

    Source: Abramowitz and Stegun 26.7.5.
    """
    z = NormalDist().inv_cdf(1 - level / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))


def _regularized_beta(a: Floats, b: float, x: Floats, rest: Floats) -> Floats:
    """Return I_x(a, b). ``rest`` is 1 - x, given because it is not exact as a difference if x is close to 1.

    The fraction converges fast on one side of (a + 1) / (a + b + 2); the other side is its mirror.
    """
    a, x, rest = np.broadcast_arrays(a, x, rest)
    log_gamma = np.vectorize(lambda v: math.lgamma(v) if v > 0 else math.nan, otypes=[np.float64])
    factor = np.exp(log_gamma(a + b) - log_gamma(a) - math.lgamma(b) + a * np.log(x) + b * np.log(rest))
    direct = x < (a + 1) / (a + b + 2)
    here = _fraction(np.where(direct, a, b), np.where(direct, b, a), np.where(direct, x, rest))
    value = np.where(direct, factor * here / a, 1 - factor * here / b)
    inside: Floats = np.where(x <= 0, 0.0, np.where(rest <= 0, 1.0, value))
    return inside


def _fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """Return the continued fraction of the incomplete beta function."""
    c = np.ones_like(x)
    d = 1 / _nonzero(1 - (a + b) * x / (a + 1))
    result = d.copy()
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _nonzero(1 + step * d)
            c = _nonzero(1 + step / c)
            result = result * c * d
        if not (np.abs(c * d - 1) > 1e-15).any():
            break
    found: Floats = result
    return found


def _nonzero(value: Floats) -> Floats:
    safe: Floats = np.where(np.abs(value) < _TINY, _TINY, value)
    return safe
