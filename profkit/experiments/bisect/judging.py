"""What a look decides: whether the ends differ, whether a version is good or bad, whether a step is shown."""

from __future__ import annotations

import msgspec

from profkit.experiments.bisect.decisions import Seen
from profkit.experiments.bisect.search import Decision


class Ends(msgspec.Struct, frozen=True):
    """Decides whether the last version differs from the first one: it is ``bad`` then, else ``good``.

    They differ if the change is larger than ``least``. Unless ``is_boundary`` says that versions in between are held
    against ``least`` too, its half is the boundary for them, and the change must be larger than that half.
    """

    least: float
    is_boundary: bool

    def decide(self, look: Seen) -> Decision | None:
        """Return the decision; None if the interval allows both."""
        needed = self.least if self.is_boundary else max(self.least, abs(look.value) / 2)
        if look.is_above(needed) or look.is_below(-needed):
            return "bad"
        return "good" if look.is_below(self.least) and look.is_above(-self.least) else None

    def boundary(self, look: Seen) -> Boundary:
        """Return the boundary for the versions in between, after a look at ends that differ."""
        size = abs(look.value)
        return Boundary(1 if look.value > 0 else -1, self.least if self.is_boundary else size / 2, size)


class Boundary(msgspec.Struct, frozen=True):
    """Decides whether a version is ``good`` or ``bad``: whether its change lies below or above ``size``.

    ``direction`` is 1 or -1, the sign of the change between the ends, ``whole`` its size.
    """

    direction: int
    size: float
    whole: float

    @property
    def value(self) -> float:
        """The boundary with its sign."""
        return self.direction * self.size

    def decide(self, look: Seen) -> Decision | None:
        """Return the decision; None if the interval allows both."""
        turned = look.turned(self.direction)
        return "bad" if turned.is_above(self.size) else "good" if turned.is_below(self.size) else None

    def is_beyond_ends(self, look: Seen) -> bool:
        """Whether a version is shown to lie outside of what is between the two ends, by more than the boundary."""
        turned = look.turned(self.direction)
        return turned.is_below(-self.size) or turned.is_above(self.whole + self.size)

    def confirm(self, look: Seen) -> Decision | None:
        """Return ``bad`` if a step in the direction of the change is shown, ``good`` if one against it."""
        turned = look.turned(self.direction)
        return "bad" if turned.is_above(0.0) else "good" if turned.is_below(0.0) else None
