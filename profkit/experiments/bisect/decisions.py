"""When a version is decided to be good or bad: a sequential test with a bound on the error of the whole search.

A test looks at its interval after each number of rounds in :data:`LOOKS`, and ends at the first look at which the
interval lies on one side of the boundary. A search makes a known number of decisions at most: one about its ends, one
for each test in between, one about the step that it found. Each look of each decision has the same share of
:data:`ERROR`, so the probability that any of them is wrong is at most that (Bonferroni's inequality), however often is
looked and however the noise of the looks depends on each other. ``tests/benchmarks/bisection.py`` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from profkit.experiments.bisect.search import most_tests
from profkit.stats.inference import LogRatios
from profkit.stats.student import quantile

ERROR = 0.05
"""The probability that a search reports a wrong version, at most."""
LOOKS = (4, 6, 9, 13, 20)
"""Rounds of a version after which a test looks at its interval; at the last of them it is decided or given up."""
ENDS = 2  # decisions beside the tests: whether the ends differ, and whether the step that was found is one


def level_of(versions: int, looks: int) -> float:
    """Return the level of each look: the probability that its interval misses the truth."""
    return ERROR / ((most_tests(versions) + ENDS) * looks)


class Seen(msgspec.Struct, frozen=True):
    """What one look sees: the change of a figure and the bounds of its interval, None without one.

    A change is in the figure's own terms: a logarithm of a ratio, or a difference.
    """

    value: float
    low: float | None
    high: float | None

    def is_above(self, boundary: float) -> bool:
        """Whether the whole interval lies above the boundary."""
        return self.low is not None and self.low > boundary

    def is_below(self, boundary: float) -> bool:
        """Whether the whole interval lies below the boundary."""
        return self.high is not None and self.high < boundary

    def turned(self, direction: int) -> Seen:
        """Return the same with the other sign if ``direction`` is -1."""
        if direction > 0:
            return self
        bounds = [None if bound is None else -bound for bound in (self.high, self.low)]
        return Seen(-self.value, *bounds)


def seen(change: LogRatios, level: float) -> Seen:
    """Return the change of one row with its interval at ``level``."""
    value, error, degrees = (float(part[0]) for part in (change.value, change.error, change.degrees))
    half = 0.0 if error == 0 and math.isinf(degrees) else quantile(level, degrees) * error
    if math.isnan(half):
        return Seen(value, None, None)
    return Seen(value, value - half, value + half)


def next_look(rounds: int, looks: Sequence[int]) -> int | None:
    """Return the number of rounds at which to look next, with ``rounds`` there; None after the last look."""
    return next((look for look in looks if look > rounds), None)
