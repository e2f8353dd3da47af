"""How sure: against a drawn bootstrap, SciPy's own tests, and planted truths with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from profkit.stats import inference as statistics
from profkit.stats.inference import LEVEL, Rounds, control_discoveries, log_ratio, rank_test, verdict, weigh
from tests.noise import USUAL, Noise, sample

OPERATORS = 400


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20261122)


def sides(random: np.random.Generator, noise: Noise = USUAL, *, factor: float = 1.0, rounds: int = 5) -> list[Rounds]:
    times = np.full(OPERATORS, 500_000.0)
    return [sample(random, times * f, noise, rounds=rounds, forwards=10) for f in (1.0, factor)]


def test_the_interval_covers_the_truth(random: np.random.Generator) -> None:
    covered = []
    for rounds in (3, 5, 10):
        for _ in range(5):
            found = weigh(*sides(random, rounds=rounds, factor=0.8))
            covered.append(np.mean((found.low <= 1.25) & (found.high >= 1.25)))
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_standard_error_is_that_of_a_drawn_hierarchical_bootstrap(random: np.random.Generator) -> None:
    """Rounds drawn with replacement, shrunk to their mean as Davison and Hinkley do, and forwards within them."""
    before, after = sides(random, Noise(0.05, 0.03))
    error = log_ratio(before, after).error
    drawn = []
    for row in range(25):
        variance = 0.0
        for side in (before, after):
            medians = np.log([np.median(r[row]) for r in side])
            within = [np.log(np.median(random.choice(r[row], (1000, r.shape[1])), axis=1)) for r in side]
            noise = float(np.mean([w.var() for w in within]))
            between, count = medians.var(), len(medians)
            # so that what is drawn within rounds is not counted twice
            shrink = np.sqrt(max(0.0, (between * count / (count - 1) - noise) / between))
            centres = medians.mean() + shrink * (medians - medians.mean())
            chosen = random.integers(0, count, (1000, count))
            scatter = np.array([w - w.mean() for w in within])[chosen, random.integers(0, 1000, (1000, count))]
            variance += (centres[chosen] + scatter).mean(axis=1).var()
        drawn.append(np.sqrt(variance))
    assert np.median(np.array(drawn) / error[:25]) == pytest.approx(1.0, abs=0.03)


def test_the_tests_hold_their_level(random: np.random.Generator) -> None:
    ratios, ranks, found = [], [], []
    for _ in range(10):
        before, after = sides(random)
        ratios.append(np.mean(log_ratio(before, after).p_value <= LEVEL))
        ranks.append(np.mean(rank_test(before, after) <= LEVEL))
        found.append(np.mean(weigh(before, after).q_value <= LEVEL))
    assert np.mean(ratios) == pytest.approx(LEVEL, abs=0.015)
    assert np.mean(ranks) == pytest.approx(LEVEL, abs=0.015)
    assert np.mean(found) <= 0.01


def test_a_planted_change_is_found(random: np.random.Generator) -> None:
    share = np.full(40, 0.004)
    share[:8] = 0.05
    hits = 0
    for trial in range(100):
        planted = trial % 8
        factor = np.ones(40)
        factor[planted] = 1.1
        before, after = (sample(random, share * 4e7 * f, USUAL, rounds=5, forwards=10) for f in (np.ones(40), factor))
        hits += weigh(before, after, share=share).q_value[planted] <= LEVEL
    assert hits >= 90


def test_p_values_are_students(random: np.random.Generator) -> None:
    before, after = sides(random)
    medians = [np.log([np.median(r, axis=1) for r in side]) for side in (before, after)]
    expected = stats.ttest_ind(*medians).pvalue
    assert log_ratio(before, after).p_value == pytest.approx(expected)
    low, high = weigh(before, after).low[0], weigh(before, after).high[0]
    interval = stats.ttest_ind(*medians).confidence_interval(0.95)
    assert (np.log(low), np.log(high)) == pytest.approx((interval.low[0], interval.high[0]))


def test_swapping_the_sides_inverts_the_interval(random: np.random.Generator) -> None:
    before, after = sides(random, factor=1.3)
    there, back = weigh(before, after), weigh(after, before)
    assert there.low == pytest.approx(1 / back.high)
    assert there.q_value == pytest.approx(back.q_value)


def test_one_round_that_ran_away_shows_nothing() -> None:
    quiet = [np.array([[100, 101, 102]]) for _ in range(5)]
    loud = [*quiet[:4], np.array([[1000, 1001, 1002]])]
    assert weigh(quiet, loud).q_value[0] > LEVEL


def test_constant_times() -> None:
    same, slower = ([np.array([[ns] * 3])] * 3 for ns in (100, 150))
    assert weigh(same, same).p_value.tolist() == [1.0]
    found = weigh(same, slower)
    assert found.p_value.tolist() == [0.0]
    assert found.low[0] == pytest.approx(found.high[0])
    assert found.high[0] == pytest.approx(100 / 150)


def test_zero_times_have_no_interval() -> None:
    nothing, some = ([np.array([[ns, ns]])] * 2 for ns in (0, 5))
    found = weigh(nothing, some)
    assert np.isnan(found.low[0])
    assert found.interval(0, None) == (None, None, 0.0)  # but the ranks tell
    assert found.q_value[0] <= LEVEL


def test_a_single_round_has_no_interval_but_its_own_noise(random: np.random.Generator) -> None:
    before, after = ([np.round(random.normal(ns, 3, (1, 20))).astype(int)] for ns in (100, 130))
    found = weigh(before, after)
    assert np.isnan(found.low[0])
    assert np.isnan(found.p_value[0])
    assert found.q_value[0] <= LEVEL
    assert weigh(before, before).q_value[0] > LEVEL
    single = [np.array([[100]])]
    assert weigh(single, single).q_value[0] == 0.0  # the clock alone decides


def test_the_interval_reaches_what_is_shown() -> None:
    found = statistics.Evidence(*(np.array([v]) for v in (0.1, 1.1, 1.2, 0.01, 0.02)))
    assert found.interval(0, 1.3) == (1.1, 1.3, 0.01)
    assert found.interval(0, 1.0) == (1.0, 1.2, 0.01)


def test_false_discoveries_are_scipys(random: np.random.Generator) -> None:
    p_value = random.random(50) ** 3
    assert control_discoveries(p_value) == pytest.approx(stats.false_discovery_control(p_value))
    p_value[7] = np.nan
    adjusted = control_discoveries(p_value)
    assert np.isnan(adjusted[7])
    assert np.delete(adjusted, 7) == pytest.approx(stats.false_discovery_control(np.delete(p_value, 7)))


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)))
@settings(max_examples=100, deadline=None)
def test_adjusting_is_scipys(p_value: np.ndarray) -> None:
    assert statistics.adjust(p_value) == pytest.approx(stats.false_discovery_control(p_value))


@given(arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=st.integers(0, 9)))
@settings(max_examples=100, deadline=None)
def test_ranks_are_scipys(values: np.ndarray) -> None:
    assert np.array_equal(statistics.mean_ranks(values), stats.rankdata(values, axis=1))


def test_no_verdict_beyond_an_operators_own_test(random: np.random.Generator) -> None:
    """Weights make adjusted p values smaller than plain ones; what is shown must hold by itself too."""
    share = np.full(OPERATORS, 0.0001)
    share[:2] = 0.4
    before, after = sides(random, factor=1.02)
    found = weigh(before, after, share=share)
    assert (found.q_value >= found.p_value).all()
    shown = found.q_value <= LEVEL
    assert ((found.low[shown] > 1) | (found.high[shown] < 1)).all()


def test_medians_that_point_the_other_way_show_nothing() -> None:
    assert verdict(50.0, 0.0, 0.01, log_ratio=0.1) == "same"
    assert verdict(50.0, 0.0, 0.01, log_ratio=-0.1) == "slower"


def test_weighty_operators_have_half_of_the_errors() -> None:
    p_value = np.full(100, 0.9)
    p_value[0] = 0.001
    share = np.full(100, 0.001)
    assert control_discoveries(p_value, share)[0] > LEVEL
    share[:4] = 0.1
    assert control_discoveries(p_value, share)[0] == pytest.approx(0.001 * 100 / 12.5)


@pytest.mark.parametrize(
    ("change", "resolvable", "q_value", "expected"),
    [
        (-50.0, 0.0, 0.01, "faster"),
        (50.0, 0.0, 0.01, "slower"),
        (50.0, 0.0, 0.06, "same"),
        (50.0, 50.0, 0.01, "unresolved"),
        (0.0, 50.0, 0.01, "same"),
        (50.0, 0.0, float("nan"), "same"),
    ],
)
def test_verdict(change: float, resolvable: float, q_value: float, expected: str) -> None:
    assert verdict(change, resolvable, q_value) == expected


def test_speedup_of_nothing_is_none() -> None:
    assert statistics.speedup(0, 5) is None
    assert statistics.speedup(5, 0) is None
    assert statistics.speedup(5, 2) == 2.5
