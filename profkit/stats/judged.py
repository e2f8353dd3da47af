"""The verdict on one ratio, with everything that it rests on."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from profkit.quantities import Amount, Count, Ratio, Share

Verdict = Literal["faster", "slower", "same", "inconclusive", "unresolved", "added", "removed", "replaced"]
"""``same``: the whole interval lies inside the margin. ``faster``, ``slower``: shown beyond noise, and not the same.
``inconclusive``: neither is shown. ``unresolved``: the change is smaller than the clock can show. ``added`` and
``removed``: on one side only. ``replaced``: another operator does the work, or a part of it, on the other side."""

MARGIN = 0.02  # changes up to 2% count as the same: about what rounds of one configuration differ by on a quiet machine


class Design(msgspec.Struct, frozen=True):
    """How two sides are compared. ``margin`` is the relative change that counts as the same.

    ``paired``: the rounds at the same place of both sides were captured in one block.
    """

    margin: float = MARGIN
    paired: bool = False


UNPAIRED = Design()


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A speedup, its 95% interval, its p value and the verdict: one estimate, from which all of them follow."""

    speedup: Annotated[
        Ratio | None, Meta(description="baseline / candidate, the centre of the interval; null if a side took no time")
    ] = None
    low: Annotated[Amount | None, Meta(description="lower bound of the 95% interval; null with a single round")] = None
    high: Annotated[Ratio | None, Meta(description="upper bound of the 95% interval; null with a single round")] = None
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
    def is_shown(self) -> bool:
        """Whether a change in either direction is shown beyond noise."""
        return self.verdict in ("faster", "slower")
