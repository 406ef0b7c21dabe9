import math
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.checking.comparison import compare, detectable_ratio, permutation_p, trials_per_arm
from harness.model.units import SECOND
from harness.model.verdict import Outcome

seconds = st.integers(1, 1000)
blocks = st.lists(st.tuples(seconds, seconds), min_size=2, max_size=8, unique=True)


def noisy(ratio, *, n=10, sigma=0.1, seed=3):
    dice = random.Random(seed)
    made = []
    for _ in range(n):
        host = 20 * math.exp(dice.gauss(0, 0.5))
        made.append(tuple(round(host * r * math.exp(dice.gauss(0, sigma)) * SECOND) for r in (1, ratio)))
    return made


@pytest.mark.parametrize(
    ("ratio", "outcome"),
    [(1.0, Outcome.PASSED), (0.5, Outcome.PASSED), (1.6, Outcome.FAILED), (1.25, Outcome.INCONCLUSIVE)],
)
def test_no_slower_than_the_margin_is_shown_not_assumed(ratio, outcome):
    got = compare(noisy(ratio))
    assert got.outcome is outcome
    assert got.lo <= ratio <= got.hi
    assert (got.blocks, got.margin) == (10, 1.25)


def test_fewer_than_four_blocks_conclude_nothing():
    assert compare(noisy(0.5, n=3)).outcome is Outcome.INCONCLUSIVE
    assert compare(noisy(0.5, n=4)).outcome is Outcome.PASSED
    assert compare(noisy(3, n=3)).outcome is Outcome.INCONCLUSIVE


def test_one_block_has_a_ratio_and_no_interval():
    got = compare([(10, 20)])
    assert (got.ratio, got.lo, got.hi, got.limit, got.p) == (pytest.approx(2), 0, math.inf, math.inf, 1)
    assert got.detectable == math.inf


@settings(deadline=None)
@given(blocks)
def test_the_interval_is_the_paired_t_of_the_logarithms(made):
    logs = np.log([b / a for a, b in made])
    got = compare(made)
    assert got.ratio == pytest.approx(math.exp(logs.mean()))
    if logs.std() > 1e-9:
        expected = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
        one = stats.ttest_1samp(logs, 0, alternative="less").confidence_interval(0.95)
        assert got.lo == pytest.approx(math.exp(expected.low), rel=1e-6)
        assert got.hi == pytest.approx(math.exp(expected.high), rel=1e-6)
        assert got.limit == pytest.approx(math.exp(one.high), rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(blocks)
@example([(68, 110), (51, 45), (459, 23), (423, 524), (159, 290), (106, 337), (198, 396), (1, 1)])
def test_the_permutation_test_is_scipys(made):
    """Ties are counted here: scipy's own p leaves some out where rounding exceeds its tolerance, 100 eps of the statistic."""
    logs = [math.log(b / a) for a, b in made]
    expected = stats.permutation_test(
        (logs,),
        lambda x, axis: abs(np.mean(x, axis=axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=math.inf,
    )
    extreme = expected.null_distribution >= expected.statistic - 1e-13
    assert permutation_p(logs) == pytest.approx(extreme.mean(), abs=1e-9)


def test_with_many_blocks_the_permutations_are_drawn_and_never_zero():
    same = [0.1, -0.1] * 10
    assert permutation_p(same) == permutation_p(same, seed=1)
    assert permutation_p(same) > 0.9
    assert 0 < permutation_p([1.0] * 20) < 0.001
    alternating = [math.sin(n) for n in range(20)]
    exact = stats.permutation_test(
        (alternating,),
        lambda x, axis: abs(np.mean(x, axis=axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=20_000,
        rng=1,
    )
    assert permutation_p(alternating) == pytest.approx(exact.pvalue, abs=0.02)


def test_fourteen_blocks_are_still_counted_out():
    assert permutation_p([1.0] * 14) == 2 / 2**14
    assert permutation_p([1.0] * 15) != 2 / 2**15


@pytest.mark.parametrize(
    ("margin", "sigma", "n"),
    [(1.25, 0.2, 10), (1.25, 0.3, 23), (1.25, 0.4, 40), (1.5, 0.2, 4), (1.5, 0.3, 7), (1.5, 0.4, 13)],
)
def test_the_published_numbers_of_trials_are_reproduced(margin, sigma, n):
    assert trials_per_arm(sigma, margin=margin) == n


def test_the_default_margin_is_a_quarter():
    assert trials_per_arm(0.2) == trials_per_arm(0.2, margin=1.25)


@pytest.mark.parametrize("sigma", [0.1, 0.4])
def test_the_detectable_ratio_is_the_margin_that_as_many_trials_show(sigma):
    ratio = detectable_ratio(sigma, 20)
    assert trials_per_arm(sigma, margin=ratio * 1.0001) <= 20 < trials_per_arm(sigma, margin=ratio * 0.999)


def test_what_is_detectable_is_told_from_the_spread_within_the_arms():
    got = compare([(10, 10), (20, 20), (40, 40), (80, 80)])
    logs = np.log([10, 20, 40, 80])
    assert got.detectable == pytest.approx(detectable_ratio(float(logs.std(ddof=1)), 4))
    assert (got.lo, got.hi, got.p) == (1, 1, 1)


@pytest.mark.parametrize("made", [[], [(0, 1)], [(1, 0)], [(1, -1)]])
def test_times_that_are_none_are_an_error(made):
    with pytest.raises(ValueError, match="expected blocks of positive times"):
        compare(made)


def test_a_margin_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="a margin above 1"):
        compare([(1, 1)], margin=1)


def test_intervals_too_wide_for_a_float_are_open():
    got = compare([(1, 1), (1, 10**80)])
    assert (got.lo >= 0, got.hi, got.outcome) == (True, math.inf, Outcome.INCONCLUSIVE)


def test_the_draws_are_those_of_the_seed():
    made = noisy(1.05, n=20)
    logs = [math.log(new) - math.log(old) for old, new in made]
    assert compare(made, seed=5).p == permutation_p(logs, seed=5)
    assert permutation_p(logs, seed=5) != permutation_p(logs, seed=6)
    assert compare(made).p == permutation_p(logs, seed=1)
    assert permutation_p([1.0] * 20) == 1 / 20_001


def test_the_spread_is_taken_over_both_arms():
    steady, wild = [100, 100, 100, 100], [50, 100, 200, 400]
    one, other = compare(list(zip(steady, wild, strict=True))), compare(list(zip(wild, steady, strict=True)))
    assert one.detectable == pytest.approx(other.detectable)
    sigma = math.sqrt(float(np.log(wild).std(ddof=1)) ** 2 / 2)
    assert one.detectable == pytest.approx(detectable_ratio(sigma, 4))
    assert compare([(10, 20), (20, 20)]).detectable < math.inf


def test_a_ratio_that_is_exactly_the_margin_without_any_spread_is_no_slower_than_it():
    assert compare([(1, 2)] * 4, margin=2.0).outcome is Outcome.PASSED
    assert compare([(1, 3)] * 4, margin=2.0).outcome is Outcome.FAILED


def test_one_block_finds_no_ratio_however_large():
    assert compare([(1, 2)]).detectable == math.inf


def test_what_is_no_comparison_is_refused_by_what_was_expected():
    for blocks, margin in (([], 1.25), ([(1, 2)], 1.0), ([(0, 2)], 1.25), ([(1, 2), (2, 0)], 1.25)):
        with pytest.raises(ValueError, match=r"^expected blocks of positive times and a margin above 1$"):
            compare(blocks, margin=margin)


def test_without_a_seed_the_draws_are_those_of_the_first():
    differences = [math.log(1 + n / 40) * (-1) ** (n % 3) for n in range(20)]
    drawn = [permutation_p(differences, seed=seed) for seed in (1, 2)]
    assert drawn[0] != drawn[1]
    assert permutation_p(differences) == drawn[0]
    assert compare([(1000, round(1000 * math.exp(d))) for d in differences]).p != drawn[1]
