import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from harness.checking.detection import Detector, thresholds
from harness.model.history import Mode
from harness.model.objectives import Objective
from harness.model.units import SECOND, milliseconds, seconds
from tests.checking.histories import PERIOD, at, outage, sample, samples, terms

READ = terms()


def detected(down, *, judged=READ, start=0.0, end=30.0, since=0.0):
    return Detector(judged, since=at(since)).feed(samples(down, start=start, end=end))


def test_a_healthy_system_raises_no_alarm():
    assert detected(outage()) is None


def test_the_alarm_is_raised_when_the_answer_of_the_eleventh_bad_probe_in_five_seconds_is_known():
    assert detected(outage((2, 10))) == at(2.5) + seconds(1)


def test_ten_bad_probes_in_five_seconds_are_not_enough():
    assert detected(outage((2, 2.5))) is None
    assert detected(outage((2, 2.55))) is not None


def test_bad_probes_more_than_five_seconds_apart_are_not_counted_together():
    five = [(2.0, 2.25), (2.0 + 5.0, 2.25 + 5.0)]
    assert detected(outage(*five, (12.0, 12.25))) is None


def test_the_slow_window_catches_what_the_fast_one_lets_through():
    judged = terms(Objective("read", ratio=0.99))
    two_of_a_hundred = [(second, second + 0.1) for second in range(0, 30, 2)]
    assert detected(outage(*two_of_a_hundred), judged=judged, end=5) is None
    assert detected(outage(*two_of_a_hundred), judged=judged) == at(12) + seconds(1)


@pytest.mark.parametrize(
    ("ratio", "fast", "slow"), [(0.999, 11, 13), (0.99, 11, 13), (0.95, 11, 61), (0.9, 21, 121), (0.5, 76, 451)]
)
def test_the_rule_is_never_stricter_than_twice_the_budget(ratio, fast, slow):
    assert thresholds(Objective("read", ratio=ratio), PERIOD) == ((seconds(5), fast), (seconds(30), slow))


def test_with_slow_probes_it_takes_three_bad_ones():
    assert thresholds(Objective("read", ratio=0.99), SECOND) == ((seconds(5), 3), (seconds(30), 3))


def test_samples_due_before_the_fault_are_ignored():
    assert detected(outage((1, 5)), since=4.6) is None
    assert detected(outage((1, 5)), since=4.4) is not None


def test_samples_of_an_indicator_without_an_objective_are_ignored():
    found = Detector(terms(), since=at(0)).feed(samples(outage((0, 9)), start=0, indicator="other"))
    assert found is None


def test_the_alarm_says_in_which_series_it_was_raised():
    detector = Detector(terms(), since=at(0))
    detector.feed(samples(start=0, modes=[Mode.FRESH]))
    detector.feed(samples(outage((3, 9)), start=0, modes=[Mode.POOLED]))
    assert detector.alarm is not None
    assert detector.alarm.mode is Mode.POOLED
    assert detector.alarm.at == at(3.5) + seconds(1)


def test_the_first_alarm_stands():
    detector = Detector(terms(), since=at(0))
    first = detector.feed(samples(outage((2, 4)), start=0, end=9))
    assert detector.feed(samples(outage((10, 14)), start=9, end=20)) == first


def test_a_late_answer_is_bad_although_it_is_right():
    slow = terms(Objective("read", within=milliseconds(4)))
    assert detected(outage(), judged=slow) is not None


@given(st.lists(st.booleans(), max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_how_the_samples_are_cut_into_batches_does_not_matter(bad, cuts):
    every = sorted((sample(n * 0.05, bad=b) for n, b in enumerate(bad)), key=lambda s: s.done)
    edges = [0, *sorted(cuts), len(every)]
    one, many = Detector(terms(), since=at(0)), Detector(terms(), since=at(0))
    one.feed(every)
    for begin, end in pairwise(edges):
        many.feed(every[begin:end])
    assert many.alarm == one.alarm


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=12), st.sampled_from([0.999, 0.95, 0.7]))
def test_it_fires_at_the_first_answer_with_which_a_window_holds_too_many_bad_ones(runs, ratio):
    judged = replace(terms(Objective("read", ratio=ratio)), modes=(Mode.FRESH,), period=SECOND)
    bad = [each for each, length in runs for _ in range(length)]
    came = sorted((sample(n + each / 2, bad=each) for n, each in enumerate(bad)), key=lambda s: s.done)
    limits = thresholds(judged.objectives[0], SECOND)

    def too_many(known):
        newest = max(s.scheduled for s in known)
        late = [s.scheduled for s in known if not s.good]
        return any(sum(newest - window < due for due in late) >= limit for window, limit in limits)

    fired = next((s.done for n, s in enumerate(came) if too_many(came[: n + 1])), None)
    assert Detector(judged, since=at(0)).feed(came) == fired


@pytest.mark.parametrize(
    ("ratio", "rate", "bound"), [(0.999, 0.0002, 1e-9), (0.99, 0.001, 1e-9), (0.99, 0.002, 1e-5), (0.95, 0.005, 1e-7)]
)
def test_a_false_alarm_in_300_seconds_is_as_rare_as_the_windows_that_could_raise_it(ratio, rate, bound):
    windows = thresholds(Objective("read", ratio=ratio), PERIOD)
    each = sum(binom.sf(too_many - 1, window // PERIOD, rate) for window, too_many in windows)
    assert 6000 * each < bound


@pytest.mark.parametrize(("rate", "runs", "most"), [(0.001, 60, 0), (0.002, 60, 0)])
def test_background_errors_raise_no_alarm_in_300_seconds(rate, runs, most):
    dice = random.Random(7)
    judged = terms(Objective("read", ratio=0.99))
    false = 0
    for _ in range(runs):
        seen = [sample(n * 0.05, bad=dice.random() < rate) for n in range(6000)]
        false += Detector(judged, since=at(0)).feed(seen) is not None
    assert false <= most
