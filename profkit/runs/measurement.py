"""A run's figures as samples: per round and forward, ready to be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from profkit.arrays import Integers
from profkit.errors import InputError
from profkit.runs.store import Run
from profkit.trace.calls import NO_CALLS, CallTree, call_trees, merge
from profkit.trace.events import Trace
from profkit.trace.forward import Forwards, find_forwards
from profkit.trace.operators import Key, OperatorSamples, sum_operators
from profkit.trace.options import DEFAULT, DETAIL, By, Detail, ReadOptions
from profkit.trace.reading.reader import read

OBSERVER_LIMIT = 1.3  # profiled ÷ latency above which the operator times are inflated
OBSERVER_SKEW = 1.15  # one side's observer effect over the other's above which operator times compare badly


@dataclass(frozen=True)
class OperatorSeries:
    """One operator's calls, host and device times (ns), one value per forward of the run, rounds in a row."""

    calls: Integers
    self_ns: Integers
    total_ns: Integers
    self_device_ns: Integers
    total_device_ns: Integers


@dataclass(frozen=True)
class Measurement:
    """What was measured in a run. ``forward_ns`` and ``latency_ns`` hold one array per round."""

    run: Run
    by: By
    rule: str
    resolution_ns: int
    forward_ns: tuple[Integers, ...]
    latency_ns: tuple[Integers, ...]
    operators: Mapping[Key, OperatorSeries]
    anomalies: Mapping[str, int]
    repairs: Mapping[str, int]
    torch: str | None
    calls: CallTree = NO_CALLS

    @property
    def forwards(self) -> int:
        return sum(len(values) for values in self.forward_ns)

    @property
    def observer_effect(self) -> float | None:
        """Profiled ÷ unprofiled wall time of a forward, medians; None where latency was not measured."""
        if not self.latency_ns or not self.forwards:
            return None
        return float(np.median(np.concatenate(self.forward_ns)) / np.median(np.concatenate(self.latency_ns)))

    @cached_property
    def recording_ns(self) -> float | None:
        """What the profiler adds per operator call, about: the observer effect over the calls of a forward, in ns."""
        if not self.latency_ns:
            return None
        calls = sum(float(np.median(series.calls)) for series in self.operators.values())
        if not calls:
            return None
        added = np.median(np.concatenate(self.forward_ns)) - np.median(np.concatenate(self.latency_ns))
        return max(0.0, float(added) / calls)

    def by_round(self, values: Integers) -> list[Integers]:
        """Split a series over all forwards into one array per round."""
        edges = np.cumsum([len(forwards) for forwards in self.forward_ns])[:-1]
        return np.split(values, edges, axis=-1)


@dataclass(frozen=True)
class WallTimes:
    """Wall times of the forwards of a run, one array per round, in ns; read only where they are needed."""

    latency_ns: tuple[Integers, ...]
    read_forwards: Callable[[], tuple[Integers, ...]]

    @property
    def forward_ns(self) -> tuple[Integers, ...]:
        """The forwards under the profiler; raises InputError where a trace cannot be read or holds none."""
        return self.read_forwards()


def wall_times(run: Run, options: ReadOptions = DEFAULT) -> WallTimes:
    """Return the wall times of ``run``; with a latency in its manifest no trace needs to be read."""

    def read_forwards() -> tuple[Integers, ...]:
        run.require_traces()
        return tuple(_forwards(read(path, options=options), path).wall_ns for path in run.traces)

    return WallTimes(_latencies(run), read_forwards)


def _forwards(trace: Trace, path: Path) -> Forwards:
    forwards = find_forwards(trace)
    if not len(forwards):
        raise InputError("holds no operator, so there is nothing to compare", where=path)
    return forwards


def _latencies(run: Run) -> tuple[Integers, ...]:
    rounds = run.manifest.rounds if run.manifest is not None else []
    return tuple(np.array(r.latency_ns) for r in rounds if r.latency_ns)


def measure(run: Run, by: By = "name", options: ReadOptions = DEFAULT, *, with_calls: bool = False) -> Measurement:
    """Read the traces of ``run`` and sum their operators per forward; ``with_calls`` keeps the call tree too.

    Raises InputError where a trace cannot be read or holds no forward.
    """
    run.require_traces()
    rule, torch, resolution_ns = "", None, 0
    forward_ns: list[Integers] = []
    samples: list[OperatorSamples] = []
    trees: list[CallTree] = []
    detail = DETAIL[by] | Detail.SHAPES if with_calls else DETAIL[by]
    repairs: Counter[str] = Counter()
    for path in run.traces:
        trace = read(path, detail=detail, options=options)
        forwards = _forwards(trace, path)
        rule = rule or forwards.rule
        torch = torch or trace.torch_version
        repairs.update(trace.repairs)
        resolution_ns = max(resolution_ns, trace.resolution_ns)
        forward_ns.append(forwards.wall_ns)
        samples.append(sum_operators(trace, forwards, by))
        if with_calls:
            trees += call_trees(trace, forwards)
    anomalies = {name: sum(s.anomalies[name] for s in samples) for name in samples[0].anomalies}
    return Measurement(
        run=run,
        by=by,
        rule=rule,
        resolution_ns=resolution_ns,
        forward_ns=tuple(forward_ns),
        latency_ns=_latencies(run),
        operators=_join(samples),
        anomalies=anomalies,
        repairs=dict(repairs),
        torch=torch,
        calls=merge(trees),
    )


def _join(samples: list[OperatorSamples]) -> dict[Key, OperatorSeries]:
    """Put the rounds' samples in a row; an operator that a round does not have counts zero there."""
    keys = dict.fromkeys(key for sample in samples for key in sample.keys)
    joined = {}
    columns = [{key: position for position, key in enumerate(sample.keys)} for sample in samples]
    for key in keys:
        parts = [
            [f[:, c[key]] for f in s.figures] if key in c else [np.zeros(len(s.calls), dtype=np.int64)] * 5
            for s, c in zip(samples, columns, strict=True)
        ]
        series = OperatorSeries(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        if series.calls.any():  # else it ran between the forwards only
            joined[key] = series
    return joined
