"""What is odd in a series of wall times: trends, two modes, too few samples; each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from profkit import units
from profkit.arrays import Floats, Integers
from profkit.stats.inference import ROUNDS_NEEDED, mean_ranks

TREND = 0.05  # of the time: a rise or fall from the first to the last third that is worth a word
STEADY = 0.6  # rank correlation with time from which on that is no chance: p < 0.04 for the fewest samples
BIMODAL = 0.9  # part of the variance that two groups must explain (of one uniform spread it is 0.75)
MODES_APART = 0.05  # of the median, at least
MODE_SHARE = 0.2  # of the samples, in the smaller mode, at least
SAMPLES_NEEDED = 12  # to speak of trends and modes


def oddities(rounds: Sequence[Integers]) -> Iterator[str]:
    """Yield what is odd in the wall times (ns) of rounds of forwards, in the order in which they ran."""
    if len(rounds) < ROUNDS_NEEDED:
        if sum(map(len, rounds)) == 1:
            what = "a single forward; its noise is unknown and the verdicts rest on the clock alone"
        else:
            what = "a single round; how processes differ is unknown, and the verdicts rest on how its forwards scatter"
        yield f"{what}. Capture more with profkit capture --rounds 5."
        return
    if len(rounds) < 3:
        yield "two rounds only, so the intervals are wide. Add to them with profkit capture --rounds 5."
    series = np.concatenate(rounds).astype(np.float64)
    if len(series) < SAMPLES_NEEDED:
        return
    modes = _modes(series)
    if (drift := _drift(rounds)) is not None:
        yield (
            f"forwards get {_worded(drift)} within each round: it is measured before it is warmed up, or the machine "
            "throttles. Capture with a longer --warmup, on a machine that has cooled down."
        )
    elif (trend := _trend(series)) is not None:
        yield (
            f"later rounds are {_worded(trend)}: the machine throttles or is shared. Fix its clock (governor "
            "performance), leave it alone, and capture again."
        )
    elif modes is not None:
        low, high, share = modes
        yield (
            f"the wall times have two modes, {units.duration(low)} and {units.duration(high)} ({units.share(share)} of "
            "the forwards): something switches. More rounds (--rounds 6) tell how often."
        )


def _worded(change: float) -> str:
    return f"{units.share(abs(change))} {'slower' if change > 0 else 'faster'}"


def _drift(rounds: Sequence[Integers]) -> float | None:
    """Return the relative change from the first to the last third of a round, where every round agrees."""
    thirds = [np.array_split(r.astype(np.float64), 3) for r in rounds if len(r) >= 6]
    changes = [float(np.median(t[2]) / np.median(t[0]) - 1) for t in thirds if np.median(t[0]) > 0]
    if len(changes) < 3 or len({c > 0 for c in changes}) > 1 or min(map(abs, changes)) < TREND:
        return None
    return float(np.median(changes))


def _trend(series: Floats) -> float | None:
    """Return the relative change from the first to the last third of all forwards, where the ranks rise or fall too."""
    thirds = np.array_split(series, 3)
    change = float(np.median(thirds[2]) / np.median(thirds[0]) - 1)
    if abs(change) < TREND:
        return None
    ranks = mean_ranks(series[None])[0]
    steady = float(np.corrcoef(np.arange(len(series)), ranks)[0, 1])  # Spearman's
    return change if abs(steady) >= STEADY else None


def _modes(series: Floats) -> tuple[float, float, float] | None:
    """Return two modes and the share of the upper one, where splitting the series in two explains its variance.

    The split is Otsu's: the one with the largest variance between the groups.
    """
    ordered = np.sort(series)
    count = len(ordered)
    below = np.arange(1, count)
    sums = np.cumsum(ordered)[:-1]
    left, right = sums / below, (ordered.sum() - sums) / (count - below)
    between = below * (count - below) / count**2 * (right - left) ** 2
    split = int(np.argmax(between)) + 1
    share = (count - split) / count
    low, high = float(np.median(ordered[:split])), float(np.median(ordered[split:]))
    if not ordered.var() or between[split - 1] / ordered.var() < BIMODAL or not MODE_SHARE <= share <= 1 - MODE_SHARE:
        return None
    return (low, high, share) if high - low > MODES_APART * float(np.median(ordered)) else None
