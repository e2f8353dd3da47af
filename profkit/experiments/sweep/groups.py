"""Which configurations of a sweep are captured together."""

from __future__ import annotations

from collections.abc import Sequence

FEWEST = 3
"""Configurations of a group: the first, the last of the group before, and a new one."""


def next_group(start: int, count: int, size: int, captured: Sequence[int]) -> tuple[list[int], range]:
    """Return the positions that the next group shares with those before, and its new ones, from ``start`` on.

    ``captured`` are the positions captured so far, in order: the group shares the first and the last of them. So each
    configuration takes turns with the first one, and with the one captured before it. A group has at most ``size``
    (:data:`FEWEST` or more) of the ``count`` configurations.
    """
    shared = sorted({captured[0], captured[-1]}) if captured else []
    return shared, range(start, min(count, start + size - len(shared)))


def number_of_groups(count: int, size: int) -> int:
    """Return how many groups there are if all configurations can be captured."""
    found, start, captured = 0, 0, list[int]()
    while start < count:
        _, new = next_group(start, count, size, captured)
        captured += new
        start, found = new.stop, found + 1
    return found
