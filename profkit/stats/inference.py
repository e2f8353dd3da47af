"""From rounds of measured times to ratios with intervals and verdicts: one estimator for every table.

The samples are rounds of forwards. Forwards of one process share its conditions (memory layout, what else ran), so the
round is the unit of evidence. A round contributes one quantile of its forwards, usually the median; a side is the mean
of the logarithms of its rounds, and a speedup is the difference of two sides. The shown speedup, its interval, its p
value and its verdict all come from this one difference. If the rounds were captured in blocks, by turns, the error of
the difference is that of the differences within blocks, in which the drift of the machine cancels.

Interval and test are Student's t on the rounds. This is the limit of a hierarchical bootstrap that draws rounds and
forwards within them and is corrected for counting the noise within rounds twice (Davison and Hinkley, *Bootstrap
Methods and their Application*, 1997, section 3.8); t instead of the normal distribution allows for few rounds (T. C.
Hesterberg, *What Teachers Should Know About the Bootstrap*, 2015). A test draws that bootstrap and compares.
``tests/benchmarks/verdicts.py`` measures how often an interval covers the truth and how often a verdict is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from profkit.arrays import Floats, Integers
from profkit.quantities import LARGEST_TIME
from profkit.stats.discoveries import control_discoveries
from profkit.stats.judged import MARGIN, ROUNDS_NEEDED, UNPAIRED, Design, Judged, NoInterval, Verdict
from profkit.stats.precision import rounds_needed
from profkit.stats.quantiles import median
from profkit.stats.quantiles import quantile as quantile_of
from profkit.stats.student import quantile, two_sided_p

Rounds = Sequence[Integers]
"""One array of the shape (rows, forwards) per round, in ns; a row is an operator, or the forward itself."""

ROUNDING = 1e-9  # relative: what logarithms leave of equal integers
LEVEL = 0.05  # of every test, and of the false discoveries among what a table shows


class LogRatios(msgspec.Struct, frozen=True):
    """The logarithms of baseline / candidate, one row per comparison; arrays of the shape (rows,).

    ``value`` is nan if a round took no time. ``error`` is the standard error and ``degrees`` its degrees of freedom,
    both nan if a side has fewer rounds than an interval takes. ``rounds`` is the smaller number of the two sides.
    """

    value: Floats
    error: Floats
    degrees: Floats
    rounds: Floats

    @property
    def half_width(self) -> Floats:
        """Half the width of the 95% interval of ``value``."""
        needed = np.array([quantile(LEVEL, degrees) for degrees in self.degrees.tolist()])
        return needed * self.error

    @property
    def p_value(self) -> Floats:
        """Student's t test that the two sides are equal, two-sided; nan without an interval."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(self.error > 0, np.abs(self.value) / self.error, np.where(self.value == 0, 0.0, np.inf))
        missing = np.isnan(self.value) | np.isnan(self.error)
        return np.where(missing, np.nan, two_sided_p(t, self.degrees))

    @property
    def ratio(self) -> Floats:
        """The speedups: baseline / candidate."""
        return np.exp(self.value).astype(np.float64)


def compare_samples(
    before: Rounds,
    after: Rounds,
    *,
    q: float = 0.5,
    share: Floats | None = None,
    resolvable_ns: Floats | None = None,
    design: Design = UNPAIRED,
) -> list[Judged]:
    """Compare the ``q`` quantiles of two sides, row by row, as one table with false-discovery control.

    ``share`` is each row's part of the forward (0 to 1), ``resolvable_ns`` the largest change that the clock can hide
    (ns); both have the shape (rows,).
    """
    blur = None
    if resolvable_ns is not None:
        shorter_ns = np.minimum(typical(before, q), typical(after, q))
        with np.errstate(divide="ignore", invalid="ignore"):
            blur = np.log1p(resolvable_ns / shorter_ns)
    return judge(log_ratios(before, after, q, design), share=share, blur=blur, margin=design.margin)


def typical(rounds: Rounds, q: float = 0.5) -> Floats:
    """Return each row's time on one side (ns): the geometric mean over rounds of the round's ``q`` quantile.

    The ratio of two of them is the speedup. A row that took no time in some round has the median of its rounds.
    """
    quantiles = _quantiles(rounds, q)
    with np.errstate(divide="ignore"):
        geometric = np.exp(np.log(quantiles).mean(axis=1))
    found: Floats = np.where((quantiles > 0).all(axis=1), geometric, median(quantiles))
    return np.around(found, 3)  # a picosecond: what exp and log leave behind is not shown as a change


def typical_interval(
    rounds: Rounds, q: float = 0.5, *, resolvable_ns: Floats | None = None, needed: int = ROUNDS_NEEDED
) -> tuple[Floats, Floats]:
    """Return the bounds (ns, each of the shape (rows,)) of the 95% interval of ``typical`` for one side.

    Student's t on the logarithms of the rounds' quantiles, the one-sample case of ``log_ratios``: the confidence limits
    about a mean (IUPAC Gold Book C01247; Pure and Applied Chemistry 66, 1994, page 601), turned back into times. It
    covers the differences between the rounds of this side; a drift that a paired ratio cancels is part of it.
    ``resolvable_ns`` is what the clock can hide (ns, shape (rows,)); it widens the interval on both ends. No bound is
    above the longest time of a trace, where two rounds that differ a lot would put it. Bounds are nan with fewer rounds
    than ``needed``, and for a row that took no time in some rounds only.
    """
    quantiles = _quantiles(rounds, q)
    count = quantiles.shape[1]
    if count < needed:
        missing = np.full(len(quantiles), np.nan)
        return missing, missing
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = np.log(quantiles)
        half = quantile(LEVEL, count - 1.0) * np.sqrt(logs.var(axis=1, ddof=1) / count)
        bounds = [np.exp(logs.mean(axis=1) + side * half) for side in (-1, 1)]
    took_none = (quantiles == 0).all(axis=1)
    hidden = 0.0 if resolvable_ns is None else resolvable_ns
    # to a picosecond, as in typical()
    low: Floats = np.maximum(np.around(np.where(took_none, 0.0, bounds[0]), 3) - hidden, 0.0)
    high: Floats = np.add(np.around(np.where(took_none, 0.0, np.minimum(bounds[1], LARGEST_TIME)), 3), hidden)
    return low, high


def log_ratios(before: Rounds, after: Rounds, q: float = 0.5, design: Design = UNPAIRED) -> LogRatios:
    """Return the log ratios of two sides' ``q`` quantiles, one per row.

    If they are paired, both sides have as many rounds, and the error is that of the mean of their differences. Else the
    degrees of freedom are Welch's for two variances that are alike; the error uses each side's own variance.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(_quantiles(side, q)) for side in (before, after)]
        value = logs[0].mean(axis=1) - logs[1].mean(axis=1)
        counts = [side.shape[1] for side in logs]
        if any(count < needed for count, needed in zip(counts, design.needed, strict=True)):
            error, degrees = np.full(len(value), np.nan), math.nan
        elif design.paired:
            error = np.sqrt((logs[0] - logs[1]).var(axis=1, ddof=1) / counts[0])
            degrees = counts[0] - 1.0
        else:
            error = np.sqrt(sum(side.var(axis=1, ddof=1) / side.shape[1] for side in logs))
            degrees = sum(1 / n for n in counts) ** 2 / sum(1 / n**2 / (n - 1) for n in counts)
    value = np.where(np.isfinite(value), value, np.nan)
    return LogRatios(value, error, np.full(len(value), degrees), np.full(len(value), float(min(counts))))


def geometric_mean(ratios: Sequence[LogRatios]) -> LogRatios:
    """Return the mean of independent log ratios of one row each; rows without a ratio are left out.

    The error is that of a mean, its degrees of freedom are Satterthwaite's (1946).
    """
    joined = join(ratios)
    known = np.flatnonzero(~np.isnan(joined.value))
    if not len(known):
        nothing = np.full(1, np.nan)
        return LogRatios(nothing, nothing, nothing, np.ones(1))
    variance = joined.error[known] ** 2
    total, parts = variance.sum(), (variance**2 / joined.degrees[known]).sum()
    degrees = total**2 / parts if parts else joined.degrees[known].sum()
    count = len(known)
    return LogRatios(
        np.array([joined.value[known].mean()]),
        np.array([math.sqrt(total) / count]),
        np.array([degrees]),
        np.array([joined.rounds[known].min()]),
    )


def join(ratios: Sequence[LogRatios]) -> LogRatios:
    """Return the rows of several comparisons as one table."""
    columns = zip(*((r.value, r.error, r.degrees, r.rounds) for r in ratios), strict=True)
    value, error, degrees, rounds = (np.concatenate(column) for column in columns)
    return LogRatios(value, error, degrees, rounds)


def judge(
    ratios: LogRatios, *, share: Floats | None = None, blur: Floats | None = None, margin: float = MARGIN
) -> list[Judged]:
    """Return the verdict of every row, with false-discovery control over all of them.

    ``blur`` is the largest log ratio that the clock can hide, one per row.
    """
    p_value = ratios.p_value
    q_value = control_discoveries(p_value, share)
    half = ratios.half_width
    missing = rounds_needed(ratios.value, half, ratios.degrees, ratios.rounds, margin)
    found = []
    for row in range(len(ratios.value)):
        verdict = _verdict(
            float(ratios.value[row]),
            float(half[row]),
            float(q_value[row]),
            margin,
            float(blur[row]) if blur is not None else 0.0,
        )
        found.append(
            Judged(
                speedup=_known(ratios.ratio[row]),
                low=_known(np.exp(ratios.value[row] - half[row])),
                high=_known(np.exp(ratios.value[row] + half[row])),
                no_interval=_why_no_interval(ratios, row),
                p_value=_known(p_value[row]),
                q_value=_known(q_value[row]),
                verdict=verdict,
                # an interval that excludes 1 is inconclusive because of the table, which more rounds may not change
                rounds_needed=missing[row] if verdict == "inconclusive" and not p_value[row] <= LEVEL else None,
            )
        )
    return found


def _why_no_interval(ratios: LogRatios, row: int) -> NoInterval | None:
    if math.isnan(ratios.value[row]) or not math.isnan(ratios.error[row]):
        return None
    return "single round" if ratios.rounds[row] < ROUNDS_NEEDED else "disturbed rounds"


def _verdict(value: float, half_width: float, q_value: float, margin: float, blur: float) -> Verdict:
    if abs(value) + half_width + blur <= math.log1p(margin):
        return "same"
    if blur and (not abs(value) > blur * (1 + ROUNDING)):  # also without a ratio: a round of no time at all
        return "unresolved"
    if math.isnan(half_width) or math.isnan(value):
        return "inconclusive"
    if q_value <= LEVEL:
        return "faster" if value > 0 else "slower"
    return "inconclusive"


def _quantiles(rounds: Rounds, q: float) -> Floats:
    """Return one quantile per row and round (ns), of the shape (rows, rounds)."""
    return np.stack([quantile_of(forwards, q) for forwards in rounds], axis=1)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def one_row(rounds: Sequence[Integers]) -> Rounds:
    """Return the rounds of one series (each of the shape (forwards,)) as a table of one row."""
    return [forwards[None] for forwards in rounds]
