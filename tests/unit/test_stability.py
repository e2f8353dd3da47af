"""Unstable wall times are warned of, ordinary noise is not."""

from __future__ import annotations

import numpy as np
import pytest

from profkit.arrays import Integers
from profkit.comparison.cautions import stability_warnings

MS = 1_000_000


def series(*rounds: list[float]) -> list[Integers]:
    return [np.array([round(ms * MS) for ms in r]) for r in rounds]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_ordinary_noise_is_nothing_odd(random: np.random.Generator) -> None:
    odd = 0
    for _ in range(200):
        levels = random.normal(10, 0.15, 5)
        odd += bool(list(stability_warnings(series(*(random.normal(level, 0.3, 20).tolist() for level in levels)))))
    assert odd <= 4


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        (series([10.0]), "a single forward"),
        (series([10.0, 10.1]), "a single round"),
        (series([10.0, 10.1], [10.0, 10.2]), "only two rounds"),
    ],
)
def test_too_few(rounds: list[Integers], expected: str) -> None:
    (text,) = stability_warnings(rounds)
    assert expected in text
    assert "profkit capture --rounds 5" in text


def test_a_throttling_machine(random: np.random.Generator) -> None:
    (text,) = stability_warnings(series(*(random.normal(10 + k, 0.2, 10).tolist() for k in range(5))))
    assert "later rounds are" in text
    assert "slower: the machine throttles" in text


def test_drift_within_rounds(random: np.random.Generator) -> None:
    rising = np.linspace(10, 13, 20)
    (text,) = stability_warnings(series(*((rising + random.normal(0, 0.1, 20)).tolist() for _ in range(4))))
    assert "slower within each round" in text
    assert "--warmup" in text


def test_two_modes(random: np.random.Generator) -> None:
    modes = [np.where(np.arange(20) % 3 > 0, 10.0, 14.0) + random.normal(0, 0.1, 20) for _ in range(4)]
    (text,) = stability_warnings(series(*(m.tolist() for m in modes)))
    assert "two modes, 9.98 ms and 14.0 ms (35.0% of the forwards)" in text
