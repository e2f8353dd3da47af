"""Stability checks on wall times: drift, trend, two modes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from profkit.arrays import Floats, Integers
from profkit.stats.quantiles import median

TREND = 0.05  # relative change from the first to the last third: below it a trend cannot change a conclusion of 5%
STEADY = 0.6  # rank correlation with time from which on a trend is no chance: p < 0.04 for SAMPLES_NEEDED samples
BIMODAL = 0.9  # part of the variance that two groups must explain; one uniform spread reaches 0.75
MODES_APART = 0.05  # distance of two modes, relative to the median: below it they do not matter
MODE_SHARE = 0.2  # part of the samples in the smaller mode: below it they are outliers, not a mode
SAMPLES_NEEDED = 12  # to speak of trends and modes
FORWARDS_NEEDED = 6  # in a round, to speak of drift within it: two per third
ROUNDS_NEEDED = 3  # that agree, to speak of drift within rounds


class Modes(msgspec.Struct, frozen=True):
    """Two groups of wall times: their medians in ns, and the upper one's share of all."""

    low_ns: float
    high_ns: float
    upper_share: float


class Stability(msgspec.Struct, frozen=True):
    """What is unstable in rounds of wall times; None for what is not found.

    ``drift`` is the relative change from the first to the last third within the rounds, ``trend`` the same over all
    forwards in order; the first of the three that is found hides the later ones, which it may explain.
    """

    drift: float | None = None
    trend: float | None = None
    modes: Modes | None = None


def check_stability(rounds: Sequence[Integers]) -> Stability:
    """Check wall times (ns, one array of the shape (forwards,) per round, in the order in which they ran)."""
    series = np.concatenate(rounds).astype(np.float64)
    if len(series) < SAMPLES_NEEDED:
        return Stability()
    if (drift := _drift(rounds)) is not None:
        return Stability(drift=drift)
    if (trend := _trend(series)) is not None:
        return Stability(trend=trend)
    return Stability(modes=_modes(series))


def _drift(rounds: Sequence[Integers]) -> float | None:
    """Return the relative change from the first to the last third of a round, if every round agrees."""
    thirds = [np.array_split(r.astype(np.float64), 3) for r in rounds if len(r) >= FORWARDS_NEEDED]
    changes = [float(median(t[2]) / median(t[0]) - 1) for t in thirds if median(t[0]) > 0]
    if len(changes) < ROUNDS_NEEDED or len({c > 0 for c in changes}) > 1 or min(map(abs, changes)) < TREND:
        return None
    return float(median(np.array(changes)))


def _trend(series: Floats) -> float | None:
    """Return the relative change from the first to the last third of all forwards, if the ranks rise or fall too."""
    thirds = np.array_split(series, 3)
    change = float(median(thirds[2]) / median(thirds[0]) - 1)
    if abs(change) < TREND:
        return None
    steady = float(np.corrcoef(np.arange(len(series)), mean_ranks(series))[0, 1])  # Spearman's correlation
    return change if abs(steady) >= STEADY else None


def mean_ranks(series: Floats) -> Floats:
    """Rank a series from 1; equal values share the mean of their ranks, as ``scipy.stats.rankdata`` does."""
    _, position, counts = np.unique(series, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[position])


def _modes(series: Floats) -> Modes | None:
    """Return two modes if splitting the series in two explains its variance.

    The split is Otsu's (1979): the one with the largest variance between the groups.
    """
    ordered = np.sort(series)
    count = len(ordered)
    below = np.arange(1, count)
    sums = np.cumsum(ordered)[:-1]
    left, right = sums / below, (ordered.sum() - sums) / (count - below)
    between = below * (count - below) / count**2 * (right - left) ** 2
    split = int(np.argmax(between)) + 1
    share = (count - split) / count
    low, high = float(median(ordered[:split])), float(median(ordered[split:]))
    if not ordered.var() or between[split - 1] / ordered.var() < BIMODAL or not MODE_SHARE <= share <= 1 - MODE_SHARE:
        return None
    return Modes(low, high, share) if high - low > MODES_APART * float(median(ordered)) else None
