"""Options of reading a trace: the columns wanted, the memory limit, the cache."""

from __future__ import annotations

from enum import Flag, auto
from typing import Literal

import msgspec

MEMORY_LIMIT = 4 << 30  # bytes: half of the memory of a small (8 GiB) machine

By = Literal["name", "shape", "module", "stack"]
"""What operators are grouped by, besides their name."""


class Detail(Flag):
    """The columns read beyond names, times, tracks and the event index; each takes a little time."""

    NONE = 0
    SHAPES = auto()
    DEVICE = auto()
    STACKS = auto()
    FLOWS = auto()
    ALL = SHAPES | DEVICE | STACKS | FLOWS


DETAIL: dict[By, Detail] = {
    "name": Detail.NONE,
    "shape": Detail.SHAPES,
    "module": Detail.STACKS,
    "stack": Detail.STACKS,
}
"""The detail that a trace must be read with to group its operators."""


class ReadOptions(msgspec.Struct, frozen=True):
    """``memory_limit``: approximate limit per trace, in bytes. ``use_cache``: read and write the parsed-trace cache.

    ``forward``: the name of the annotation that is a forward; None to find the forwards by the rules of
    :mod:`profkit.trace.forward`.
    """

    memory_limit: int = MEMORY_LIMIT
    use_cache: bool = True
    forward: str | None = None


DEFAULT = ReadOptions()
