"""Which version a binary search tests next, and what it knows so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Decision = Literal["good", "bad", "undecided", "skipped"]
"""``undecided``: the budget was not enough. ``skipped``: the version cannot be tested."""


@dataclass(slots=True)
class Search:
    """A search among ``count`` versions in order, of which the first is good and the last one bad.

    ``good`` is the last position that is known to be good, ``bad`` the first one known to be bad, ``skipped`` are those
    that cannot be tested.
    """

    count: int
    good: int = 0
    bad: int = field(init=False)
    skipped: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start with the last position as the first bad one; raises ValueError with fewer than two positions."""
        if self.count < 2:
            raise ValueError("a search needs two versions")
        self.bad = self.count - 1

    def next(self) -> int | None:
        """Return the position to test, the middle one of those that can be tested; None if none is left in between.

        The middle of all positions would leave more than half of them to one side where others are skipped.
        """
        between = [position for position in range(self.good + 1, self.bad) if position not in self.skipped]
        return between[(len(between) - 1) // 2] if between else None

    def record(self, position: int, decision: Decision) -> None:
        """Take note of a test. One that is not decided changes nothing: the search cannot go on from it."""
        if decision == "good":
            self.good = position
        elif decision == "bad":
            self.bad = position
        elif decision == "skipped":
            self.skipped.add(position)

    @property
    def between(self) -> range:
        """The positions between the last good and the first bad one, which could not be tested."""
        return range(self.good + 1, self.bad)


def most_tests(count: int) -> int:
    """Return how many tests between the two ends a search among ``count`` versions takes at most, if none is skipped.

    Skipped versions make it no more: each leaves one fewer to choose from.
    """
    return max(0, count - 2).bit_length()
