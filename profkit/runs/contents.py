"""What a run holds beside its traces: outputs, oneDNN's log, its FP32 reference. Each file is read at most once."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from profkit.arrays import Integers
from profkit.errors import InputError
from profkit.onednn.records import STRICT
from profkit.runs.configuration import runs_the_same
from profkit.runs.manifest import Round
from profkit.runs.outputs import Unreadable, read_outputs
from profkit.runs.store import MANIFEST_NAME, Run, find_runs
from profkit.stats.inference import one_row, typical
from profkit.trace.options import DEFAULT, Detail, ReadOptions
from profkit.trace.reading.reader import read

if TYPE_CHECKING:
    from profkit.onednn.join import Joined

# of the memory limit, for the outputs of a run: two runs are compared, as float64 (a float16 takes four times as much),
# with as much again for their difference
_SHARE_OF_OUTPUTS = 16


class RunData(msgspec.Struct, frozen=True):
    """What a comparison needs of a run beside its traces, already read.

    ``outputs`` are the model's by name, or why they cannot be read, ``primitives`` are oneDNN's; None if the run kept
    none. ``reference`` is the FP32 run of the same configuration, None if there is none or the run is in FP32 itself.
    ``rounds`` are the indices of the rounds that count, None if all do.
    """

    run: Run
    outputs: Mapping[str, np.ndarray] | Unreadable | None = None
    primitives: Joined | None = None
    reference: RunData | None = None
    rounds: tuple[int, ...] | None = None

    @property
    def chosen_rounds(self) -> list[Round]:
        """The rounds that count; none without a manifest."""
        rounds = self.run.manifest.rounds if self.run.manifest is not None else []
        return rounds if self.rounds is None else [rounds[index] for index in self.rounds]

    @property
    def latency_ns(self) -> tuple[Integers, ...]:
        """Wall times of forwards with the profiler off (ns), one array of the shape (forwards,) per round."""
        rounds = self.chosen_rounds
        return tuple(np.array(r.latency_ns, dtype=np.int64) for r in rounds if r.latency_ns)


class RunContents(msgspec.Struct, frozen=True, dict=True):
    """Reads the files of ``run`` beside its traces, each when it is first asked for."""

    run: Run
    options: ReadOptions = DEFAULT

    @cached_property
    def outputs(self) -> Mapping[str, np.ndarray] | Unreadable | None:
        """The model's outputs by name, or why they cannot be read; None if the run kept none."""
        path = self.run.outputs
        return None if path is None else read_outputs(path, self.options.memory_limit // _SHARE_OF_OUTPUTS)

    @cached_property
    def primitives(self) -> Joined | None:
        """The oneDNN primitives joined to the operators of the same pass, None if the run has no log.

        Raises InputError if the log or the trace of that pass cannot be read.
        """
        log, trace = self.run.onednn_log, self.run.onednn_trace
        if log is None or trace is None:
            return None
        from profkit.onednn.join import join  # takes 30 ms, which runs without a log do not need
        from profkit.onednn.log import read_log

        # names, times and tracks suffice to join
        return join(read_log(log, self.options.memory_limit), read(trace, detail=Detail.NONE, options=self.options))

    def require_primitives(self) -> Joined:
        """Return the primitives; raises InputError if the run has no log."""
        if self.primitives is None:
            hint = "Capture it with profkit capture, without --no-onednn."
            raise InputError("this run has no oneDNN log", where=self.run.path, hint=hint)
        return self.primitives

    def read(self, other: RunContents | None = None) -> RunData:
        """Return everything, and the outputs of the FP32 reference: ``other`` if it is that, else one found on disk.

        Raises InputError if a file cannot be read.
        """
        found = self._reference(other)
        reference = None if found is None else RunData(found.run, found.outputs)
        return RunData(self.run, self.outputs, self.primitives, reference)

    def _reference(self, other: RunContents | None) -> RunContents | None:
        """Return the FP32 run of the same configuration: ``other``, or one beside this run in the same log folder."""
        run = self.run
        if run.manifest is None or run.manifest.settings.fpmath == STRICT:
            return None
        if other is not None and is_reference(run, other.run):
            return other
        for folder in sorted(run.path.parent.parent.glob(f"*/{glob.escape(run.path.name)}")):
            if (folder / MANIFEST_NAME).is_file() and folder != run.path:
                with contextlib.suppress(InputError):
                    (found,) = find_runs(folder)
                    if is_reference(run, found):
                        return RunContents(found, self.options)
        return None


def typical_ns(rounds: Sequence[Sequence[int]]) -> float | None:
    """Return the wall time that stands for rounds of forwards (ns), as a comparison shows it; None for none.

    It is the geometric mean over rounds of the round's median.
    """
    known = [np.array(forwards, dtype=np.int64) for forwards in rounds if len(forwards)]
    return float(typical(one_row(known))[0]) if known else None


def is_reference(run: Run, other: Run) -> bool:
    """Whether ``other`` has the same configuration as ``run`` except that it runs in FP32."""
    a, b = run.manifest, other.manifest
    if a is None or b is None or a.torch is None or b.torch is None or b.settings.fpmath != STRICT:
        return False
    return runs_the_same(a, b, but_for="settings.fpmath")
