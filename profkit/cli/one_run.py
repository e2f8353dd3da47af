"""Finds the one run that a command is about, and begins to read it early."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from profkit.runs import Run
    from profkit.trace.options import By, ReadOptions
    from profkit.trace.reading.pending import PendingRead


def one_run(path: Path) -> Run:
    """Return the run at ``path``; raises UsageError, naming them, if there are several, InputError if there is none."""
    from profkit.runs import store

    return store.one_run(path)


def start_reading(path: Path, by: By, reading: ReadOptions) -> PendingRead:
    """Begin to read ``path``, if it is a large trace file, while this process still imports NumPy and the report.

    Close the result, or use it in ``with``; for any other path nothing begins.
    """
    from profkit.trace.options import DETAIL
    from profkit.trace.reading.pending import begin_read

    return begin_read(path, DETAIL[by], reading)
