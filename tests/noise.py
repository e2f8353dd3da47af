"""Times with noise as machines make it: rounds differ, forwards scatter within them, and some are interrupted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from profkit.arrays import Floats
from profkit.stats.inference import Rounds


class Noise(NamedTuple):
    """Relative: between rounds, within them (both log-normal), and the part of forwards that something interrupts."""

    between: float
    within: float
    interrupted: float = 0.03


QUIET = Noise(0.01, 0.03)
USUAL = Noise(0.015, 0.04)
LOUD = Noise(0.03, 0.05)


def sample(random: np.random.Generator, times_ns: Floats, noise: Noise, *, rounds: int, forwards: int) -> Rounds:
    """Draw rounds of forwards around ``times_ns``, one row per operator; an interruption costs half as much again."""
    drawn = []
    for _ in range(rounds):
        level = np.exp(random.normal(0, noise.between, len(times_ns)))[:, None]
        scatter = np.exp(random.normal(0, noise.within, (len(times_ns), forwards)))
        hit = random.random(scatter.shape) < noise.interrupted
        scatter *= 1 + hit * random.exponential(0.5, scatter.shape)
        drawn.append((times_ns[:, None] * level * scatter).astype(np.int64))
    return drawn
