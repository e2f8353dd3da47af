"""When a capture has enough rounds: a number of them, or until the ratios to the first configuration are known.

The rule looks only at the width of the interval, never at where the ratio lies. For rounds with normal noise, mean and
scatter are independent, so stopping by the scatter leaves the mean as it is. What remains is that the scatter may be
small by chance when the interval is first narrow enough, which makes the interval too narrow. Therefore it must be
narrow enough at two looks, :data:`ROUNDS_AFTER` rounds apart; the last one is the present, so that a slow process in a
late round, which makes the interval wide again, is followed by more rounds. ``tests/benchmarks/stopping.py`` measures
how often the interval covers the truth at the end: 94% to 97% for each kind of noise. It is least where normal noise is
large, about 93%, and 92% with one look.

The operators that take 1% of the forward or more are looked at too: their intervals cover in 94% of simulated captures.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from profkit import units
from profkit.arrays import Integers
from profkit.capture.operator_times import OperatorTimes
from profkit.capture.task import Task
from profkit.runs.manifest import Manifest, Round
from profkit.runs.pairing import pair_rounds
from profkit.runs.settings import Settings
from profkit.stats.inference import LogRatios, judge, log_ratios, one_row
from profkit.stats.judged import Judged
from profkit.stats.precision import forwards_per_round

FEWEST_ROUNDS = 5  # before an interval is believed: Student's t is 2.8 then, 4.3 for three pairs, 2.0 for very many
BLOCKS_TO_LEARN = 3  # before the time is shared between rounds and forwards by their variances
USUAL_FORWARDS = 20  # latency forwards per round: seven rounds have more than the 100 that p90 takes
USUAL_S = 2.0  # that these may take in a block, by all workers: of a slow model, more rounds are worth more
MOST_FORWARDS = 5  # times as many at most, so that a block does not take minutes
LEAST_BETWEEN = 2e-4  # variance of a ratio between blocks: processes of one configuration differ by 1% or more
MAD_TO_DEVIATION = 1.4826  # of a normal distribution
ROUNDS_AFTER = 2  # from one look to the other at which an interval must be narrow enough
TIMES_AS_MANY = 3  # rounds as there are: an operator that would take more is not waited for


class Costs(NamedTuple):
    """What a block took (s): all of it, its latency forwards alone, and how many of those counted per worker."""

    whole_s: float
    latency_s: float
    forwards: int


@dataclass(slots=True)
class Stopping:
    """The rule for the configurations of one workload; the first of them is the one that the others are compared with.

    ``settings`` are those of the capture. ``began`` is the start on the monotonic clock (s),
    ``costs`` what each block so far took.
    """

    settings: Settings
    began: float = field(default_factory=time.monotonic)
    costs: list[Costs] = field(default_factory=list)
    _operators: OperatorTimes = field(default_factory=OperatorTimes, init=False)

    def due(self, tasks: Sequence[Task]) -> list[Task]:
        """Return the tasks that need another round, in order; the first is due whenever another one is."""
        first, *others = tasks
        if self.settings.rounds is not None or not others or first.failure:
            return [task for task in tasks if task.missing_rounds]
        if self.seconds_left() <= 0:
            return []
        wanted = [task for task in others if not task.failure and not self._is_known(first, task)]
        return [first, *wanted] if wanted else []

    def forwards(self, tasks: Sequence[Task]) -> int:
        """Return the latency forwards per round that narrow the interval fastest, from what is known so far.

        With ``--rounds``, for a single configuration, and in the first block it is the number of steps; it is never
        fewer. After that block it is at least as many as take :data:`USUAL_S`, up to :data:`USUAL_FORWARDS`, and at
        most :data:`MOST_FORWARDS` times as many as that.
        """
        steps: int = self.settings.steps
        if self.settings.rounds is not None or len(tasks) == 1 or not self.costs:
            return steps
        least = max(steps, min(USUAL_FORWARDS, round(USUAL_S / self._forward_s)))
        if len(self.costs) < BLOCKS_TO_LEARN:
            return least
        optima = [self._optimum(tasks[0].manifest, task.manifest) for task in tasks[1:] if not task.failure]
        known = [optimum for optimum in optima if optimum is not None]
        return least if not known else round(min(MOST_FORWARDS * least, max(least, *known)))

    @property
    def _forward_s(self) -> float:
        """What one latency forward of every worker takes (s), with those that do not count."""
        return max(1e-9, statistics.median(cost.latency_s / cost.forwards for cost in self.costs))

    def _optimum(self, baseline: Manifest, candidate: Manifest) -> float | None:
        ratio = latency_ratio(baseline, candidate)
        if ratio is None or not ratio.degrees[0] > 0:
            return None
        within = sum(_variance_of_a_forward(m.rounds) for m in (baseline, candidate))
        counts = [len(r.latency_ns) for m in (baseline, candidate) for r in m.rounds if r.latency_ns]
        rounds = float(ratio.rounds[0])
        between = max(LEAST_BETWEEN, float(ratio.error[0]) ** 2 * rounds - within / statistics.median(counts))
        round_s = statistics.median(cost.whole_s - cost.latency_s for cost in self.costs)
        return forwards_per_round(between, within, round_s, self._forward_s)

    def time_left(self, tasks: Sequence[Task]) -> str:
        """Return how much time is left, in words; empty if that is not known."""
        if self.settings.rounds is None and len(tasks) > 1:
            return f"at most {units.minutes(max(0.0, self.seconds_left()))} left"
        done = len(self.costs)
        if not done:
            return ""
        seconds = statistics.mean(cost.whole_s for cost in self.costs) * max(task.missing_rounds for task in tasks)
        return f"approx. {units.minutes(seconds)} left"

    def seconds_left(self) -> float:
        """Return the time left by ``--max-time`` (s)."""
        return float(self.settings.max_time_s) - (time.monotonic() - self.began)

    def waits_for(self, tasks: Sequence[Task]) -> str:
        """Return the operator that is known worst, in words, if the rounds go on for operators alone; else nothing."""
        first, *others = tasks
        if self.settings.rounds is not None or first.failure or self.seconds_left() <= 0:
            return ""
        wanted = [task for task in others if not task.failure and not self._is_known(first, task)]
        worst = [found for task in wanted if (found := self._least_known(first, task)) is not None]
        if not worst or any(not self._is_latency_known(first, task) for task in wanted):
            return ""
        half, name = max(worst)
        return f"{name} is known to {100 * math.expm1(half):.1f}%, {self.settings.until_operators:g}% is wanted"

    def _is_known(self, first: Task, task: Task) -> bool:
        return self._is_latency_known(first, task) and self._are_operators_known(first, task)

    def _is_latency_known(self, first: Task, task: Task) -> bool:
        """Whether the interval is narrow enough, and was so :data:`ROUNDS_AFTER` rounds ago."""
        if _pairs(first, task) < FEWEST_ROUNDS + ROUNDS_AFTER:
            return False
        needed = math.log1p(self.settings.until / 100)
        looks = [latency_ratio(first.manifest, task.manifest, without_last=back) for back in (ROUNDS_AFTER, 0)]
        return all(look is not None and float(look.half_width[0]) <= needed for look in looks)

    def _are_operators_known(self, first: Task, task: Task) -> bool:
        """Whether the intervals of the large operators are narrow enough, and were so :data:`ROUNDS_AFTER` rounds ago.

        One that is narrow by chance seldom is so twice. Not waited for is an operator that would take too many rounds,
        or that has no interval because it took no time in some round.
        """
        if not self.settings.until_operators:
            return True
        hopeless = self._hopeless(first, task)
        looks = [self._operators.half_widths(first, task, without_last=back) for back in (ROUNDS_AFTER, 0)]
        return all(name in hopeless or not half > self._wanted for look in looks for name, half in look.items())

    def _least_known(self, first: Task, task: Task) -> tuple[float, str] | None:
        """Return the widest half interval (log ratio) of an operator that is waited for, and its name, if any."""
        hopeless = self._hopeless(first, task)
        found = self._operators.half_widths(first, task).items()
        return max(((half, name) for name, half in found if half > self._wanted and name not in hopeless), default=None)

    def _hopeless(self, first: Task, task: Task) -> set[str]:
        """Return the operators that would take more than :data:`TIMES_AS_MANY` rounds, or than the time that is left.

        An interval narrows with the root of the number of rounds.
        """
        times_as_many: float = TIMES_AS_MANY
        if self.costs:
            round_s = statistics.median(cost.whole_s for cost in self.costs)
            more = max(0.0, self.seconds_left()) / round_s
            times_as_many = min(times_as_many, 1 + more / max(1, _pairs(first, task)))
        found = self._operators.half_widths(first, task).items()
        return {name for name, half in found if half > self._wanted * math.sqrt(times_as_many)}

    @property
    def _wanted(self) -> float:
        """Half the interval (log ratio) to which operators are to be known."""
        return math.log1p(self.settings.until_operators / 100)


def _pairs(first: Task, task: Task) -> int:
    """Return the number of rounds that are compared on each side, the smaller one."""
    pairing = pair_rounds(first.manifest, task.manifest)
    return min(len(pairing.baseline), len(pairing.candidate))


def latency_ratio(baseline: Manifest, candidate: Manifest, *, without_last: int = 0) -> LogRatios | None:
    """Return the log ratio of the latencies of two runs, as a comparison of them has it; None if a side has none.

    ``without_last`` leaves out that many rounds at the end of each side.
    """
    pairing = pair_rounds(baseline, candidate)
    sides = [_latencies(baseline.rounds, pairing.baseline), _latencies(candidate.rounds, pairing.candidate)]
    kept = [side[: len(side) - without_last] for side in sides]
    if not all(kept):
        return None
    return log_ratios(one_row(kept[0]), one_row(kept[1]), design=pairing.design())


def judge_latency(baseline: Manifest, candidate: Manifest, margin: float) -> Judged | None:
    """Return the verdict on the latencies of two runs, the same as that of a comparison; None if a side has none."""
    ratio = latency_ratio(baseline, candidate)
    return None if ratio is None else judge(ratio, margin=margin)[0]


def _latencies(rounds: Sequence[Round], chosen: Sequence[int]) -> list[Integers]:
    return [np.array(rounds[index].latency_ns, dtype=np.int64) for index in chosen if rounds[index].latency_ns]


def _variance_of_a_forward(rounds: Sequence[Round]) -> float:
    """Return what one forward adds to the variance of the logarithm of a round's median.

    The scatter is estimated by the median absolute deviation, so that single outliers do not count; the variance of a
    median is pi / 2 times that of a mean (normal distribution).
    """
    scatters = []
    for round_ in rounds:
        logs = np.log(np.maximum(1, np.array(round_.latency_ns, dtype=np.float64)))
        if len(logs):
            scatters.append(MAD_TO_DEVIATION * float(np.median(np.abs(logs - np.median(logs)))))
    return math.pi / 2 * statistics.median(scatters) ** 2 if scatters else 0.0
