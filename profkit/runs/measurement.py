"""What was measured in a run, as matrices: read once, for several groupings of operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from profkit.arrays import Integers
from profkit.runs.contents import RunData
from profkit.runs.evidence import Recording, Rounds, sort_into_rounds
from profkit.runs.forwards import WithoutForwards, hint_at_annotations
from profkit.runs.ranks import ProcessTimes, RankTimes, side_by_side, times_of_processes
from profkit.runs.store import Run
from profkit.stats.inference import one_row, typical
from profkit.stats.quantiles import median
from profkit.trace.calls import NO_CALLS, CallTree, call_trees, merge
from profkit.trace.events import Trace
from profkit.trace.forward import NAMED, Forwards, find_forwards
from profkit.trace.generated import under_stems
from profkit.trace.operators import Key, OperatorSamples, sum_operators
from profkit.trace.options import DEFAULT, DETAIL, By, Detail, ReadOptions
from profkit.trace.reading.pending import PendingRead, read_pending
from profkit.trace.reading.reader import read

FIGURES = ("calls", "self_ns", "total_ns", "self_device_ns", "total_device_ns")


class OperatorMatrix(msgspec.Struct, frozen=True, dict=True):
    """Calls, host times and device times (ns) of every operator in every forward of a run.

    Each figure has the shape (keys, forwards), the forwards of all rounds in a row; ``round_edges`` are the columns at
    which the second and later rounds begin. An operator that a round does not have counts zero there.
    """

    keys: tuple[Key, ...]
    calls: Integers
    self_ns: Integers
    total_ns: Integers
    self_device_ns: Integers
    total_device_ns: Integers
    round_edges: Integers

    @cached_property
    def row(self) -> Mapping[Key, int]:
        """The row of each key."""
        return {key: row for row, key in enumerate(self.keys)}

    def rounds(self, figure: str, keys: Sequence[Key] | None = None) -> list[Integers]:
        """Return a figure of some operators (None: all), one array of the shape (keys, forwards) per round."""
        values: Integers = getattr(self, figure)
        if keys is not None:
            values = values[[self.row[key] for key in keys]]
        return np.split(values, self.round_edges, axis=1)

    def select(self, rounds: Sequence[int]) -> OperatorMatrix:
        """Return the matrix of some rounds only, in the given order."""
        columns = np.split(np.arange(self.calls.shape[1]), self.round_edges)
        chosen = [columns[number] for number in rounds]
        every = np.concatenate(chosen)
        figures = {figure: getattr(self, figure)[:, every] for figure in FIGURES}
        edges = np.cumsum([len(c) for c in chosen])[:-1]
        return OperatorMatrix(keys=self.keys, round_edges=edges, **figures)

    def with_rows_of(self, other: OperatorMatrix, stems: Mapping[str, str]) -> OperatorMatrix:
        """Return the matrix with the rows of ``other`` for some operators: those that ``stems`` gives another name.

        ``other`` has the rows under these names, for the same forwards.
        """
        kept = [row for row, key in enumerate(self.keys) if key[0] not in stems]
        names = set(stems.values())
        taken = [row for row, key in enumerate(other.keys) if key[0] in names]
        figures = {f: np.concatenate((getattr(self, f)[kept], getattr(other, f)[taken])) for f in FIGURES}
        keys = (*(self.keys[row] for row in kept), *(other.keys[row] for row in taken))
        return OperatorMatrix(keys=keys, round_edges=self.round_edges, **figures)

    def medians(self, figure: str) -> list[float]:
        """Return each operator's median over all forwards."""
        values: list[float] = median(getattr(self, figure)).tolist()
        return values


class Measurement(msgspec.Struct, frozen=True, dict=True):
    """What the traces of a run hold. ``forward_ns`` has one array of the shape (forwards,) per round, in ns.

    ``tables`` holds the operators for each grouping that was asked for, ``calls`` the call tree of most forwards.
    ``stem_tables`` holds the operators under the stems of their names, if torch.compile numbered some and they are to
    be compared (see :mod:`profkit.trace.generated`). ``anomalies`` and ``repairs`` count what was odd or damaged in the
    files. ``data`` is the rest of the run. ``warnings`` say which traces do not count as rounds of their own, and why.
    ``ranks`` are the ranks or processes, if there are several, and ``hints`` what the user may do to be understood.
    """

    data: RunData
    rule: str
    resolution_ns: int
    forward_ns: tuple[Integers, ...]
    tables: Mapping[By, OperatorMatrix]
    anomalies: Mapping[str, int]
    repairs: Mapping[str, int]
    torch: str | None
    calls: CallTree = NO_CALLS
    warnings: tuple[str, ...] = ()
    stem_tables: Mapping[By, OperatorMatrix] = msgspec.field(default_factory=dict)
    ranks: tuple[RankTimes, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def run(self) -> Run:
        """The run."""
        return self.data.run

    @cached_property
    def latency_ns(self) -> tuple[Integers, ...]:
        """Wall times with the profiler off (ns), one array of the shape (forwards,) per round, if measured.

        They are of whole forwards: if the user named another annotation as the forward, nothing was measured.
        """
        return () if self.rule == NAMED else self.data.latency_ns

    def under_stems(self, stems: Mapping[str, str]) -> Measurement:
        """Return the measurement with other names for some operators; ``stems`` gives each name its stem."""
        if not stems or not self.stem_tables:
            return self
        tables = {by: table.with_rows_of(self.stem_tables[by], stems) for by, table in self.tables.items()}
        calls = tuple((stems.get(name, name), shapes) for name, shapes in self.calls.calls)
        return replace(self, tables=tables, calls=replace(self.calls, calls=calls))

    def select(self, rounds: Sequence[int]) -> Measurement:
        """Return the measurement of some rounds only, by index and in the given order; call trees stay of all."""
        if tuple(rounds) == tuple(range(len(self.forward_ns))):
            return self
        return replace(
            self,
            data=replace(self.data, rounds=tuple(rounds)),
            forward_ns=tuple(self.forward_ns[number] for number in rounds),
            tables={by: table.select(rounds) for by, table in self.tables.items()},
        )

    @property
    def forwards(self) -> int:
        """The number of profiled forwards."""
        return sum(len(values) for values in self.forward_ns)

    @cached_property
    def overhead_per_call_ns(self) -> float | None:
        """Estimated profiler overhead per operator call (ns): (profiled - unprofiled median) / calls per forward."""
        table = next(iter(self.tables.values()))
        calls = sum(table.medians("calls"))
        if not self.latency_ns or not calls:
            return None
        return max(0.0, self._typical_ns(self.forward_ns) - self._typical_ns(self.latency_ns)) / calls

    def _typical_ns(self, rounds: Sequence[Integers]) -> float:
        return float(typical(one_row(rounds))[0])


def measure(
    run: Run,
    groupings: Sequence[By] = ("name",),
    options: ReadOptions = DEFAULT,
    *,
    with_calls: bool = False,
    pending: PendingRead | None = None,
) -> Measurement:
    """Read every trace of ``run`` once and sum its operators per forward, for each grouping.

    ``with_calls`` keeps the call tree too; ``pending`` is the read of a trace that has begun. Raises InputError if a
    trace cannot be read or holds no forward.
    """
    run.require_traces()
    detail = Detail.SHAPES if with_calls else Detail.NONE
    for by in groupings:
        detail |= DETAIL[by]
    every: list[_Part] = []
    left_out = WithoutForwards(run)
    for path in run.traces:
        trace = read_pending(path, detail, options, pending)
        forwards = find_forwards(trace, options.forward)
        if left_out.has_none(trace, forwards):
            continue
        every.append(_Part.of(trace, forwards, groupings, with_calls=with_calls))
    left_out.require(every)
    rounds = rounds_of(run, [part.recording for part in every])
    parts = [every[position] for position in rounds.counted]
    first = [part.samples[groupings[0]] for part in parts]
    repairs: Counter[str] = Counter()
    anomalies: Counter[str] = Counter()
    for part, of_part in zip(parts, first, strict=True):
        repairs.update(part.repairs)
        anomalies.update(of_part.anomalies)
    return Measurement(
        data=RunData(run),
        rule=" / ".join(dict.fromkeys(part.forwards.rule for part in parts)),
        resolution_ns=max(part.resolution_ns for part in parts),
        forward_ns=_pool(rounds, [part.forwards for part in every]),
        tables={by: _matrix([part.samples[by] for part in parts], rounds) for by in groupings},
        anomalies=dict(anomalies),
        repairs=dict(repairs),
        torch=next((part.torch for part in parts if part.torch is not None), None),
        calls=merge([tree for part in parts for tree in part.trees]),
        warnings=(*left_out.warnings, *rounds.warnings),
        stem_tables={by: _matrix([p.stems.get(by, p.samples[by]) for p in parts], rounds) for by in groupings}
        if any(part.stems for part in parts)
        else {},
        ranks=tuple(side_by_side([times for part in parts for times in part.processes])),
        hints=tuple(dict.fromkeys(part.hint for part in parts if part.hint is not None)),
    )


class _Part(msgspec.Struct, frozen=True):
    """What is kept of one trace; ``stems`` are its samples under stems, empty if it has no numbered operator."""

    recording: Recording
    forwards: Forwards
    samples: Mapping[By, OperatorSamples]
    stems: Mapping[By, OperatorSamples]
    trees: Sequence[CallTree]
    processes: Sequence[ProcessTimes]
    hint: str | None
    torch: str | None
    resolution_ns: int
    repairs: Mapping[str, int]

    @classmethod
    def of(cls, trace: Trace, forwards: Forwards, groupings: Sequence[By], *, with_calls: bool) -> _Part:
        stems = under_stems(trace) if with_calls else None
        return cls(
            recording=Recording.of(trace),
            forwards=forwards,
            samples={by: sum_operators(trace, forwards, by) for by in groupings},
            stems={} if stems is None else {by: sum_operators(stems, forwards, by) for by in groupings},
            trees=call_trees(trace, forwards) if with_calls else [],
            processes=times_of_processes(trace, forwards),
            hint=hint_at_annotations(trace, forwards),
            torch=trace.torch_version,
            resolution_ns=trace.resolution_ns,
            repairs=trace.repairs,
        )


def rounds_of(run: Run, recordings: Sequence[Recording]) -> Rounds:
    """Sort the traces of ``run`` into rounds: those of its manifest, or by what the traces say of their origin.

    The warnings include those of ``run``. Raises InputError if traces without a manifest are of several configurations.
    """
    if run.manifest is None:
        rounds = sort_into_rounds(recordings, run.path)
    else:
        rounds = Rounds(tuple((position,) for position in range(len(recordings))))
    return replace(rounds, warnings=(*run.warnings, *rounds.warnings))


def _pool(rounds: Rounds, forwards: Sequence[Forwards]) -> tuple[Integers, ...]:
    """Return the wall times of the forwards (ns), one array per round."""
    return tuple(np.concatenate([forwards[position].wall_ns for position in round_]) for round_ in rounds.traces)


class Profiled(NamedTuple):
    """Wall times of profiled forwards (ns), one array per round, and warnings as those of :class:`Measurement`."""

    forward_ns: tuple[Integers, ...]
    warnings: tuple[str, ...]


def profiled_ns(run: Run, options: ReadOptions = DEFAULT) -> Profiled:
    """Return the wall times of the profiled forwards, without their operators.

    Raises InputError if a trace cannot be read or holds no forward.
    """
    run.require_traces()
    found: list[Forwards] = []
    recordings: list[Recording] = []
    left_out = WithoutForwards(run)
    for path in run.traces:
        trace = read(path, detail=Detail.NONE, options=options)
        forwards = find_forwards(trace, options.forward)
        if not left_out.has_none(trace, forwards):
            found.append(forwards)
            recordings.append(Recording.of(trace))
    left_out.require(found)
    rounds = rounds_of(run, recordings)
    return Profiled(_pool(rounds, found), (*left_out.warnings, *rounds.warnings))


def _matrix(samples: Sequence[OperatorSamples], rounds: Rounds) -> OperatorMatrix:
    """Put the traces side by side, round by round; operators that ran only between forwards are left out."""
    place = {key: row for row, key in enumerate(dict.fromkeys(key for sample in samples for key in sample.keys))}
    lengths = [len(sample.calls) for sample in samples]
    edges = np.cumsum(lengths)
    joined = [np.zeros((len(place), int(edges[-1])), dtype=np.int64) for _ in FIGURES]
    for sample, end, length in zip(samples, edges.tolist(), lengths, strict=True):
        rows = [place[key] for key in sample.keys]
        for target, figure in zip(joined, sample.figures, strict=True):
            target[rows, end - length : end] = figure.T
    used = np.flatnonzero(joined[0].any(axis=1))
    keys = list(place)
    calls, self_ns, total_ns, self_device_ns, total_device_ns = (figure[used] for figure in joined)
    return OperatorMatrix(
        keys=tuple(keys[row] for row in used.tolist()),
        calls=calls,
        self_ns=self_ns,
        total_ns=total_ns,
        self_device_ns=self_device_ns,
        total_device_ns=total_device_ns,
        round_edges=edges[np.cumsum([len(round_) for round_ in rounds.traces])[:-1] - 1],
    )
