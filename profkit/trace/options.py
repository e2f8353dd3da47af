"""What is read of a trace, and how much that may take."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from typing import Literal

MEMORY_LIMIT = 4 << 30  # bytes

By = Literal["name", "shape", "module", "stack"]
"""What operators are told apart by."""


class Detail(Flag):
    """What is read beyond names, times, tracks and the event index; each costs a little time."""

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
"""What a trace must be read with, for its operators to be told apart so."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How much memory reading may take, about, in bytes; and whether parsed columns are kept and found again."""

    memory_limit: int = MEMORY_LIMIT
    use_cache: bool = True


DEFAULT = ReadOptions()
