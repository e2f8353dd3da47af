"""Does stopping when the interval is narrow enough keep the intervals honest? Simulated captures of two configurations.

Run ``python -m tests.benchmarks.stopping``. Each simulated capture goes on, by the rule of ``profkit capture``, until
the ratio is known to 2% or 40 rounds are there; then the comparison's own interval and verdict are looked at. The
rounds differ by a normal noise (their pairs' standard deviation is the column ``noise``), or, in the rows ``heavy
tails``, by Student's t with 3 degrees of freedom. In the rows ``slow processes`` one process in 50 is 10% to 30%
slower, and the capture has 7 to 25 rounds at least, as one that waits for operators. The last row is of captures that
go on until the ratio of each of six operators, whose pairs differ by 2% to 12%, is known to 5%.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import cast

import numpy as np

from profkit.capture.operator_times import OperatorTimes
from profkit.capture.stopping import Stopping, judge_latency
from profkit.capture.task import Task
from profkit.runs.manifest import Manifest, Round, Tool, Workload
from profkit.runs.settings import Settings
from profkit.stats.inference import LogRatios, judge, log_ratios
from profkit.stats.judged import MARGIN, Design

MOST_ROUNDS = 40
FORWARDS = 5
TYPICAL_NS = 20e6
NOISES = (0.005, 0.01, 0.02, 0.03, 0.05)
OPERATOR_NOISES = np.array([0.02, 0.04, 0.06, 0.08, 0.10, 0.12])
SLOW_PROCESSES = "slow processes"
SLOW_SHARE = 1 / 50
SLOWER_BY = (0.1, 0.3)
LEAST_ROUNDS = (7, 25)  # of a capture that waits for operators, which is where a process may be slow late
Draw = Callable[[np.random.Generator], float]


class _Simulated:
    """As much of a task as the rule looks at."""

    failure = None

    def __init__(self, label: str) -> None:
        self.manifest = Manifest(
            status="complete", label=label, workload=Workload(name="w", source="file"), settings=Settings(),
            tool=Tool(version="0"),
        )  # fmt: skip

    def add(self, log_time: float, random: np.random.Generator) -> None:
        """Add a round whose median is ``exp(log_time)`` times the typical time."""
        rounds = self.manifest.rounds
        spread = np.exp(log_time + random.normal(0, 0.002, FORWARDS)) * TYPICAL_NS
        rounds.append(
            Round(
                index=len(rounds), session="s", block=len(rounds), order=0, started="2026-01-01T00:00:00+00:00",
                trace="t", warmup_ns=[], latency_ns=[round(ns) for ns in spread], profiled_ns=[],
            )
        )  # fmt: skip


def simulate(
    noise: float, effect: float, draw: Draw, random: np.random.Generator, *, some_are_slow: bool
) -> tuple[bool, str, int, float]:
    """Return whether the interval covers the effect, the verdict, the number of rounds, and half the interval."""
    first, other = _Simulated("a"), _Simulated("b")
    tasks = [cast(Task, first), cast(Task, other)]
    rule = Stopping(Settings(until=2.0, until_operators=0.0, max_time_s=1e9))
    least = random.integers(*LEAST_ROUNDS, endpoint=True) if some_are_slow else 0
    while len(first.manifest.rounds) < least or (rule.due(tasks) and len(first.manifest.rounds) < MOST_ROUNDS):
        drift = random.normal(0, 0.05)  # of the machine: the same for both
        slow = random.uniform(*SLOWER_BY, size=2) * (random.random(2) < SLOW_SHARE) if some_are_slow else (0.0, 0.0)
        first.add(drift + slow[0], random)
        other.add(drift + effect + noise * draw(random) + slow[1], random)
    judged = judge_latency(first.manifest, other.manifest, MARGIN)
    assert judged is not None
    assert judged.low is not None
    assert judged.high is not None
    covered = judged.low <= np.exp(-effect) <= judged.high
    half = float(np.log(judged.high / judged.low)) / 2
    return covered, str(judged.verdict), len(first.manifest.rounds), half


class _SimulatedOperators(OperatorTimes):
    """Operators of two equal configurations, whose times differ by noise alone: the log ratios of 100 pairs each."""

    def __init__(self, random: np.random.Generator) -> None:
        super().__init__()
        self.log_ratios = OPERATOR_NOISES[:, None] * random.normal(size=(len(OPERATOR_NOISES), 100))

    def half_widths(self, first: Task, task: Task, *, without_last: int = 0) -> dict[str, float]:
        """Return the half widths of all operators over the rounds that the tasks have."""
        rounds = self.of_rounds(min(len(t.manifest.rounds) for t in (first, task)) - without_last)
        return {str(row): half for row, half in enumerate(rounds.half_width.tolist())}

    def of_rounds(self, count: int) -> LogRatios:
        """Return the ratios over the first ``count`` pairs."""
        times = [np.around(1e9 * np.exp(logs))[:, None].astype(np.int64) for logs in self.log_ratios.T[:count]]
        return log_ratios(times, [np.full_like(of_round, round(1e9)) for of_round in times], design=Design(paired=True))


def simulate_operators(random: np.random.Generator) -> tuple[int, int, int]:
    """Return how many intervals of operators cover 1 at the end, how many verdicts are false, and the rounds."""
    first, other = _Simulated("a"), _Simulated("b")
    tasks = [cast(Task, first), cast(Task, other)]
    rule = Stopping(Settings(until=2.0, until_operators=5.0, max_time_s=1e9))
    rule._operators = operators = _SimulatedOperators(random)
    while rule.due(tasks) and len(first.manifest.rounds) < MOST_ROUNDS:
        first.add(0.0, random)
        other.add(0.005 * random.normal(), random)
    found = judge(operators.of_rounds(len(first.manifest.rounds)))
    covered = sum(j.low is not None and j.high is not None and j.low <= 1 <= j.high for j in found)
    return covered, sum(j.verdict in ("faster", "slower") for j in found), len(first.manifest.rounds)


def main() -> None:
    """Print one row per noise and effect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", type=int, default=400, help="simulated captures per row")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    draws: dict[str, Draw] = {
        "normal": lambda r: float(r.normal()),
        "heavy tails": lambda r: float(r.standard_t(3) / np.sqrt(3)),
        SLOW_PROCESSES: lambda r: float(r.normal()),
    }
    print("| noise | distribution | planted | covered | faster or slower | same | inconclusive | rounds | half width |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, draw in draws.items():
        for effect in (0.0, 0.03):
            every = []
            for noise in NOISES:
                some_are_slow = name == SLOW_PROCESSES
                found = [
                    simulate(noise, effect, draw, random, some_are_slow=some_are_slow) for _ in range(options.captures)
                ]
                every += found
                print(_row(f"{100 * noise:.1f}%", name, effect, found))
            print(_row("all", name, effect, every))
    captures = np.array([simulate_operators(random) for _ in range(options.captures)])
    covered, false = captures[:, :2].mean(axis=0) / len(OPERATOR_NOISES)
    rounds = np.median(captures[:, 2])
    print(f"operators: {100 * covered:.1f}% covered, {100 * false:.2f}% false verdicts, {rounds:.0f} rounds")


def _row(noise: str, name: str, effect: float, found: list[tuple[bool, str, int, float]]) -> str:
    count = len(found)
    shares = [
        sum(verdict in words for _, verdict, _, _ in found) / count
        for words in (("faster", "slower"), ("same",), ("inconclusive",))
    ]
    covered = sum(c for c, *_ in found) / count
    rounds, half = np.median([r for _, _, r, _ in found]), np.median([h for *_, h in found])
    cells = [noise, name, f"{100 * effect:.0f}%", *(f"{100 * share:.1f}%" for share in (covered, *shares))]
    return "| " + " | ".join([*cells, f"{rounds:.0f}", f"±{100 * half:.1f}%"]) + " |"


if __name__ == "__main__":
    main()
