"""Picking the one run that a command speaks of, and setting out to read it early."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from profkit.errors import UsageError

if TYPE_CHECKING:
    from profkit.runs import Run
    from profkit.trace.options import By, ReadOptions


def one_run(path: Path) -> Run:
    """Return the run at ``path``; raises UsageError, naming them, where there are several."""
    from profkit.runs import find_runs

    runs = find_runs(path)
    if len(runs) > 1:
        shown = ", ".join(str(run.path) for run in runs[:8]) + (", …" if len(runs) > 8 else "")
        raise UsageError(f"{path} holds {len(runs)} runs: {shown}", hint="Name one of them.")
    return runs[0]


def start_reading(path: Path, by: By, reading: ReadOptions) -> None:
    """Let the reading of a large trace file begin while this process still loads NumPy and what shows it.

    A second process decodes; or, where the columns may be known from before, threads hash the file to find them.
    """
    from profkit.trace.options import DETAIL
    from profkit.trace.reading.cache_folder import hash_ahead, is_worthwhile, may_know
    from profkit.trace.reading.parallel import Job, start_ahead

    try:
        if not path.is_file() or not is_worthwhile(path):
            return
        if reading.use_cache and may_know(path):
            hash_ahead(path)
        else:
            start_ahead(Job.of(path, DETAIL[by], reading.memory_limit))
    except OSError:
        pass  # the reading proper says what is wrong with it
