"""A load test: the levels take turns, slice by slice, so that drift of the machine does not look like a curve."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from profkit import units
from profkit.capture.host import describe_host
from profkit.capture.memory import available_bytes
from profkit.capture.plan import Configuration, order_of_round
from profkit.capture.session import tool_version
from profkit.capture.task import Listener
from profkit.comparison.records.load import LatencyLimit, Load, LoadPoint
from profkit.errors import CaptureError, UsageError
from profkit.experiments.load.answers import answer, compare, points_of
from profkit.experiments.load.arrivals import EDGE, Rates, auto_rates, poisson_arrivals
from profkit.experiments.load.levels import (
    AUTO_MOST,
    Concurrency,
    Level,
    lacking_memory,
    level_of,
    powers_up_to,
    processes_allowed,
    usable_cores,
)
from profkit.experiments.load.points import Measured
from profkit.experiments.load.slices import Slice, closed_loop, most_rate, open_loop
from profkit.experiments.load.workers import LevelFailedError, Workers
from profkit.runs.manifest import Torch
from profkit.runs.settings import Settings
from profkit.scratch import scratch_folder

ROUNDS = 5
"""Slices of each point: the fewest with which Student's t is not much wider than with many (2.78 to 1.96)."""
FEWEST_REQUESTS = 5  # that a process gets in a slice: a window that is shorter than this many forwards is extended
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to measure: the numbers of processes, the rates of an open loop (none: None), and for how long each."""

    concurrency: Concurrency
    rates: Rates | None
    duration_s: float
    limit: LatencyLimit | None = None


class LoadSession:
    """A load test of one configuration under ``python``: :meth:`run` it, then take its :meth:`result`.

    What is complete when :meth:`run` is interrupted, or raises, is in the result too.
    """

    def __init__(
        self,
        configuration: Configuration,
        options: Settings,
        python: Path,
        plan: LoadPlan,
        listener: Listener,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._configuration, self._python, self._plan, self._listener = configuration, python, plan, listener
        self._settings = Settings(options, **configuration.settings)
        self._environ = os.environ if environ is None else environ
        self._cores = usable_cores(self._settings.cpus)
        self._measured: list[Measured] = []
        self._torch: Torch | None = None
        self._allowed: int | None = None
        self._available: int | None = None
        self._used: int | None = None
        self._variables: dict[str, str] = {}
        self._warnings: list[str] = []
        self._rounds = 0
        self._complete = False

    def run(self) -> None:
        """Measure all points. A level that fails does not stop the others.

        Raises CaptureError if no process gets ready, UsageError for a rate that is too high to be recorded.
        """
        with scratch_folder() as folder:
            arguments = (self._configuration, self._settings, self._python, folder, self._listener, self._environ)
            with Workers(*arguments) as workers:
                self._variables = workers.variables(self._settings.threads)
                self._measure_closed(workers)
                if self._plan.rates is not None:
                    self._measure_open(workers, folder)
                if workers.restarts:
                    self._warnings.append(
                        "memory did not suffice for the processes of all levels at once: they were started again for "
                        "each slice, so that intervals also cover how processes differ"
                    )
        self._complete = True

    @property
    def has_points(self) -> bool:
        """Whether there is anything to show."""
        return any(m.slices for m in self._measured)

    @property
    def failures(self) -> list[str]:
        """What of the points asked for was not measured, and why."""
        lacking = (
            [] if self._plan.concurrency.auto else [f"{m.name}: {m.left_out}" for m in self._measured if m.left_out]
        )
        return [*lacking, *(f"{m.name}: {m.failure}" for m in self._measured if m.failure)]

    def result(self) -> Load:
        """Return what is measured so far."""
        closed = sorted((m for m in self._measured if m.rate_per_s is None), key=lambda m: m.level.processes)
        measured = [*closed, *(m for m in self._measured if m.rate_per_s is not None)]
        limit = self._plan.limit
        points = points_of(measured, limit)
        found = (answer(measured, points, "closed", limit), answer(measured, points, "poisson", limit))
        order = self._configuration.workload
        return Load(
            workload=order.name,
            label=self._configuration.label,
            batch=order.batch,
            settings=dict(self._settings.completed({"batch": order.batch, "weights": order.weights})),
            environment=self._variables,
            torch=self._torch,
            host=describe_host(),
            tool=tool_version(),
            cores=self._cores,
            duration_s=self._plan.duration_s,
            rounds=ROUNDS,
            seed=self._settings.seed,
            latency_limit=limit,
            memory_allows=self._allowed,
            points=points,
            answers=[one for one in found if one is not None],
            warnings=[*self._warnings, *_drifted(points)],
            complete=self._complete,
        )

    def _measure_closed(self, workers: Workers) -> None:
        """Measure the closed loop at each level; with ``auto`` go on while throughput rises and memory allows."""
        wanted = self._plan.concurrency.processes or powers_up_to(self._cores)
        self._start_first(workers, self._level(wanted[0]))
        self._measured = [Measured(self._level(processes)) for processes in wanted]
        for measured in self._measured:
            self._check_memory(measured)
        self._take_turns(workers, [m for m in self._measured if m.is_open])
        while self._plan.concurrency.auto and (before := self._rising()) is not None:
            more = Measured(self._level(2 * before.level.processes))
            self._check_memory(more)
            self._measured.append(more)
            if not more.is_open:
                return
            self._take_turns(workers, [before, more])  # both, so that the two are compared pairwise

    def _level(self, processes: int) -> Level:
        return level_of(processes, self._cores, self._settings)

    def _start_first(self, workers: Workers, level: Level) -> None:
        """Start one process of the first level, and learn from it what memory allows; raises CaptureError."""
        self._listener.activity(f"starting {self._configuration.workload.name}")
        try:
            (first,) = workers.serve(Level(1, level.threads))
        except LevelFailedError as error:
            raise CaptureError(str(error), hint=error.hint) from None
        self._torch = msgspec.convert(first.last("torch"), Torch)
        self._available, self._used = available_bytes(), workers.used_bytes()
        self._allowed = processes_allowed(self._available, self._used)

    def _check_memory(self, measured: Measured) -> None:
        """Leave a level out if memory does not allow its processes."""
        if self._allowed is not None and measured.level.processes > self._allowed:
            assert self._available is not None
            assert self._used is not None
            measured.left_out = lacking_memory(measured.level, self._allowed, self._used, self._available)
            self._listener.message(f"{measured.name} is left out: {measured.left_out}")

    def _rising(self) -> Measured | None:
        """Return the level with the most processes if its throughput is shown to be higher than the one's before it."""
        *_, before, last = [None, None, *(m for m in self._measured if m.rate_per_s is None)]
        if last is None or not last.is_open or not last.slices or 2 * last.level.processes > AUTO_MOST * self._cores:
            return None
        if before is None:
            return last  # a machine with one core: there is nothing to compare with yet
        judged = compare(before, last, Measured.picoseconds) if before.slices else None
        return last if judged is not None and judged.low is not None and judged.low > 1 else None

    def _take_turns(self, workers: Workers, points: Sequence[Measured], folder: Path | None = None) -> None:
        """Measure a slice of every point per round, in an order that changes; a point that fails has no more slices."""
        for round_ in range(ROUNDS):
            self._listener.started(f"round {round_ + 1} of {ROUNDS}", self._left(points, ROUNDS - round_))
            for position in order_of_round(round_, len(points)):
                point = points[position]
                if not point.is_open:
                    continue
                try:
                    point.slices.append(self._slice(workers, point, folder))
                except LevelFailedError as error:
                    point.failure = str(error)
                    self._listener.message(f"{point.name} failed: {error}{f'. {error.hint}' * bool(error.hint)}")
                    workers.end(point.level)
            self._rounds += 1

    def _slice(self, workers: Workers, point: Measured, folder: Path | None) -> Slice:
        """Measure the next slice of a point; raises LevelFailedError."""
        ready = workers.serve(point.level)
        window_ns = self._window_ns(max(worker.last("turn")["forward_ns"] for worker in ready), point.level)
        if point.rate_per_s is None:
            return closed_loop(ready, self._rounds, window_ns)
        assert folder is not None
        span_ns = round((1 + 2 * EDGE) * window_ns)
        seed = f"{self._settings.seed} {point.rate_per_s!r} {self._rounds}"
        arrivals_ns = poisson_arrivals(point.rate_per_s, span_ns, seed)
        return open_loop(ready, self._rounds, window_ns, arrivals_ns, folder)

    def _window_ns(self, forward_ns: int, level: Level) -> int:
        """Return the length of a slice: a part of the duration, and a few requests at least."""
        crowding = max(1.0, level.processes * level.threads / self._cores)
        return max(round(self._plan.duration_s / ROUNDS * _NS), math.ceil(FEWEST_REQUESTS * crowding * forward_ns))

    def _measure_open(self, workers: Workers, folder: Path) -> None:
        """Measure the open loop at each rate: at the level that was asked for, else at that of the best throughput."""
        rates = self._plan.rates
        assert rates is not None
        known = [m for m in self._measured if m.is_open and m.slices]
        if not known:
            return  # each level failed, and said why
        fastest = min(known, key=lambda m: sum(s.picoseconds for s in m.slices) / len(m.slices))
        base = fastest if self._plan.concurrency.auto else known[-1]
        throughput = len(base.slices) * 1e12 / sum(s.picoseconds for s in base.slices)
        wanted = auto_rates(throughput) if rates.auto else rates.per_s
        most = most_rate(round(self._plan.duration_s / ROUNDS * _NS))
        if wanted[-1] > most:
            hint = f"Use {most:.3g} at most, or a shorter --duration."
            raise UsageError(
                f"a slice of {wanted[-1]:g} requests/s is too long to be recorded", where="--rate", hint=hint
            )
        self._listener.activity(f"open loop on {base.level.name} ({throughput:.3g} requests/s in the closed loop)")
        points = [Measured(base.level, rate) for rate in wanted]
        self._measured += points
        self._take_turns(workers, points, folder)

    def _left(self, points: Sequence[Measured], rounds: int) -> str:
        """Return in words about how long the rounds that are left take."""
        factor = [1.0 if p.rate_per_s is None else 1 + 2 * EDGE for p in points if p.is_open]
        return f"about {units.minutes(sum(factor) * self._plan.duration_s / ROUNDS * rounds)} left"


def _drifted(points: Sequence[LoadPoint]) -> list[str]:
    """Return a warning if the throughput moved much from slice to slice: then intervals are wide."""
    wide = [
        p.name
        for p in points
        if p.throughput is not None
        and p.throughput.low is not None
        and p.throughput.high is not None
        and p.throughput.high / p.throughput.low > _NOISY
    ]
    if not wide:
        return []
    return [f"the throughput of {', '.join(wide)} differs much from slice to slice: something else may run here"]


_NOISY = 1.5
"""Ratio of the bounds of an interval from which on neighbouring levels, which often differ by less, look alike."""
