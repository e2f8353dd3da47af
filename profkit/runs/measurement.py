"""A run's figures as samples: per round and forward, ready to be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from profkit.errors import InputError
from profkit.runs.folder import Run
from profkit.trace.forward import find_forwards
from profkit.trace.operators import Key, OperatorSamples, sum_operators
from profkit.trace.options import DEFAULT, DETAIL, By, ReadOptions
from profkit.trace.reader import read
from profkit.trace.table import Integers

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

    @property
    def forwards(self) -> int:
        return sum(len(values) for values in self.forward_ns)

    @property
    def observer_effect(self) -> float | None:
        """Profiled ÷ unprofiled wall time of a forward, medians; None where latency was not measured."""
        if not self.latency_ns or not self.forwards:
            return None
        return float(np.median(np.concatenate(self.forward_ns)) / np.median(np.concatenate(self.latency_ns)))

    def by_round(self, values: Integers) -> list[Integers]:
        """Split a series over all forwards into one array per round."""
        edges = np.cumsum([len(forwards) for forwards in self.forward_ns])[:-1]
        return np.split(values, edges)


def measure(run: Run, by: By = "name", options: ReadOptions = DEFAULT) -> Measurement:
    """Read the traces of ``run`` and sum their operators per forward.

    Raises InputError where a trace cannot be read or holds no forward.
    """
    run.require_traces()
    rule, torch, resolution_ns = "", None, 0
    forward_ns: list[Integers] = []
    samples: list[OperatorSamples] = []
    repairs: Counter[str] = Counter()
    for path in run.traces:
        trace = read(path, detail=DETAIL[by], options=options)
        forwards = find_forwards(trace)
        if not len(forwards):
            raise InputError("holds no operator, so there is nothing to compare", where=path)
        rule = rule or forwards.rule
        torch = torch or trace.torch_version
        repairs.update(trace.repairs)
        resolution_ns = max(resolution_ns, trace.resolution_ns)
        forward_ns.append(forwards.wall_ns)
        samples.append(sum_operators(trace, forwards, by))
    anomalies = {name: sum(s.anomalies[name] for s in samples) for name in samples[0].anomalies}
    measured = [] if run.manifest is None else [r.latency_ns for r in run.manifest.rounds if r.latency_ns]
    latency_ns = tuple(np.array(latencies) for latencies in measured)
    return Measurement(
        run=run,
        by=by,
        rule=rule,
        resolution_ns=resolution_ns,
        forward_ns=tuple(forward_ns),
        latency_ns=latency_ns,
        operators=_join(samples),
        anomalies=anomalies,
        repairs=dict(repairs),
        torch=torch,
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
