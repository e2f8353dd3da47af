"""The verdict on one ratio, with everything that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from profkit.quantities import Amount, Count, Ratio, Share

Verdict = Literal["faster", "slower", "same", "inconclusive", "unresolved", "added", "removed", "replaced"]
"""``same``: the whole interval lies inside the margin. ``faster``, ``slower``: shown beyond noise, and not the same.
``inconclusive``: neither is shown. ``unresolved``: the change is smaller than the clock can show. ``added`` and
``removed``: on one side only. ``replaced``: another operator does the work, or a part of it, on the other side."""

MARGIN = 0.02  # changes up to 2% count as the same: about what rounds of one configuration differ by on a quiet machine

ROUNDS_NEEDED = 2  # on each side: with one round, differences between processes cannot be told from a change
ROUNDS_NEEDED_DISTURBED = 5  # if other work disturbed some: a few may agree by chance, and be far off

NoInterval = Literal["single round", "disturbed rounds"]
_WHY_NO_INTERVAL: Mapping[NoInterval, str] = MappingProxyType(
    {
        "single round": "a single round gives no interval",
        "disturbed rounds": f"other work disturbed rounds, and then an interval takes {ROUNDS_NEEDED_DISTURBED} a side",
    }
)


class Design(msgspec.Struct, frozen=True):
    """How two sides are compared. ``margin`` is the relative change that counts as the same.

    ``paired``: the rounds at the same place of both sides were captured in one block. ``needed``: how many rounds of
    each side an interval takes.
    """

    margin: float = MARGIN
    paired: bool = False
    needed: tuple[int, int] = (ROUNDS_NEEDED, ROUNDS_NEEDED)


UNPAIRED = Design()


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A speedup, its 95% interval, its p value and the verdict: one estimate, from which all of them follow."""

    speedup: Annotated[
        Ratio | None, Meta(description="baseline / candidate, the centre of the interval; null if a side took no time")
    ] = None
    low: Annotated[Amount | None, Meta(description="lower bound of the 95% interval; null without one")] = None
    high: Annotated[Ratio | None, Meta(description="upper bound of the 95% interval; null without one")] = None
    no_interval: Annotated[
        NoInterval | None,
        Meta(
            description="why there is no interval: a side has a single round, or fewer than five of which some were "
            "disturbed; null with an interval"
        ),
    ] = None
    p_value: Annotated[Share | None, Meta(description="Student's t test that nothing changed, two-sided")] = None
    q_value: Annotated[
        Share | None, Meta(description="p value after false-discovery control over the table; the verdict goes by it")
    ] = None
    verdict: Annotated[
        Verdict | None,
        Meta(description="what is shown; without an interval neither faster, slower nor same; null for the baseline"),
    ] = None
    rounds_needed: Annotated[
        Count | None,
        Meta(description="estimate of how many more rounds per side would decide; null if decided or not estimable"),
    ] = None

    @property
    def why_no_interval(self) -> str:
        """Why there is no interval, in words; results that do not say it are of single rounds."""
        return _WHY_NO_INTERVAL[self.no_interval or "single round"]

    @property
    def is_shown(self) -> bool:
        """Whether a change in either direction is shown beyond noise."""
        return self.verdict in ("faster", "slower")
