"""How often does a bisection name a wrong version? Simulated searches over versions with one planted change.

Run ``python -m tests.benchmarks.bisection``. Boundary, levels and looks are those of ``profkit bisect``.
A version's rounds differ from those of the good one by a normal noise (the standard deviation of pairs is the column
``noise``), or, in the rows ``heavy tails``, by Student's t with 3 degrees of freedom.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from profkit.experiments.bisect.decisions import LOOKS, Seen, level_of, seen
from profkit.experiments.bisect.judging import Ends
from profkit.experiments.bisect.search import Decision, Search
from profkit.stats.inference import LogRatios
from profkit.stats.judged import MARGIN

Draw = Callable[[np.random.Generator, int], np.ndarray]
ROWS = ((0.005, 0.05), (0.01, 0.05), (0.02, 0.10), (0.03, 0.17), (0.05, 0.30), (0.02, 0.04), (0.02, 0.0))


class Answer(NamedTuple):
    """What one search found: a position, or None for nothing or undecided; and the rounds that it took."""

    first_bad: int | None
    outcome: str
    rounds: int


class SimulatedRounds:
    """The rounds of each version against the good one, drawn as they are asked for."""

    def __init__(self, versions: int, first_bad: int, change: float, noise: float, draw: Draw) -> None:
        self.truth = [change if position >= first_bad else 0.0 for position in range(versions)]
        self.noise, self.draw = noise, draw
        self.taken = 0

    def test(
        self, position: int, level: float, random: np.random.Generator, decide: Callable[[Seen], Decision | None]
    ) -> tuple[Decision, Seen]:
        pairs = self.truth[position] + self.noise * self.draw(random, LOOKS[-1])
        for rounds in LOOKS:
            taken = pairs[:rounds]
            error = taken.std(ddof=1) / np.sqrt(rounds)
            look = seen(LogRatios(*(np.array([v]) for v in (taken.mean(), error, rounds - 1.0, float(rounds)))), level)
            decision = decide(look)
            if decision is not None:
                break
        self.taken += rounds
        return decision or "undecided", look


def search_once(drawn: SimulatedRounds, versions: int, random: np.random.Generator) -> Answer:
    """Run one search, as profkit bisect does without a threshold."""
    level = level_of(versions, len(LOOKS))
    search, ends = Search(versions), Ends(MARGIN, is_boundary=False)
    decision, look = drawn.test(search.bad, level, random, ends.decide)
    if decision != "bad":
        return Answer(None, "nothing" if decision == "good" else "undecided", drawn.taken)
    boundary = ends.boundary(look)
    while (position := search.next()) is not None:
        decision, _ = drawn.test(position, level, random, boundary.decide)
        if decision == "undecided":
            return Answer(None, "undecided", drawn.taken)
        search.record(position, decision)
    return Answer(search.bad, "found", drawn.taken)


def main() -> None:
    """Print one row per noise and change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=2000, help="simulated searches per row")
    parser.add_argument("--versions", type=int, default=17)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    draws: dict[str, Draw] = {
        "normal": lambda r, n: r.normal(size=n),
        "heavy tails": lambda r, n: r.standard_t(3, size=n) / np.sqrt(3),
    }
    print("| rounds | noise | change | right | wrong | undecided | nothing | rounds a search |")
    print("|---|---|---|---|---|---|---|---|")
    for name, draw in draws.items():
        for noise, change in ROWS:
            answers = []
            for _ in range(options.searches):
                first_bad = int(random.integers(1, options.versions))
                drawn = SimulatedRounds(options.versions, first_bad, float(np.log1p(change)), noise, draw)
                answers.append((search_once(drawn, options.versions, random), first_bad))
            right = sum(a.first_bad == truth and change > 0 for a, truth in answers)
            wrong = sum(a.outcome == "found" and (a.first_bad != truth or not change) for a, truth in answers)
            counts = [right, wrong, *(sum(a.outcome == o for a, _ in answers) for o in ("undecided", "nothing"))]
            shares = " | ".join(f"{100 * count / options.searches:.1f}%" for count in counts)
            rounds = np.mean([a.rounds for a, _ in answers])
            print(f"| {name} | {100 * noise:g}% | {100 * change:g}% | {shares} | {rounds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
