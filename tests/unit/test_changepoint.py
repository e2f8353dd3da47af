"""Steps in a series: found where there is one, not where there is none, and said to be where they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from profkit.stats.changepoint import FEWEST, against_level, change_between, find_steps
from profkit.stats.inference import judge
from profkit.stats.student import quantile

NIGHTS, SPREAD, SERIES = 60, 0.015, 400


def noise(generator: np.random.Generator, count: int = NIGHTS) -> np.ndarray:
    return SPREAD * generator.standard_normal(count)


def test_a_series_without_a_step_has_none_in_95_of_100() -> None:
    generator = np.random.default_rng(3)
    assert sum(bool(find_steps(noise(generator))) for _ in range(SERIES)) <= 0.05 * SERIES


def test_steps_are_found_and_are_where_they_are_said_to_be() -> None:
    generator = np.random.default_rng(4)
    found = inside = 0
    for _ in range(SERIES):
        at = int(generator.integers(10, 50))
        values = noise(generator)
        values[at:] += 0.03
        near = [step for step in find_steps(values) if abs(step.at - at) <= 10]
        found += bool(near)
        inside += any(step.earliest <= at <= step.latest for step in near)
    assert found >= 0.98 * SERIES
    assert inside >= 0.95 * found


def test_several_steps_in_order() -> None:
    values = noise(np.random.default_rng(5))
    values[20:] += 0.1
    values[40:] -= 0.2
    steps = find_steps(values)
    assert [step.at for step in steps] == [20, 40]
    assert all(step.earliest <= step.at <= step.latest and step.p_value < 1e-6 for step in steps)


@pytest.mark.parametrize("count", range(2 * FEWEST))
def test_a_short_series_has_no_step(count: int) -> None:
    assert find_steps(np.arange(count, dtype=float)) == []


def test_a_constant_series_has_no_step_and_a_clean_one_has_its_own() -> None:
    assert find_steps(np.zeros(20)) == []
    (step,) = find_steps(np.repeat([0.0, 1.0], 10))
    assert (step.at, step.earliest, step.latest, step.p_value) == (10, 10, 10, 0.0)


def test_a_change_between_levels_is_the_ratio_of_their_geometric_means() -> None:
    (judged,) = judge(change_between(np.array([10.0, 10.1, 9.9]) * 1e6, np.array([11.0, 11.1, 10.9]) * 1e6))
    assert judged.verdict == "slower"
    assert judged.speedup == pytest.approx(10 / 11, rel=1e-3)


def test_the_interval_of_a_new_value_is_that_of_a_prediction() -> None:
    level = np.array([100.0, 101.0, 99.0, 100.5, 99.5, 100.2])
    (judged,) = judge(against_level(level, 104.0))
    logs = np.log(level)
    half = quantile(0.05, 5.0) * logs.std(ddof=1) * math.sqrt(1 + 1 / 6)
    center = logs.mean() - math.log(104.0)
    assert judged.speedup == pytest.approx(math.exp(center))
    assert (judged.low, judged.high) == pytest.approx((math.exp(center - half), math.exp(center + half)))
    assert judged.verdict == "slower"


def test_a_new_value_that_fits_is_not_shown_to_change() -> None:
    generator = np.random.default_rng(6)
    wrong = 0
    for _ in range(SERIES):
        *level, new = np.exp(20 + noise(generator, 21))
        wrong += judge(against_level(np.array(level), new), margin=0.001)[0].is_shown
    assert wrong <= 0.07 * SERIES
