"""What a run holds beside its traces: latency, outputs, oneDNN's log. Each file is read at most once."""

from __future__ import annotations

import contextlib
import glob
import io
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from profkit.arrays import Integers
from profkit.errors import InputError
from profkit.files import read_bounded
from profkit.onednn.grammar import STRICT
from profkit.onednn.join import Joined, join
from profkit.onednn.log import read_log
from profkit.runs.configuration import runs_the_same
from profkit.runs.store import MANIFEST_NAME, Run, find_runs
from profkit.trace.options import DEFAULT, ReadOptions
from profkit.trace.reading.reader import read


@dataclass(frozen=True)
class RunContents:
    """The contents of ``run`` that are read only when asked for."""

    run: Run
    options: ReadOptions = DEFAULT

    @property
    def latency_ns(self) -> tuple[Integers, ...]:
        """Wall times of forwards with the profiler off (ns), one array of the shape (forwards,) per round."""
        rounds = self.run.manifest.rounds if self.run.manifest is not None else []
        return tuple(np.array(r.latency_ns, dtype=np.int64) for r in rounds if r.latency_ns)

    @cached_property
    def outputs(self) -> dict[str, np.ndarray] | None:
        """The model's outputs by name, None if the run kept none; raises InputError if they cannot be read."""
        path = self.run.outputs
        if path is None:
            return None
        try:
            with np.load(io.BytesIO(read_bounded(path, self.options.memory_limit).data), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, BadZipFile, EOFError, KeyError, NotImplementedError, zlib.error) as error:
            hint = "Capture it again."
            raise InputError(f"the saved outputs cannot be read: {error}", where=path, hint=hint) from None

    @cached_property
    def primitives(self) -> Joined | None:
        """The oneDNN primitives joined to the operators of the same pass, None if the run has no log.

        Raises InputError if the log or the trace of that pass cannot be read.
        """
        log, trace = self.run.onednn_log, self.run.onednn_trace
        if log is None or trace is None:
            return None
        return join(read_log(log, self.options.memory_limit), read(trace, options=self.options))

    def require_primitives(self) -> Joined:
        """Return the primitives; raises InputError if the run has no log."""
        if self.primitives is None:
            hint = "Capture it with profkit capture, without --no-onednn."
            raise InputError("this run has no oneDNN log", where=self.run.path, hint=hint)
        return self.primitives

    @cached_property
    def reference(self) -> RunContents | None:
        """The FP32 run of the same configuration among the labels of the same log folder, None if there is none."""
        run = self.run
        if run.manifest is None or run.manifest.settings.fpmath == STRICT:
            return None
        for folder in sorted(run.path.parent.parent.glob(f"*/{glob.escape(run.path.name)}")):
            if (folder / MANIFEST_NAME).is_file() and folder != run.path:
                with contextlib.suppress(InputError):
                    (other,) = find_runs(folder)
                    if is_reference(run, other):
                        return RunContents(other, self.options)
        return None

    def reference_among(self, other: RunContents) -> RunContents | None:
        """Return ``other`` if it is the FP32 run of the same configuration, else the one found on disk."""
        return other if is_reference(self.run, other.run) else self.reference


def is_reference(run: Run, other: Run) -> bool:
    """Whether ``other`` has the same configuration as ``run`` except that it runs in FP32."""
    a, b = run.manifest, other.manifest
    if a is None or b is None or a.torch is None or b.torch is None or b.settings.fpmath != STRICT:
        return False
    return runs_the_same(a, b, but_for="settings.fpmath")


def trace_name(path: Path) -> str:
    """Return the name of a folder, or of a trace file without its endings."""
    return path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".pt.trace")
