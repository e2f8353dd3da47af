"""profkit: capture warm-run PyTorch profiles, read them, and say which operators got faster.

In a script: :func:`capture` profiles a model in the running process, :func:`load` reads a trace, :func:`diff`
compares two runs. Nothing here needs torch but :func:`capture`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit.capture import capture

if TYPE_CHECKING:
    import os

    from profkit.compare.records.diff import Comparison
    from profkit.trace.file import TraceFile

__all__ = ["capture", "diff", "load"]


def load(path: str | os.PathLike[str]) -> TraceFile:
    """Read the trace file at ``path`` (``.json`` or ``.json.gz``).

    Reading a large file may fork the process. Raises InputError if the file cannot be read, or is a folder.
    """
    from pathlib import Path

    from profkit.trace.file import load as load_trace_file

    return load_trace_file(Path(path))


def diff(baseline: str | os.PathLike[str], candidate: str | os.PathLike[str]) -> Comparison:
    """Compare two runs, folders of runs or traces, as ``profkit diff`` does; times in ns per forward.

    Raises InputError where a side cannot be read, UsageError where they have no workload in common.
    """
    from pathlib import Path

    from profkit.compare.diff import compare_runs

    return compare_runs(Path(baseline), Path(candidate))
