"""Intervals, tests and verdicts: against a drawn bootstrap, SciPy's own tests, and planted truths with fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from profkit.arrays import Floats
from profkit.quantities import LARGEST_TIME
from profkit.stats.discoveries import adjust, control_discoveries
from profkit.stats.inference import (
    LEVEL,
    LogRatios,
    Rounds,
    compare_samples,
    geometric_mean,
    judge,
    log_ratios,
    one_row,
    typical,
    typical_interval,
)
from profkit.stats.judged import Judged
from profkit.stats.stability import mean_ranks
from profkit.stats.student import quantile, two_sided_p
from profkit.stats.tails import fewest_forwards, has_enough
from tests.noise import USUAL, Noise, sample

OPERATORS = 400


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20261122)


def sides(random: np.random.Generator, noise: Noise = USUAL, *, factor: float = 1.0, rounds: int = 5) -> list[Rounds]:
    times = np.full(OPERATORS, 500_000.0)
    return [sample(random, times * f, noise, rounds=rounds, forwards=10) for f in (1.0, factor)]


def column(judged: list[Judged], field: str) -> Floats:
    return np.array([getattr(j, field) for j in judged], dtype=float)


def shown(judged: list[Judged]) -> np.ndarray:
    return np.array([j.is_shown for j in judged])


@pytest.mark.parametrize(
    ("rounds", "q", "enough"),
    [
        ([20] * 5, 0.9, True),
        ([10] * 5, 0.9, False),  # too few on the side
        ([95, 9], 0.9, False),  # too few in a round
        ([200] * 5, 0.99, True),
        ([100] * 5, 0.99, False),
        ([], 0.9, False),
    ],
)
def test_how_many_forwards_a_quantile_takes(rounds: list[int], q: float, enough: bool) -> None:
    assert has_enough(rounds, q) == enough


def test_fewer_forwards_than_a_quantile_takes_lie_below_it() -> None:
    for q in (0.9, 0.95, 0.99):
        per_round, per_side = fewest_forwards(q)
        assert (per_round - 2) / (per_round - 1) < q <= per_round / (per_round + 1)
        assert per_side * (1 - q) == pytest.approx(10)


def test_the_interval_covers_the_truth(random: np.random.Generator) -> None:
    covered = []
    for rounds in (3, 5, 10):
        for _ in range(5):
            found = compare_samples(*sides(random, rounds=rounds, factor=0.8))
            covered.append(np.mean((column(found, "low") <= 1.25) & (column(found, "high") >= 1.25)))
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_interval_of_one_side_is_students_t_on_logarithms(random: np.random.Generator) -> None:
    (side, _) = sides(random, rounds=6)
    low, high = typical_interval(side)
    for row in range(20):
        logs = np.log([np.median(r[row]) for r in side])
        expected = np.exp(stats.t.interval(0.95, 5, logs.mean(), stats.sem(logs)))
        assert [low[row], high[row]] == pytest.approx(expected, abs=0.001)
    assert ((low < typical(side)) & (typical(side) < high)).all()


def test_the_interval_of_one_side_covers_the_truth(random: np.random.Generator) -> None:
    covered = []
    for rounds in (3, 5, 10):
        for _ in range(5):
            low, high = typical_interval(sides(random, rounds=rounds)[0])
            covered.append(np.mean((low <= 500_000.0) & (high >= 500_000.0)))
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_interval_of_one_side_without_noise_and_without_evidence() -> None:
    def interval(*rounds: int, **more: Floats) -> list[float]:
        return [float(bound[0]) for bound in typical_interval([np.array([[ns]]) for ns in rounds], **more)]

    assert interval(1000, 1000) == [1000, 1000]
    assert interval(1000, 1000, resolvable_ns=np.array([50.0])) == [950, 1050]
    assert interval(0, 0, resolvable_ns=np.array([50.0])) == [0, 50]
    assert interval(1, 2**40)[1] == float(LARGEST_TIME)
    assert np.isnan(interval(1000)).all()
    assert np.isnan(interval(0)).all()
    assert np.isnan(interval(0, 1000)).all()


def test_the_standard_error_is_that_of_a_drawn_hierarchical_bootstrap(random: np.random.Generator) -> None:
    """Rounds drawn with replacement, shrunk to their mean as Davison and Hinkley do, and forwards within them."""
    before, after = sides(random, Noise(0.05, 0.03))
    error = log_ratios(before, after).error
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


def test_the_test_holds_its_level(random: np.random.Generator) -> None:
    single, table = [], []
    for _ in range(10):
        before, after = sides(random)
        single.append(np.mean(log_ratios(before, after).p_value <= LEVEL))
        table.append(np.mean(shown(compare_samples(before, after))))
    assert np.mean(single) == pytest.approx(LEVEL, abs=0.015)
    assert np.mean(table) <= 0.01


def test_a_planted_change_is_found(random: np.random.Generator) -> None:
    share = np.full(40, 0.004)
    share[:8] = 0.05
    hits = 0
    for trial in range(100):
        planted = trial % 8
        factor = np.ones(40)
        factor[planted] = 1.1
        before, after = (sample(random, share * 4e7 * f, USUAL, rounds=5, forwards=10) for f in (np.ones(40), factor))
        hits += compare_samples(before, after, share=share)[planted].verdict == "slower"
    assert hits >= 90


def test_p_value_and_interval_are_students(random: np.random.Generator) -> None:
    before, after = sides(random)
    medians = [np.log([np.median(r, axis=1) for r in side]) for side in (before, after)]
    expected = stats.ttest_ind(*medians)
    found = compare_samples(before, after)
    assert column(found, "p_value") == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert np.log(column(found, "low")) == pytest.approx(interval.low)
    assert np.log(column(found, "high")) == pytest.approx(interval.high)


def test_one_estimator(random: np.random.Generator) -> None:
    """The speedup is the centre of its interval, and the ratio of the two times that are shown."""
    before, after = sides(random, factor=1.3)
    found = compare_samples(before, after)
    centre = np.sqrt(column(found, "low") * column(found, "high"))
    assert column(found, "speedup") == pytest.approx(centre)
    assert column(found, "speedup") == pytest.approx(typical(before) / typical(after))
    excludes_one = (column(found, "low") > 1) | (column(found, "high") < 1)
    assert (excludes_one == (column(found, "p_value") < LEVEL)).all()


def test_swapping_the_sides_inverts_the_interval(random: np.random.Generator) -> None:
    before, after = sides(random, factor=1.3)
    there, back = compare_samples(before, after), compare_samples(after, before)
    assert column(there, "low") == pytest.approx(1 / column(back, "high"))
    assert column(there, "q_value") == pytest.approx(column(back, "q_value"))
    opposite = {"slower": "faster", "inconclusive": "inconclusive", "same": "same"}
    assert [opposite[j.verdict or ""] for j in there] == [j.verdict for j in back]


def test_one_round_that_ran_away_shows_nothing() -> None:
    quiet = [np.array([[100, 101, 102]]) for _ in range(5)]
    loud = [*quiet[:4], np.array([[1000, 1001, 1002]])]
    assert compare_samples(quiet, loud)[0].verdict == "inconclusive"


def test_constant_times() -> None:
    same, slower = ([np.array([[ns] * 3])] * 3 for ns in (100, 150))
    (equal,) = compare_samples(same, same)
    assert (equal.p_value, equal.verdict, equal.low, equal.high) == (1.0, "same", 1.0, 1.0)
    (found,) = compare_samples(same, slower)
    assert (found.p_value, found.verdict) == (0.0, "slower")
    assert found.low == pytest.approx(found.high)
    assert found.high == pytest.approx(100 / 150)


def test_zero_times_have_no_ratio_and_no_verdict() -> None:
    nothing, some = ([np.array([[ns, ns]])] * 2 for ns in (0, 5))
    assert compare_samples(nothing, some) == [Judged(verdict="inconclusive")]
    mixed = [np.array([[0, 0]]), np.array([[4, 4]]), np.array([[6, 6]])]
    assert typical(mixed)[0] == 4.0


def test_without_an_interval_there_is_no_verdict(random: np.random.Generator) -> None:
    before, after = ([np.round(random.normal(ns, 3, (1, 20))).astype(int)] for ns in (100, 130))
    (found,) = compare_samples(before, after)
    assert (found.low, found.high, found.p_value, found.q_value) == (None, None, None, None)
    assert found.speedup == pytest.approx(100 / 130, rel=0.03)
    assert (found.verdict, found.rounds_needed) == ("inconclusive", None)


def test_the_same_only_inside_the_margin() -> None:
    ratios = LogRatios(*(np.array(v) for v in ([0.01, 0.01, 0.0], [0.004, 0.02, 0.5], [8.0] * 3, [5.0] * 3)))
    found = judge(ratios, margin=0.02)
    assert [j.verdict for j in found] == ["same", "inconclusive", "inconclusive"]
    assert [j.verdict for j in judge(ratios, margin=0.1)] == ["same", "same", "inconclusive"]


def test_rounds_needed_decide(random: np.random.Generator) -> None:
    """As many rounds as the estimate says decide many more rows than one round more does."""
    noise = Noise(0.05, 0.01, 0.0)
    before, after = sides(random, noise, factor=1.05, rounds=5)
    first = compare_samples(before, after)
    known = [j.rounds_needed for j in first if j.verdict == "inconclusive" and j.rounds_needed is not None]
    assert known
    typical_need = int(np.median(known))
    decided = []
    for rounds in (6, 5 + typical_need):
        more = compare_samples(*sides(random, noise, factor=1.05, rounds=rounds))
        decided.append(np.mean(column(more, "p_value") <= LEVEL))
    assert decided[1] > 0.4
    assert decided[1] > decided[0] + 0.1
    assert all(j.rounds_needed is None for j in first if j.verdict != "inconclusive")


def test_a_change_below_the_clock_is_unresolved() -> None:
    before, after = ([np.array([[ns] * 3])] * 3 for ns in (1000, 1500))
    assert compare_samples(before, after, resolvable_ns=np.array([500.0]))[0].verdict == "unresolved"
    assert compare_samples(before, after, resolvable_ns=np.array([499.0]))[0].verdict == "slower"


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
    assert adjust(p_value) == pytest.approx(stats.false_discovery_control(p_value))


@given(arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 9)))
@settings(max_examples=100, deadline=None)
def test_ranks_are_scipys(values: np.ndarray) -> None:
    assert np.array_equal(mean_ranks(values), stats.rankdata(values))


def test_no_verdict_beyond_an_operators_own_test(random: np.random.Generator) -> None:
    """Weights make adjusted p values smaller than plain ones; what is shown must hold by itself too."""
    share = np.full(OPERATORS, 0.0001)
    share[:2] = 0.4
    before, after = sides(random, factor=1.02)
    found = compare_samples(before, after, share=share)
    assert (column(found, "q_value") >= column(found, "p_value")).all()
    for judged in found:
        if judged.is_shown:
            assert judged.low is not None
            assert judged.high is not None
            assert judged.low > 1 or judged.high < 1


def test_large_operators_have_half_of_the_errors() -> None:
    p_value = np.full(100, 0.9)
    p_value[0] = 0.001
    share = np.full(100, 0.001)
    assert control_discoveries(p_value, share)[0] > LEVEL
    share[:4] = 0.1
    assert control_discoveries(p_value, share)[0] == pytest.approx(0.001 * 100 / 12.5)


def test_the_geometric_mean_covers_the_truth(random: np.random.Generator) -> None:
    covered = []
    truth = math.exp((math.log(1.25) + math.log(0.9)) / 2)
    for _ in range(200):
        ratios = []
        for factor in (1.25, 0.9):
            before, after = (
                one_row([r[0] for r in sample(random, np.array([ns]), USUAL, rounds=4, forwards=10)])
                for ns in (4e7, 4e7 / factor)
            )
            ratios.append(log_ratios(before, after))
        (mean,) = judge(geometric_mean(ratios))
        assert mean.low is not None
        assert mean.high is not None
        covered.append(mean.low <= truth <= mean.high)
    assert 0.91 <= np.mean(covered) <= 0.99


def test_the_geometric_mean_leaves_out_what_has_no_ratio() -> None:
    zero, one, two = ([np.array([ns] * 3)] * 2 for ns in (0, 100, 200))
    ratios = [log_ratios(one_row(a), one_row(b)) for a, b in ((two, one), (zero, one))]
    (mean,) = judge(geometric_mean(ratios))
    assert mean.speedup == pytest.approx(2.0)
    assert judge(geometric_mean([ratios[1]])) == [Judged(verdict="inconclusive")]


@given(st.floats(0, 1e4), st.floats(0.5, 2_000))
@settings(max_examples=300, deadline=None)
def test_the_t_distribution_is_scipys(t: float, degrees: float) -> None:
    found = float(two_sided_p(np.array(t), np.array(degrees)))
    assert found == pytest.approx(2 * float(stats.t.sf(t, degrees)), rel=1e-9, abs=1e-280)


@pytest.mark.parametrize("degrees", [1.0, 2.0, 3.7, 4.0, 8.0, 18.0, 399.0, 1e5])
@pytest.mark.parametrize("level", [0.05, 0.01, 0.2])
def test_its_quantiles_are_scipys(level: float, degrees: float) -> None:
    assert quantile(level, degrees) == pytest.approx(float(stats.t.ppf(1 - level / 2, degrees)), rel=1e-10)
    assert math.isnan(quantile(level, math.nan))


@pytest.mark.parametrize("level", [0.01, 0.05, 0.1])
def test_its_quantile_with_two_degrees_of_freedom_is_the_closed_form(level: float) -> None:
    """Newton's method reaches it exactly, so that its last step is 0."""
    assert quantile(level, 2) == pytest.approx((1 - level) * math.sqrt(2 / (level * (2 - level))), rel=3e-15, abs=0)


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("forwards", [1, 2, 5, 20])
def test_a_rounds_quantile_is_numpys(q: float, forwards: int) -> None:
    rows = np.random.default_rng(forwards).integers(0, 10**9, (7, forwards))
    assert typical([rows], q) == pytest.approx(np.quantile(rows, q, axis=1), abs=0.001)
