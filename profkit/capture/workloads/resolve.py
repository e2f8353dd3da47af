"""From the name a user types to the worker's order. Each source of workloads is one file with two functions.

``known()`` yields the workloads that have names, ``resolve(word, options)`` returns the order of one, or None if the
word is not of this source. A package adds a source with an entry point of the group ``profkit.workloads`` that names
such a module; the code that its orders run in the worker is a file or a module (``source="file"`` or ``"module"``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Protocol, cast

from profkit.capture.workloads import builtin, code, huggingface, torchbench, torchvision
from profkit.capture.workloads.order import PLAIN, Known, WorkloadOptions, WorkloadOrder
from profkit.errors import UsageError

GROUP = "profkit.workloads"


class Source(Protocol):
    """A source of workloads."""

    def known(self) -> Iterator[Known]:
        """Yield the workloads that have names."""

    def resolve(self, word: str, options: WorkloadOptions) -> WorkloadOrder | None:
        """Return the order of the workload that ``word`` names, or None; raises UsageError if it is not possible."""


def sources() -> Iterator[Source]:
    """Yield profkit's own sources, then those of installed packages.

    Raises UsageError if one cannot be loaded.
    """
    yield from (torchvision, huggingface, torchbench, builtin, code)  # code takes any word with a colon
    for point in entry_points(group=GROUP):
        try:
            yield cast("Source", point.load())
        except Exception as error:  # another package's code can raise anything
            hint = f"Update or remove the package that offers it: {point.value.partition(':')[0]}."
            raise UsageError(f"the workloads of {point.name!r} cannot be loaded: {error}", hint=hint) from None


def known_workloads() -> list[Known]:
    """Return the workloads that have names, sorted by name."""
    return sorted(workload for source in sources() for workload in source.known())


def resolve(word: str, options: WorkloadOptions = PLAIN) -> WorkloadOrder:
    """Return the workload that ``word`` names; raises UsageError, with similar names, if there is none."""
    for source in sources():
        order = source.resolve(word, options)
        if order is not None:
            return order
    near = difflib.get_close_matches(word.lower().replace("-", ""), [w.name for w in known_workloads()], n=3)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise UsageError(
        f"no workload {word!r}",
        hint=f"{hint}profkit workloads lists the names; your own model is file.py:make or package.module:make.",
    )
