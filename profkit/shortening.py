"""Cuts texts of any length for display and for manifests. Files for programs (JSON) keep names and stacks whole."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 10_000  # characters of one shown text; names of C++ kernels and Python stacks are shorter
LONGEST_QUOTED = 2_000  # of a text from outside (an exception, a worker's message) that a manifest keeps
LONGEST_NAME = 100  # of a name among others in a sentence
SHOWN = 4  # names in a sentence


def shorten(text: str, longest: int = LONGEST) -> str:
    """Return ``text``, or its beginning and end around a mark, of about ``longest`` characters together.

    The end is kept because the innermost frame of a stack, and what a sentence says about a name, stand there. The
    time does not depend on the length of the text.
    """
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def listed(names: Sequence[str], longest: int = LONGEST_NAME, shown: int = SHOWN) -> str:
    """Return the first ``shown`` names as a list, each of ``longest`` characters at most, and how many more follow."""
    more = [f"and {len(names) - shown} more"] if len(names) > shown else []
    return ", ".join([*(shorten(name, longest) for name in names[:shown]), *more])
