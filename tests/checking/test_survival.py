import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.checking.survival import Step, kaplan_meier, quantile, restricted_mean
from harness.model.verdict import Interval


def back(time):
    return Interval(time - 1, time)


def gone(time):
    return Interval(time, None)


def test_the_curve_falls_at_each_recovery_by_the_share_of_those_still_watched():
    curve = kaplan_meier([back(10), back(20), gone(15), back(20), gone(40)])
    assert curve == (Step(10, 5, 1, pytest.approx(0.8)), Step(20, 3, 2, pytest.approx(0.8 / 3)))


def test_one_that_is_censored_at_the_instant_of_a_recovery_was_still_at_risk():
    assert kaplan_meier([back(10), gone(10)])[0].at_risk == 2


def test_a_recovery_counts_when_it_was_sure():
    assert kaplan_meier([Interval(5, 9)])[0].time == 9


times = st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=30)


@given(times)
def test_it_is_scipys(seen):
    curve = kaplan_meier([back(t) if done else gone(t) for t, done in seen])
    data = stats.CensoredData(uncensored=[t for t, d in seen if d], right=[t for t, d in seen if not d])
    expected = stats.ecdf(data).sf
    for step in curve:
        assert step.unrecovered == pytest.approx(float(expected.evaluate(step.time)), abs=1e-9)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 60))
def test_the_restricted_mean_is_the_mean_of_what_was_cut_off(seen, horizon):
    curve = kaplan_meier([back(t) if t < horizon else gone(horizon) for t in seen])
    assert restricted_mean(curve, horizon) == pytest.approx(sum(min(t, horizon) for t in seen) / len(seen))


def test_nothing_that_recovered_is_the_whole_horizon():
    assert restricted_mean((), 300) == 300
    assert restricted_mean(kaplan_meier([gone(300)]), 300) == 300


def test_quantiles_that_were_not_reached_are_not_made_up():
    curve = kaplan_meier([back(10), back(20), back(30), gone(40)])
    assert [quantile(curve, q) for q in (0.25, 0.5, 0.75, 0.76, 0.9)] == [10, 20, 30, None, None]
    assert quantile((), 0.5) is None


def test_a_quantile_is_reached_when_exactly_that_share_is_back():
    curve = kaplan_meier([back(10), back(20), back(30), back(40), back(50)])
    assert [quantile(curve, q) for q in (0.2, 0.4, 0.6, 0.8, 1.0)] == [10, 20, 30, 40, 50]


def test_recoveries_at_or_after_the_horizon_do_not_shorten_the_mean():
    curve = kaplan_meier([back(10), back(30)])
    assert restricted_mean(curve, 30) == restricted_mean(kaplan_meier([back(10), back(40)]), 30) == 20
    assert restricted_mean(curve, 20) == 15
