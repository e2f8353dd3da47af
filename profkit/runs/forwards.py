"""The traces of a run that have no forward, and annotations that may be the forwards: what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from profkit.errors import InputError
from profkit.runs.store import Run
from profkit.shortening import LONGEST_NAME, listed, shorten
from profkit.trace.events import Trace
from profkit.trace.forward import Forwards, unused_annotations
from profkit.trace.nature import nature_of


class WithoutForwards:
    """The traces of a run without a forward. Beside others they are left out, with a warning.

    A manifest names the traces of its rounds, so that one without a forward is an error there.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._found: list[tuple[Path, str]] = []

    def has_none(self, trace: Trace, forwards: Forwards) -> bool:
        """Whether ``trace`` has no forward; raises InputError if it must have one."""
        if len(forwards):
            return False
        nature = nature_of(trace)
        self._found.append((Path(trace.source), "It has no forward" if nature is None else nature.text))
        if self._run.manifest is not None:
            self.require([])
        return True

    def require(self, others: Sequence[object]) -> None:
        """Raise InputError, about the first trace without a forward, if there are no others."""
        if not others:
            path, text = self._found[0]
            raise InputError("has no operator, so it has no forward either", where=path, hint=f"{text}.")

    @property
    def warnings(self) -> list[str]:
        """What is left out, and why."""
        return [f"{shorten(path.name, LONGEST_NAME)} is left out. {text}." for path, text in self._found]


def hint_at_annotations(trace: Trace, forwards: Forwards) -> str | None:
    """Return how to make forwards of annotations that the user made and that were not taken; None if there are none."""
    unused = unused_annotations(trace, forwards)
    if not unused:
        return None
    import shlex

    known = listed([f"{shorten(name, LONGEST_NAME)} ({count} times)" for name, count in unused.items()], 200)
    example = shlex.quote(shorten(next(iter(unused)), LONGEST_NAME))
    return (
        f"annotations repeat that were not taken for forwards: {known}. If one of them is the forward, name it: "
        f"--forward {example}"
    )
