"""profkit: capture warm-run PyTorch profiles, read them, and show which operators got faster.

In a script: :func:`record` profiles a model in the running process, :func:`load` reads a trace or a run, :func:`diff`
compares two runs, :func:`compare` any number. Only :func:`record` needs torch.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for typing.TYPE_CHECKING, whose import delays every command
if TYPE_CHECKING:
    import os
    from pathlib import Path
    from typing import Any

    from profkit.comparison.records.diff import Comparison
    from profkit.comparison.records.many import Overview
    from profkit.report.results import Result
    from profkit.runs.loaded import LoadedRun
    from profkit.trace.file import TraceFile
    from profkit.trace.options import By

__all__ = ["compare", "diff", "load", "record"]


def record(
    model: Any,
    inputs: Any,
    *,
    name: str | None = None,
    label: str | None = None,
    logdir: str | os.PathLike[str] = "logs",
    steps: int = 20,
    warmup: int = 10,
    with_stack: bool = False,
) -> Path:
    """Record ``model(*inputs)`` in this process, as one round of a run; return the run's folder.

    Runs at least ``warmup`` forwards, times ``steps`` of them with the profiler off, then profiles as many, each in
    profkit's own annotation. ``inputs`` is a tensor or a tuple of positional arguments. The run is
    ``logdir/label/name``; by default ``label`` is the PyTorch version and ``name`` the model's class in lower case. If
    that run exists, a round is added to it. Call this in several fresh processes: one process does not show how much
    processes differ.

    Raises UsageError if the run there has another configuration, CaptureError if another process is writing it,
    OutputError if it cannot be written.
    """
    from pathlib import Path

    from profkit.capture.record import record_in_process

    return record_in_process(
        model,
        inputs,
        name=name or type(model).__name__.lower(),
        label=label,
        logdir=Path(logdir),
        steps=steps,
        warmup=warmup,
        with_stack=with_stack,
    )


def load(path: str | os.PathLike[str]) -> TraceFile | LoadedRun:
    """Read the trace file at ``path`` (``.json`` or ``.json.gz``), or open the run in the folder ``path``.

    ``path`` may be a URL that fsspec opens, or an archive: a copy is then made in the user's cache folder.

    Both have the tables ``operators()``, ``forwards()``, ``spans()`` and ``flows()``. Reading a large file may fork the
    process. Raises InputError if the file cannot be read or the folder holds no run,
    UsageError if it holds several.
    """
    from profkit.fetching import local
    from profkit.runs.loaded import load_path

    return load_path(local(path))


def diff(
    baseline: str | os.PathLike[str],
    candidate: str | os.PathLike[str],
    *,
    by: By = "name",
    margin: float = 0.02,
    forward: str | None = None,
) -> Result[Comparison]:
    """Compare two runs, folders of runs or traces, as ``profkit diff`` does; times in ns per forward.

    The rows of operators are ``by`` name, shape, module or stack. A change within ``margin`` counts as the same.
    ``forward`` names the annotation that is one forward, None: those that are found.
    Raises InputError if a side cannot be read, UsageError if they have no workload in common.
    """
    from profkit.report.results import diff as compare_two

    return compare_two(baseline, candidate, by, margin, forward)


def compare(
    *runs: str | os.PathLike[str],
    baseline: str | os.PathLike[str] | None = None,
    margin: float = 0.02,
    forward: str | None = None,
) -> Result[Overview]:
    """Compare any number of runs with the first of them, or with ``baseline``, as ``profkit compare`` does.

    Raises InputError if a run cannot be read, UsageError if there are fewer than two.
    """
    from profkit.report.results import compare as compare_many

    return compare_many(runs, baseline, margin, forward)
