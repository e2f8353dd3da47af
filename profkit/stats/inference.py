"""How sure: intervals of a ratio, tests, and false-discovery control, for all operators of a table at once.

The samples are rounds of forwards. Forwards of one process share its luck (where its memory lies, what else ran), so
the round is the unit, and what it contributes is one quantile, as a rule the median, of its forwards. A side stands
for the mean of their logarithms, and a ratio for the difference of two sides.

The interval is that of the hierarchical bootstrap, which draws rounds and forwards within them. Drawn as it stands,
the noise within rounds is in it twice, since rounds differ by it already; Davison and Hinkley (*Bootstrap Methods and
their Application*, 1997, section 3.8) shrink the rounds to make up for it. What its standard error then tends to needs
no drawing: the sample standard deviation of the rounds' values over the root of their number. Around so few rounds the
interval takes Student's t for width (T. C. Hesterberg, *What Teachers Should Know About the Bootstrap*, 2015).

The ranks and the control of false discoveries are SciPy's to the digit (tests compare them), written out because
importing ``scipy.stats`` takes longer than all the rest of a diff. ``tests/benchmarks/verdicts.py`` measures how often
an interval covers the truth, and how often a verdict is wrong or missed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from profkit.arrays import Floats, Integers, Mask
from profkit.compare.records.diff import Verdict

Rounds = Sequence[Integers]
"""One array of the shape (operators, forwards) per round, in ns."""

ROUNDS_NEEDED = 2  # on each side, before the luck of a process can be told from change
LEVEL = 0.05  # of every test, and of the false discoveries among what a table shows
WEIGHTY = 0.01  # share of the forward from which on an operator belongs to those that matter


@dataclass(frozen=True, slots=True)
class LogRatio:
    """The logarithm of baseline ÷ candidate, its standard error and degrees of freedom; nan where there is none."""

    value: Floats
    error: Floats
    degrees: float

    @property
    def half_width(self) -> Floats:
        """Half the width of the 95% interval."""
        from scipy.special import stdtrit

        return np.asarray(stdtrit(self.degrees, 1 - LEVEL / 2) * self.error)

    @property
    def p_value(self) -> Floats:
        """Of Student's t test that the two are equal, two-sided."""
        return _t_test(self.value, self.error, self.degrees)


class Interval(NamedTuple):
    """The bounds of a 95% interval and the p value; None where there is none."""

    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Per operator: bounds of the 95% interval of baseline ÷ candidate, and p values; nan where there is none.

    ``p_value`` is the larger one of the ratio's t test and of the rank test, which no single round that ran away can
    carry. ``q_value`` is the same after control of false discoveries over the table.
    """

    log_ratio: Floats
    low: Floats
    high: Floats
    p_value: Floats
    q_value: Floats

    def interval(self, place: int, ratio: float | None) -> Interval:
        """Return one row, None for nan; the interval reaches as far as ``ratio``, the one of what is shown."""
        low, high, p_value = (float(column[place]) for column in (self.low, self.high, self.p_value))
        if ratio is None or np.isnan(low) or np.isnan(high):
            return Interval(None, None, None if np.isnan(p_value) else p_value)
        return Interval(min(low, ratio), max(high, ratio), p_value)


def speedup(baseline: float, candidate: float) -> float | None:
    """Return baseline ÷ candidate; None where a side is zero."""
    return baseline / candidate if baseline > 0 and candidate > 0 else None


def weigh(baseline: Rounds, candidate: Rounds, *, q: float = 0.5, share: Floats | None = None) -> Evidence:
    """Compare the ``q`` quantiles of two sides, row by row; ``share`` is what each row makes up of the forward.

    With a single round on a side there is no interval and no p value; ``q_value`` then rests on how forwards scatter
    within the rounds, which says nothing of the luck of processes.
    """
    if min(len(baseline), len(candidate)) < ROUNDS_NEEDED:
        nothing = np.full(len(baseline[0]), np.nan)
        discoveries = control_discoveries(_forwards_test(baseline, candidate), share)
        return Evidence(nothing, nothing, nothing, nothing, discoveries)
    ratio = log_ratio(baseline, candidate, q)
    ranks = rank_test(baseline, candidate)
    # where a round took no time there is no ratio, and the ranks alone can tell
    of_ratio = np.where(np.isnan(ratio.p_value), ranks, ratio.p_value)
    p_value = np.maximum(of_ratio, ranks)
    return Evidence(
        log_ratio=ratio.value,
        low=np.exp(ratio.value - ratio.half_width),
        high=np.exp(ratio.value + ratio.half_width),
        p_value=p_value,
        # weights buy power over the others, never beyond an operator's own test
        q_value=np.maximum(control_discoveries(of_ratio, share), p_value),
    )


def log_ratio(baseline: Rounds, candidate: Rounds, q: float = 0.5) -> LogRatio:
    """Return the logarithm of the ratio of two sides' ``q`` quantiles, each the mean over its rounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        before, after = (
            np.log(np.stack([np.quantile(forwards, q, axis=1) for forwards in side], axis=1))
            for side in (baseline, candidate)
        )
        value, error, degrees = _difference(before, after)
    return LogRatio(np.where(np.isfinite(value), value, np.nan), error, degrees)


def rank_test(baseline: Rounds, candidate: Rounds) -> Floats:
    """Return the p values of a rank-sum test over all forwards in which the rounds are what varies.

    All forwards of both sides are ranked together, and Student's t test compares the rounds' mean ranks (the rank
    transformation of Conover and Iman, 1981).
    """
    ranks = mean_ranks(np.concatenate([*baseline, *candidate], axis=1))
    edges = np.cumsum([forwards.shape[1] for forwards in (*baseline, *candidate)])[:-1]
    means: Floats = np.stack([part.mean(axis=1) for part in np.split(ranks, edges, axis=1)], axis=1)
    return _t_test(*_difference(means[:, : len(baseline)], means[:, len(baseline) :]))


def mean_ranks(values: Integers | Floats) -> Floats:
    """Rank each row from 1 on; equal values share the mean of their ranks."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    place = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    rises = np.diff(ordered, axis=1) != 0
    edge = np.ones((len(values), 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack((edge, rises)), place, 0), axis=1)
    last = np.where(np.hstack((rises, edge)), place, values.shape[1])
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=1)
    return ranks


def _difference(before: Floats, after: Floats) -> tuple[Floats, Floats, float]:
    """Return the difference of the means of two sets of rounds, its standard error, and the degrees of freedom.

    The degrees are Welch's for two variances that are alike; the error takes each side's own.
    """
    counts = (before.shape[1], after.shape[1])
    error = np.sqrt(sum(side.var(axis=1, ddof=1) / side.shape[1] for side in (before, after)))
    degrees = sum(1 / n for n in counts) ** 2 / sum(1 / n**2 / (n - 1) for n in counts)
    return before.mean(axis=1) - after.mean(axis=1), error, degrees


def _t_test(value: Floats, error: Floats, degrees: float) -> Floats:
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error > 0, np.abs(value) / error, np.where(value == 0, 0.0, np.inf))
    return np.where(np.isnan(value), np.nan, 2 * stdtr(degrees, -t))


def _forwards_test(baseline: Rounds, candidate: Rounds) -> Floats:
    """Return p values as though forwards were independent; 0 where a side has a single one, and nothing to say."""
    from scipy.stats import mannwhitneyu

    before, after = (np.concatenate(side, axis=1) for side in (baseline, candidate))
    if min(before.shape[1], after.shape[1]) == 1:
        return np.zeros(len(before))
    return np.asarray(np.nan_to_num(mannwhitneyu(before, after, axis=1).pvalue, nan=1.0))


def control_discoveries(p_value: Floats, share: Floats | None = None) -> Floats:
    """Return p values adjusted so that of what is below a level, on average no larger a part is false.

    Benjamini and Hochberg's procedure with weights (Genovese, Roeder and Wasserman, 2006): the operators that make up
    at least 1% of the forward have half of the errors to themselves, for the many small ones must not drown them.
    """
    result = np.full(len(p_value), np.nan)
    tested = np.flatnonzero(~np.isnan(p_value))
    if len(tested):
        result[tested] = adjust(np.minimum(p_value[tested] / _weights(tested, share), 1.0))
    return result


def adjust(p_value: Floats) -> Floats:
    """Adjust p values by Benjamini and Hochberg (1995), as scipy.stats.false_discovery_control does."""
    order = np.argsort(p_value)[::-1]
    scaled = p_value[order] * len(p_value) / np.arange(len(p_value), 0, -1)
    result = np.empty_like(p_value)
    result[order] = np.minimum.accumulate(np.minimum(scaled, 1.0))
    return result


def _weights(tested: Integers, share: Floats | None) -> Floats:
    """Return weights with a mean of 1, by which the weighty operators and the others get half each."""
    weighty: Mask = np.zeros(len(tested), dtype=bool) if share is None else share[tested] >= WEIGHTY
    count = int(weighty.sum())
    if count in (0, len(tested)):
        return np.ones(len(tested))
    half = len(tested) / 2
    return np.where(weighty, half / count, half / (len(tested) - count))


def verdict(change_ns: float, resolvable_ns: float, q_value: float, log_ratio: float = math.nan) -> Verdict:
    """Say what a change shows: ``unresolved`` if the clock can blur it, ``same`` if noise can, else its direction.

    Where the rounds' own ``log_ratio`` points the other way than the medians over all forwards, nothing is shown.
    """
    if change_ns == 0:
        return "same"
    if abs(change_ns) <= resolvable_ns:
        return "unresolved"
    if not q_value <= LEVEL or log_ratio * change_ns > 0:  # nan: nothing could be tested
        return "same"
    return "faster" if change_ns < 0 else "slower"
