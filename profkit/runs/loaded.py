"""The public face of a run: :func:`load_path` returns a :class:`LoadedRun`, or the :class:`TraceFile` of one file."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from profkit.runs.manifest import Manifest
from profkit.runs.store import Run, one_run
from profkit.trace.file import TraceFile, load
from profkit.trace.options import DEFAULT, By, ReadOptions
from profkit.trace.tables import Table


class LoadedRun:
    """One run: its manifest and its traces, one per round, which are read when they are first needed.

    The methods return the tables of :class:`profkit.trace.file.TraceFile` for all rounds, with a column ``round``
    before the others: the position of the trace in ``traces``.
    """

    def __init__(self, run: Run, options: ReadOptions = DEFAULT) -> None:
        self._run = run
        self._options = options

    def __repr__(self) -> str:
        torch = self.manifest.torch if self.manifest is not None else None
        version = f", PyTorch {torch.version}" if torch is not None else ""
        count = len(self._run.traces)
        return f"<LoadedRun {self._run.title!r}: {count} trace{'s' * (count != 1)}{version}>"

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self._run.path

    @property
    def manifest(self) -> Manifest | None:
        """What profkit.json says; None for a folder of traces without one."""
        return self._run.manifest

    @property
    def warnings(self) -> tuple[str, ...]:
        """Which files in the folder do not count, and why."""
        return self._run.warnings

    @cached_property
    def traces(self) -> tuple[TraceFile, ...]:
        """The traces in the order of the rounds; raises InputError if one cannot be read, or there is none."""
        self._run.require_traces()
        return tuple(load(path, options=self._options) for path in self._run.traces)

    def operators(self, by: By = "name", *, per_forward: bool = False) -> Table:
        """Return one row per round and operator; see :meth:`profkit.trace.file.TraceFile.operators`."""
        return self._joined(lambda trace: trace.operators(by, per_forward=per_forward))

    def forwards(self) -> Table:
        """Return one row per round and forward; see :meth:`profkit.trace.file.TraceFile.forwards`."""
        return self._joined(TraceFile.forwards)

    def spans(self) -> Table:
        """Return one row per round and span; see :meth:`profkit.trace.file.TraceFile.spans`."""
        return self._joined(TraceFile.spans)

    def flows(self) -> Table:
        """Return one row per round and flow record; see :meth:`profkit.trace.file.TraceFile.flows`."""
        return self._joined(TraceFile.flows)

    def _joined(self, table_of: Callable[[TraceFile], Table]) -> Table:
        tables = [table_of(trace) for trace in self.traces]
        rounds = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0].columns}
        return Table({"round": rounds, **joined})


def load_path(path: Path, options: ReadOptions = DEFAULT) -> TraceFile | LoadedRun:
    """Read the trace file at ``path``, or open the run in that folder.

    Raises InputError if the file cannot be read or the folder holds no run, UsageError if it holds several.
    """
    if not path.is_dir():
        return load(path, options=options)
    return LoadedRun(one_run(path), options)
