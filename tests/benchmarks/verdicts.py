"""How often a verdict is wrong, missed, or its interval off: planted truths with fixed seeds, and real captures.

    python -m tests.benchmarks.verdicts [RUN…]

A RUN needs at least ten rounds (``profkit capture resnet50 --rounds 20 --steps 10``): its own rounds are dealt to two
sides at random, so that nothing differs, and then one operator of one side is made 10% slower.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from profkit.arrays import Floats
from profkit.runs import find_runs
from profkit.runs.measurement import measure
from profkit.stats.inference import Rounds, compare_samples
from profkit.stats.judged import Judged
from tests.noise import LOUD, QUIET, USUAL, Noise, sample

TRIALS = 500
ROUNDS = 5
FORWARDS = 10
PLANTED = 1.1
SHARES = np.array([0.6, 0.1, 0.05, 0.03, 0.02, 0.015, 0.012, 0.01] + [0.004] * 27)  # as ResNet-50's are
FORWARD_NS = 4e7


def planted(noise: Noise, random: np.random.Generator) -> tuple[float, float, float, float]:
    """Return the rates of false verdicts, of tables with any, of detection, and of coverage."""
    false, tables, found, covered = 0, 0, 0, []
    times = SHARES * FORWARD_NS
    for trial in range(TRIALS):
        sides = [sample(random, times, noise, rounds=ROUNDS, forwards=FORWARDS) for _ in range(2)]
        same = compare_samples(sides[0], sides[1], share=SHARES)
        shown = sum(j.is_shown for j in same)
        false, tables = false + shown, tables + bool(shown)
        covered.append(np.mean([covers(j) for j in same]))
        which = trial % 8
        slower = times.copy()
        slower[which] *= PLANTED
        after = sample(random, slower, noise, rounds=ROUNDS, forwards=FORWARDS)
        found += compare_samples(sides[0], after, share=SHARES)[which].verdict == "slower"
    return false / TRIALS / len(SHARES), tables / TRIALS, found / TRIALS, float(np.mean(covered))


def covers(judged: Judged) -> bool:
    """Whether the interval includes 1, the truth for two equal sides."""
    return judged.low is not None and judged.high is not None and judged.low <= 1 <= judged.high


def real(path: Path, random: np.random.Generator) -> None:
    """Print the same of a run's own rounds, and the detection for each operator of at least 1% of the forward."""
    (run,) = find_runs(path)
    measured = measure(run)
    table = measured.tables["name"]
    keys, rounds = table.keys, table.rounds("self_ns")
    share: Floats = np.array(table.medians("self_ns")) / np.median(np.concatenate(measured.forward_ns))
    large = np.flatnonzero(share >= 0.01)
    false, covered, found = 0, [], dict.fromkeys(large.tolist(), 0)
    for _ in range(TRIALS):
        order = random.permutation(len(rounds))[: 2 * ROUNDS]
        sides: list[Rounds] = [[rounds[i] for i in order[k::2]] for k in (0, 1)]
        same = compare_samples(sides[0], sides[1], share=share)
        false += sum(j.is_shown for j in same)
        covered.append(np.mean([covers(j) for j in same if j.low is not None]))
        for which in large:
            slower = [r.copy() for r in sides[1]]
            for r in slower:
                r[which] = (r[which] * PLANTED).astype(np.int64)
            found[which] += compare_samples(sides[0], slower, share=share)[which].verdict == "slower"
    print(f"\n{path}: false verdicts {false / TRIALS / len(keys):.1%}, coverage {np.mean(covered):.1%}\n")
    print("| operator | share of forward | between rounds | within | 10% found |\n| :--- | ---: | ---: | ---: | ---: |")
    for which in large:
        medians = np.array([np.median(r[which]) for r in rounds])
        within = np.mean([np.std(r[which]) / np.median(r[which]) for r in rounds])
        spread = np.std(medians) / np.median(medians)
        print(f"| {keys[which][0]} | {share[which]:.1%} | {spread:.1%} | {within:.1%} | {found[which] / TRIALS:.0%} |")


def main() -> None:
    random = np.random.default_rng(20261122)
    print(f"{TRIALS} trials, {len(SHARES)} operators, {ROUNDS} rounds of {FORWARDS} forwards a side\n")
    print("| noise between rounds, within | false verdicts | tables with any | 10% found | 95% intervals cover |")
    print("| :--- | ---: | ---: | ---: | ---: |")
    for noise in (QUIET, USUAL, LOUD):
        false, tables, found, covered = planted(noise, random)
        name = f"{noise.between:.1%}, {noise.within:.0%}, {noise.interrupted:.0%} of forwards interrupted"
        print(f"| {name} | {false:.2%} | {tables:.1%} | {found:.1%} | {covered:.1%} |")
    for argument in sys.argv[1:]:
        real(Path(argument), random)


if __name__ == "__main__":
    main()
