from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checking import recovery, windows
from harness.checking import series as series_of
from harness.checking.detection import Detector
from harness.model.history import Mode
from harness.model.objectives import Objective
from harness.model.units import SECOND, seconds
from harness.model.verdict import Interval
from tests.checking.histories import PERIOD, at, outage, sample, samples, terms

W, H = seconds(5), seconds(3)
ONE = (Mode.FRESH,)


def found(down, *, pooled=None):
    judged = replace(terms(), modes=ONE if pooled is None else tuple(Mode))
    seen = samples(down, start=0, modes=ONE)
    if pooled is not None:
        seen += samples(pooled, start=0, modes=[Mode.POOLED])
    series = series_of.every(judged, seen)
    detector = Detector(judged, since=at(0))
    detector.feed(seen)
    assert detector.alarm is not None
    return recovery.outage(series, detector.alarm, judged, since=at(0))


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


def test_onset_and_recovery_are_bracketed_by_two_probes():
    got = found(outage((1.02, 4.02)))
    assert got.onset == Interval(at(1.0), at(1.05))
    assert got.recovered == Interval(at(4.0), at(4.05))
    assert got.at == at(4.0) + 1
    assert got.first_good == at(4.05)


def test_with_two_connection_modes_the_slower_one_decides():
    got = found(outage((1, 4)), pooled=outage((1, 7)))
    assert got.recovered == Interval(at(6.95), at(7.0))


def test_the_onset_is_that_of_the_series_which_raised_the_alarm():
    got = found(outage((0.3, 0.35)), pooled=outage((1.02, 7)))
    assert got.onset == Interval(at(1), at(1.05))


@pytest.mark.parametrize("took", [0.005, 1])
def test_errors_too_far_apart_to_be_one_outage_begin_with_the_one_that_raised_the_alarm(took):
    judged = replace(terms(Objective("read", ratio=0.99)), modes=ONE)
    bad = [replace(sample(n * 2, bad=True), done=at(n * 2 + took)) for n in range(15)]
    until = at(24 + took)  # when the thirteenth bad answer came, which is one too many
    seen = [s for s in (*bad, *(sample(n * 0.05) for n in range(600) if n % 40)) if s.scheduled < until]
    detector = Detector(judged, since=at(0))
    detector.feed(seen)
    assert detector.alarm is not None
    got = recovery.onset(series_of.every(judged, seen), detector.alarm, since=at(0))
    assert got == Interval(at(23.95), at(24))


def alarmed(seen, *, since=0.0, ratio=0.95):
    judged = replace(terms(Objective("read", ratio=ratio)), modes=ONE)
    detector = Detector(judged, since=at(since))
    detector.feed(seen)
    assert detector.alarm is not None
    return recovery.onset(series_of.every(judged, seen), detector.alarm, since=at(since))


def refused(*, begin, end, down):
    """Samples 50 ms apart, all answered after 5 ms."""
    every = (sample(n * 0.05) for n in range(round(begin * 20), round(end * 20)))
    return [replace(s, good=not down(n)) for n, s in enumerate(every)]


def test_the_onset_is_not_before_the_instant_asked_for():
    assert alarmed(samples(outage((1, 5)), start=0, modes=ONE), since=2) == Interval(at(2), at(2))


def test_an_onset_at_the_second_sample_has_the_first_for_its_last_good_one():
    assert alarmed(samples(outage((0.03, 5)), start=0, modes=ONE), since=-1) == Interval(at(0), at(0.05))
    assert alarmed(samples(outage((0, 5)), start=0, modes=ONE), since=-1) == Interval(at(-1), at(0))


def test_of_an_outage_that_has_just_begun_all_that_is_known_of_it_tells_how_bad_it_is():
    seen = refused(begin=0, end=2.8, down=lambda n: n >= 40 and (n - 40) % 3 < 2)
    # 10 of the 15 beside the first are bad: 7 good ones in a row have probability (1 / 3) ** 7 < 0.001
    assert alarmed(seen) == Interval(at(1.65), at(2))


def test_what_was_good_for_long_before_it_broke_has_not_recovered_before_it_broke():
    got = found(outage((9, 12)))
    assert got.at == at(11.95) + 1
    assert got.possible == at(11.95) + 1


def test_a_series_that_was_never_bad_does_not_widen_the_bracket():
    got = found(outage(), pooled=outage((1, 7)))
    assert got.recovered == Interval(at(6.95), at(7))
    assert got.first_good == at(7)


def test_an_outage_that_is_there_at_the_fault_call_begins_with_it():
    assert found(outage((0, 4))).onset == Interval(at(0), at(0))


def test_the_first_good_answer_may_be_of_a_flap():
    got = found(outage((1, 3), (4, 6)))
    assert got.first_good == at(3)
    assert got.recovered == Interval(at(5.95), at(6))


def test_what_did_not_recover_is_open_from_the_last_bad_probe_on():
    got = found(outage((1, 30)))
    assert (got.at, got.recovered, got.first_good) == (None, None, None)
    assert got.possible == at(19.95)


def test_what_was_recovering_when_observation_ended_may_have_recovered_when_it_began_to():
    got = found(outage((1, 15)))
    assert got.recovered is None
    assert got.possible == at(14.95) + 1


def test_a_stray_error_long_before_the_outage_is_not_its_onset():
    got = found(outage((0.5, 0.54), (2, 6)))
    assert got.onset == Interval(at(1.95), at(2))
    assert got.first_good == at(6)


def test_the_tail_of_an_outage_that_fades_out_is_within_the_bracket():
    got = found(outage((1, 4), (4.1, 4.15), (4.2, 4.25)))
    assert got.recovered is not None
    assert got.recovered.lo == at(3.95)
    assert got.recovered.hi is not None
    assert got.recovered.hi >= at(4.25)


def test_an_outage_that_lets_answers_through_is_bracketed_more_widely():
    half = [(1 + n * 0.1, 1.05 + n * 0.1) for n in range(40)]
    got = found(outage(*half))
    assert got.recovered is not None
    assert got.recovered.hi is not None
    assert got.recovered.lo < at(4.95) < got.recovered.hi <= at(6)
    assert got.onset.lo < at(0.9)


def test_the_bracket_is_as_many_good_answers_wide_as_an_outage_so_bad_may_give_in_a_row():
    got = found(lambda second: 1 <= second < 5 and round(second * 20) % 2 == 0)
    # 9 of the 19 next to the edge are bad: 11 good ones in a row have probability (10 / 19) ** 11 < 0.001
    assert got.onset == Interval(at(0.45), at(1.0))
    assert got.at == at(4.4) + 1
    assert got.recovered == Interval(at(4.4), at(5.45))


@pytest.mark.parametrize(
    ("beside", "good"),
    [
        ("X", 1),
        ("XXXX", 1),
        ("X.", 1),
        ("X.........", 1),
        ("XXX.", 7),  # 2 of 3 beside the edge: (1 / 3) ** 7 < 0.001
        ("XX.", 10),  # 1 of 2
        ("XX...", 25),  # 1 of 4
        ("XX.........", 43),  # 1 of 10, which is taken for 15 in 100
    ],
)
def test_so_many_good_answers_in_a_row_tell_that_an_outage_so_bad_is_over(beside, good):
    seen = [sample(n * 0.05, bad=each == "X") for n, each in enumerate("X" + beside + "X")]
    series = series_of.of(Objective("read"), Mode.FRESH, PERIOD, seen)
    assert recovery._unseen(series, 1, 1 + len(beside)) == good


def test_a_series_without_samples_has_not_recovered_and_does_not_say_until_when_was_watched():
    judged = terms()
    seen = samples(outage((1, 4)), start=0, modes=ONE)
    detector = Detector(judged, since=at(0))
    detector.feed(seen)
    assert detector.alarm is not None
    got = recovery.outage(series_of.every(judged, seen), detector.alarm, judged, since=at(0))
    assert (got.at, got.recovered, got.possible) == (None, None, at(19.95))
    assert got.first_good == at(4)


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
