import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.checking.intervals import (
    Rank,
    always_valid_lower,
    clopper_pearson_lower,
    clopper_pearson_upper,
    quantile_bound,
    trials_needed,
    wilson_lower,
)

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.floats(0.6, 0.99))
def test_the_exact_limits_are_scipys(count, confidence):
    s, n = count
    test = stats.binomtest(s, n)
    lower = test.proportion_ci(2 * confidence - 1, method="exact").low
    upper = test.proportion_ci(2 * confidence - 1, method="exact").high
    assert clopper_pearson_lower(s, n, confidence=confidence) == pytest.approx(lower, abs=1e-9)
    assert clopper_pearson_upper(s, n, confidence=confidence) == pytest.approx(upper, abs=1e-9)


@given(counts, st.floats(0.6, 0.99))
def test_the_score_limit_is_scipys(count, confidence):
    s, n = count
    expected = stats.binomtest(s, n).proportion_ci(2 * confidence - 1, method="wilson").low
    assert wilson_lower(s, n, confidence=confidence) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("s", "n", "lower"),
    [(3, 3, 0.37), (5, 5, 0.55), (10, 10, 0.74), (20, 20, 0.86), (9, 10, 0.61), (19, 20, 0.78), (58, 59, 0.92)],
)
def test_what_small_numbers_say_is_what_is_published(s, n, lower):
    assert round(clopper_pearson_lower(s, n), 2) == lower


def test_without_trials_nothing_is_known():
    assert (clopper_pearson_lower(0, 0), clopper_pearson_upper(0, 0), wilson_lower(0, 0)) == (0, 1, 0)
    assert always_valid_lower(0, 0) == 0


def test_no_loss_in_n_trials_still_allows_for_some():
    assert [round(clopper_pearson_upper(0, n), 3) for n in (5, 20, 32, 59)] == [0.451, 0.139, 0.089, 0.05]


@pytest.mark.parametrize(
    ("p0", "needed"),
    [(0.5, [5, 8, 11, 13]), (0.8, [14, 22, 30, 37]), (0.9, [29, 46, 61, 76]), (0.95, [59, 93, 124, 153])],
)
def test_the_published_numbers_of_trials_are_reproduced(p0, needed):
    assert [trials_needed(p0, failures=c) for c in range(4)] == needed


@pytest.mark.parametrize("p0", [0.0, 1.0, -1.0])
def test_an_impossible_p0_is_an_error(p0):
    with pytest.raises(ValueError, match=f"expected 0 < p0 < 1, found {p0}"):
        trials_needed(p0)


def test_quantiles_are_bounded_by_ranks_as_published():
    assert quantile_bound(20, 0.5) == Rank(15, 20, 0.5, pytest.approx(0.9793, abs=1e-4))
    assert quantile_bound(20, 0.9) is None
    bounds = [quantile_bound(n, q) for n, q in ((29, 0.9), (28, 0.9), (93, 0.95), (59, 0.95), (58, 0.95))]
    assert [b.rank if b else None for b in bounds] == [29, None, 92, 59, None]


@given(st.integers(5, 120), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_the_rank_is_the_smallest_that_covers(n, q):
    bound = quantile_bound(n, q)
    covers = [r for r in range(1, n + 1) if stats.binom.cdf(r - 1, n, q) >= 0.95]
    assert (bound.rank if bound else None) == (min(covers) if covers else None)


def test_the_always_valid_limit_takes_43_successes_for_nine_in_ten():
    assert always_valid_lower(42, 42) < 0.9 <= always_valid_lower(43, 43)


@given(counts)
def test_the_always_valid_limit_is_never_above_the_fixed_one(count):
    s, n = count
    assert 0 <= always_valid_lower(s, n) <= max(clopper_pearson_lower(s, n), 1e-9)


def test_the_always_valid_limit_covers_under_looking_after_every_trial():
    """Exact: P(ever above p within 200 looks) by enumeration over (n, s) with the crossing set absorbed."""
    p, alive, crossed = 0.8, {0: 1.0}, 0.0
    for n in range(1, 201):
        following: dict[int, float] = {}
        for s, weight in alive.items():
            for ok, share in ((1, p), (0, 1 - p)):
                following[s + ok] = following.get(s + ok, 0.0) + weight * share
        alive = {}
        for s, weight in following.items():
            if s > p * n and always_valid_lower(s, n) > p:
                crossed += weight
            else:
                alive[s] = weight
    assert 0.01 < crossed <= 0.05


@pytest.mark.parametrize(("s", "n"), [(1, 1), (3, 5), (10, 12), (32, 32), (58, 60)])
def test_at_the_always_valid_limit_the_mixture_is_twenty_times_as_likely(s, n):
    p0 = always_valid_lower(s, n)
    grid = [p0 + (1 - p0) * (k + 0.5) / 20_000 for k in range(20_000)]
    mixture = sum((q / p0) ** s * ((1 - q) / (1 - p0)) ** (n - s) for q in grid) / len(grid)
    assert mixture == pytest.approx(20, rel=1e-3)


def test_without_a_success_nothing_is_shown():
    assert always_valid_lower(0, 5) == 0
    assert wilson_lower(1, 1) == pytest.approx(0.2699, abs=1e-4)
    assert trials_needed(0.05) == 1
    assert quantile_bound(5, 0.01) == Rank(1, 5, 0.01, pytest.approx(0.951, abs=1e-3))
