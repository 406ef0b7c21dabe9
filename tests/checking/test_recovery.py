import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checking import recovery, windows
from harness.checking import series as series_of
from harness.model.history import Mode
from harness.model.objectives import Objective
from harness.model.units import SECOND, seconds
from tests.checking.histories import PERIOD, at, outage, sample, samples, terms

W, H = seconds(5), seconds(3)
ONE = (Mode.FRESH,)


def start(down, *, end=20.0, since=0.0, whole=True, hold=H):
    series = series_of.of(Objective("read"), Mode.FRESH, PERIOD, samples(down, start=0, end=end, modes=ONE))
    return recovery.earliest([series], since=at(since), window=W, hold=hold, whole=whole)


def test_a_system_that_never_broke_is_good_from_the_start():
    assert start(outage()) == at(0)


def test_it_is_good_from_the_first_good_probe_after_the_last_bad_one():
    assert start(outage((0, 4))) == at(3.95) + 1


def test_no_instant_before_the_one_asked_for_is_given():
    assert start(outage((0, 4)), since=6.01) == at(6.01)


def test_as_many_bad_probes_as_the_window_allows_do_not_postpone_it():
    assert start(outage((0, 4), (6, 6.25))) == at(3.95) + 1
    assert start(outage((0, 4), (6, 6.3))) == at(6.25) + 1


def test_a_relapse_within_the_hold_begins_it_anew():
    assert start(outage((0, 4), (11.6, 12))) == at(11.95) + 1
    assert start(outage((0, 4), (11.6, 12)), hold=0) == at(3.95) + 1


def test_a_relapse_after_window_and_hold_does_not():
    assert start(outage((0, 4), (12.2, 12.8)), end=30) == at(3.95) + 1


def test_a_window_and_hold_that_are_not_over_prove_nothing():
    assert start(outage((0, 4)), end=12) == at(3.95) + 1
    assert start(outage((0, 4)), end=11.95) is None
    assert start(outage((0, 4)), end=11.95, whole=False) == at(3.95) + 1


def test_a_window_without_half_of_its_probes_proves_nothing():
    kept = [s for n, s in enumerate(samples(start=0, modes=ONE)) if n % 3 == 0]
    series = series_of.of(Objective("read"), Mode.FRESH, PERIOD, kept)
    assert recovery.earliest([series], since=at(0), window=W, hold=H) is None


@pytest.mark.parametrize("late", [0, 0.05])
def test_the_last_window_that_is_held_begins_exactly_one_hold_after_the_first(late):
    six_at_the_end_of_it = (11.7 + late, 12 + late)
    assert start(outage((0, 4 + late), six_at_the_end_of_it), end=30) == at(11.95 + late) + 1
    six_one_probe_later = (11.75 + late, 12.05 + late)
    assert start(outage((0, 4 + late), six_one_probe_later), end=30) == at(3.95 + late) + 1


def test_a_hold_that_ends_between_two_probes_is_waited_for_to_its_end():
    assert start(outage((0, 4)), end=12.0, hold=seconds(3.02)) is None
    assert start(outage((0, 4)), end=12.05, hold=seconds(3.02)) == at(3.95) + 1


def test_the_last_sample_alone_may_be_the_beginning_of_recovery():
    assert start(outage((0, 19.93)), end=20, whole=False) == at(19.9) + 1
    assert start(outage((0, 20)), end=20, whole=False) is None


def test_a_window_that_is_not_over_has_failed_only_when_a_whole_one_would_have():
    assert start(outage((0, 4), (6, 6.25)), end=8, whole=False) == at(3.95) + 1
    assert start(outage((0, 4), (6, 6.3)), end=8, whole=False) == at(6.25) + 1


def test_a_window_of_twice_as_many_samples_as_were_due_is_counted_as_it_is():
    half = Objective("read", ratio=0.5)
    seen = [sample(n * 0.5, bad=n % 2 == 1) for n in range(40)]
    series = series_of.of(half, Mode.FRESH, seconds(1), seen)
    assert recovery.earliest([series], since=at(0), window=seconds(2), hold=0) == at(0)


def by_the_definition(series, *, since, window, hold, whole):
    """The first instant at which, in every series, the first probe is good and every window of the hold holds, one by one.
    Not `whole`: windows that are not over hold as long as no more are bad in them than may be when they are."""

    def holds(one, begin):
        if begin + window <= one.settled():
            return one.holds(begin, begin + window)
        most = windows.allowed(windows.probes(window, one.period), one.objective.ratio)
        return not whole and one.between(begin, begin + window)[1] <= most

    def fulfilled(one, instant):
        first = one.first(instant)
        if first == len(one.at) or one.bad[first]:
            return False
        end = one.at[first] + hold
        return (not whole or end + window <= one.settled()) and all(holds(one, s) for s in one.at[first:] if s <= end)

    instants = sorted({since, *(due + 1 for one in series for due in one.at if due >= since)})
    return next((i for i in instants if all(fulfilled(one, i) for one in series)), None)


RUNS = st.lists(st.tuples(st.sampled_from(["good", "good", "good", "bad", "missing"]), st.integers(1, 9)), max_size=14)


@settings(max_examples=300, deadline=None)
@given(
    runs=st.lists(RUNS, min_size=1, max_size=3),
    ratio=st.sampled_from([0.5, 0.75, 0.9, 0.99]),
    window=st.integers(1, 8),
    hold=st.sampled_from([0, 1, 2.5, 4]),
    since=st.integers(0, 9),
    whole=st.booleans(),
)
def test_the_earliest_instant_is_the_one_that_the_definition_names(*, runs, ratio, window, hold, since, whole):
    series = []
    for phase, run in enumerate(runs):
        seen = [each for each, length in run for _ in range(length)]
        kept = [sample(n + phase / 4, bad=each == "bad") for n, each in enumerate(seen) if each != "missing"]
        series.append(series_of.of(Objective("read", ratio=ratio), Mode.FRESH, SECOND, kept))
    asked = {"since": at(since / 2), "window": seconds(window), "hold": seconds(hold), "whole": whole}
    assert recovery.earliest(series, **asked) == by_the_definition(series, **asked)


def test_a_window_with_half_of_its_probes_is_enough():
    kept = [s for n, s in enumerate(samples(start=0, modes=ONE)) if n % 2 == 0]
    series = series_of.of(Objective("read"), Mode.FRESH, PERIOD, kept)
    assert recovery.earliest([series], since=at(0), window=W, hold=H) == at(0)


def test_without_any_series_nothing_has_recovered():
    assert recovery.earliest([], since=at(0), window=W, hold=H) is None


def test_every_series_must_be_good_at_the_same_time():
    outages = {"read": outage((0, 2), (9, 11)), "write": outage((0, 5))}
    judged = terms(Objective("read"), Objective("write"))
    seen = [s for name, down in outages.items() for s in samples(down, start=0, end=30, indicator=name)]
    series = series_of.every(judged, seen)
    assert recovery.earliest(series, since=at(0), window=W, hold=H) == at(10.9625) + 1


def test_a_bad_sample_at_the_instant_asked_for_counts():
    series = series_of.every(terms(), samples(outage((1, 1.05)), start=0, modes=ONE))
    assert recovery.episodes(series, since=at(1)) == 1
    assert recovery.bad_time(series, since=at(1), period=PERIOD) == PERIOD
    assert recovery.episodes(series, since=at(1) + 1) == 0
    assert recovery.bad_time(series, since=at(1) + 1, period=PERIOD) == 0


@pytest.mark.parametrize(
    ("spans", "count"),
    [
        ([], 0),
        ([(1, 2)], 1),
        ([(1, 2), (2.5, 3)], 1),
        ([(1, 2), (2.95, 3)], 1),
        ([(1, 2), (3, 4)], 2),
        ([(1, 2), (4, 5), (7, 8)], 3),
    ],
)
def test_episodes_are_runs_of_bad_samples_with_more_than_a_second_between_them(spans, count):
    series = series_of.every(terms(), samples(outage(*spans), start=0))
    assert recovery.episodes(series, since=at(0)) == count


def test_episodes_and_bad_time_count_from_the_instant_asked_for():
    series = series_of.every(terms(), samples(outage((1, 2), (4, 5)), start=0))
    assert recovery.episodes(series, since=at(3)) == 1
    assert recovery.bad_time(series, since=at(3), period=PERIOD) == seconds(1)


def test_bad_time_counts_a_period_once_however_many_series_are_bad_in_it():
    series = series_of.every(terms(), samples(outage((1, 2), (4, 4.5)), start=0))
    assert recovery.bad_time(series, since=at(0), period=PERIOD) == seconds(1.5)


def test_a_second_from_one_bad_sample_to_the_next_is_not_yet_a_second_without_one():
    one = [series_of.of(Objective("read"), Mode.FRESH, PERIOD, samples(outage((1, 2), (2.95, 3)), start=0, modes=ONE))]
    assert recovery.episodes(one, since=at(0)) == 1
    two = [series_of.of(Objective("read"), Mode.FRESH, PERIOD, samples(outage((1, 2), (3, 3.05)), start=0, modes=ONE))]
    assert recovery.episodes(two, since=at(0)) == 2


def test_the_periods_of_bad_time_begin_at_the_instant_asked_for():
    series = series_of.every(terms(), samples(outage((1, 1.03)), start=0))
    assert recovery.bad_time(series, since=at(0.99), period=PERIOD) == PERIOD
    assert recovery.bad_time(series, since=at(0.955), period=PERIOD) == 2 * PERIOD
