"""Picking the one run that a command speaks of."""

from __future__ import annotations

from pathlib import Path

from profkit.errors import UsageError
from profkit.runs import Run, find_runs


def one_run(path: Path) -> Run:
    """Return the run at ``path``; raises UsageError, naming them, where there are several."""
    runs = find_runs(path)
    if len(runs) > 1:
        shown = ", ".join(str(run.path) for run in runs[:8]) + (", …" if len(runs) > 8 else "")
        raise UsageError(f"{path} holds {len(runs)} runs: {shown}", hint="Name one of them.")
    return runs[0]
