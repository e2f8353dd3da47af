"""How honest the change points of a series are: false steps, missed steps, and where they are said to be.

    python tests/benchmarks/changepoints.py [--series 2000] [--seed 1]

Simulated nights: the logarithm of a time scatters by 1.5% from night to night, normally, or by Student's t with four
degrees of freedom (which has outliers). Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from profkit.stats.changepoint import against_level, find_steps
from profkit.stats.inference import judge

SPREAD = 0.015
NIGHTS = 60
Noise = Callable[[np.random.Generator, int], np.ndarray]
NOISES: dict[str, Noise] = {
    "normal": lambda generator, count: SPREAD * generator.standard_normal(count),
    "with outliers": lambda generator, count: SPREAD / np.sqrt(2) * generator.standard_t(4, count),
}


def percent(part: float) -> str:
    return f"{100 * part:.1f}%"


def false_steps(noise: Noise, generator: np.random.Generator, series: int) -> float:
    return float(np.mean([bool(find_steps(noise(generator, NIGHTS))) for _ in range(series)]))


def false_nights(noise: Noise, generator: np.random.Generator, series: int) -> float:
    found = 0
    for _ in range(series):
        *level, new = np.exp(20 + noise(generator, 21))
        found += judge(against_level(np.array(level), new), margin=0.001)[0].is_shown
    return found / series


def planted(noise: Noise, size: float, generator: np.random.Generator, series: int) -> tuple[float, float]:
    """Return how often the planted step is found, and how often its place is within what is said."""
    seen = inside = 0
    for _ in range(series):
        at = int(generator.integers(10, NIGHTS - 10))
        values = noise(generator, NIGHTS)
        values[at:] += np.log1p(size)
        steps = find_steps(values)
        near = min(steps, key=lambda step: abs(step.at - at), default=None)
        if near is not None and abs(near.at - at) <= 10:
            seen += 1
            inside += near.earliest <= at <= near.latest
    return seen / series, inside / max(seen, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    print(f"{options.series} series of {NIGHTS} nights each, noise of {percent(SPREAD)}, seed {options.seed}\n")
    print("| noise | a step where there is none | a night is called slower or faster, and is not |")
    print("| :--- | ---: | ---: |")
    for name, noise in NOISES.items():
        rates = [false_steps(noise, generator, options.series), false_nights(noise, generator, options.series)]
        print(f"| {name} | {' | '.join(map(percent, rates))} |")
    print("\n| noise | planted step, 10 nights or more from the ends | found | its place is within what is said |")
    print("| :--- | ---: | ---: | ---: |")
    for name, noise in NOISES.items():
        for size in (0.01, 0.02, 0.03, 0.05, 0.1):
            seen, inside = planted(noise, size, generator, options.series)
            print(f"| {name} | {percent(size)} | {percent(seen)} | {percent(inside)} |")


if __name__ == "__main__":
    main()
