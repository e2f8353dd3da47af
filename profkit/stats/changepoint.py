"""Steps in a series: where its level changes, and whether a new value fits the level.

Binary segmentation: the split of a stretch with the largest t of its two halves is a step if that t is too large for
the best of so many splits; then both halves are looked at. The probability is bounded by the sum over all splits
(Bonferroni), which is too large, never too small, for values that are independent and near to normal. Each step is then
placed again between its neighbours. Sources: L. Vostrikova, *Detecting disorder in multidimensional random processes*
(1981); the test of the largest t: D. Hawkins, *Testing a sequence of observations for a shift in location* (1977).
``tests/benchmarks/changepoints.py`` measures how often a step is seen where there is none, how often one is missed, and
how often its place is within what is said.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from profkit.arrays import Floats
from profkit.stats.inference import LEVEL, LogRatios, log_ratios, one_row
from profkit.stats.student import two_sided_p

FEWEST = 3  # values on each side of a step: fewer may be chance, and are judged as new values
# How far twice the log likelihood of another place may be below that of the best: the 95% quantile of its limit, with
# the distribution function (1 - exp(-x/2))^2. B. Hansen, *Sample splitting and threshold estimation* (2000), table 1
_PLACE = 7.35


class Step(msgspec.Struct, frozen=True):
    """A step before the value at position ``at``, somewhere from ``earliest`` to ``latest`` with 95% confidence.

    ``p_value`` is the bound on the probability of so large a step by chance.
    """

    at: int
    earliest: int
    latest: int
    p_value: float


def find_steps(values: Floats, level: float = LEVEL) -> list[Step]:
    """Return the steps of a series, of the shape (values,), in order; each stretch between two has 3 values or more."""
    found: dict[int, float] = {}
    _split(values, 0, len(values), level, found)
    edges = [0, *sorted(found), len(values)]
    placed = list(edges)
    for number in range(1, len(edges) - 1):
        placed[number] = placed[number - 1] + _best_split(values[placed[number - 1] : edges[number + 1]])[0]
    steps = []
    for number, old in enumerate(edges[1:-1], start=1):
        begin, end = placed[number - 1], placed[number + 1]
        earliest, latest = _interval(values[begin:end])
        steps.append(Step(placed[number], begin + earliest, begin + latest, found[old]))
    return steps


def _split(values: Floats, begin: int, end: int, level: float, found: dict[int, float]) -> None:
    if end - begin < 2 * FEWEST:
        return
    at, t = _best_split(values[begin:end])
    splits = end - begin - 2 * FEWEST + 1
    p_value = min(1.0, splits * float(two_sided_p(np.array([t]), np.array([end - begin - 2.0]))[0]))
    if p_value <= level:
        found[begin + at] = p_value
        _split(values, begin, begin + at, level, found)
        _split(values, begin + at, end, level, found)


def _best_split(values: Floats) -> tuple[int, float]:
    """Return the split with the largest t of its halves (equal variances), and that t."""
    between = _explained(values)
    place = int(np.argmax(between))
    total = float(((values - values.mean()) ** 2).sum())
    left = max(total - float(between[place]), 0.0)
    if left <= 1e-24 * max(total, 1.0):
        return place + FEWEST, math.inf if total > 0 else 0.0
    return place + FEWEST, math.sqrt(float(between[place]) / left * (len(values) - 2))


def _explained(values: Floats) -> Floats:
    """Return for each split how much of the sum of squares the difference of the halves explains."""
    count = len(values)
    sizes = np.arange(FEWEST, count - FEWEST + 1)
    sums = np.cumsum(values - values.mean())[sizes - 1]
    explained: Floats = sums**2 * count / (sizes * (count - sizes))
    return explained


def _interval(values: Floats) -> tuple[int, int]:
    """Return the first and the last place of a step that fit the values nearly as well as the best one does."""
    explained = _explained(values)
    total = float(((values - values.mean()) ** 2).sum())
    left = np.maximum(total - explained, 1e-300)
    worse = (len(values) - 2) * np.log(left / left.min())  # twice the difference of the log likelihoods
    fitting = np.flatnonzero(worse <= _PLACE)
    return int(fitting[0]) + FEWEST, int(fitting[-1]) + FEWEST


def change_between(before: Floats, after: Floats) -> LogRatios:
    """Return the log ratio of two stretches of times (ns), each value a unit of evidence, as a table of one row."""
    return log_ratios(_units(before), _units(after))


def _units(values: Floats) -> list[np.ndarray]:
    return list(one_row([np.array([value]) for value in values]))


def against_level(level: Floats, new: float) -> LogRatios:
    """Return the log ratio of a stretch of times (ns) to one new time, with the error of a prediction.

    The error covers how single values scatter around the level, so the interval excludes 1 for a value that does not
    fit them (the prediction interval of a normal sample; G. Hahn and W. Meeker, *Statistical Intervals*, 1991, 4.7).
    """
    logs = np.log(level)
    count = len(logs)
    error = logs.std(ddof=1) * math.sqrt(1 + 1 / count) if count > 1 else math.nan
    value = np.array([logs.mean() - math.log(new)])
    return LogRatios(value, np.array([error]), np.array([count - 1.0]), np.array([1.0]))
