from dataclasses import replace

import pytest

from harness.checking import recovery
from harness.checking import series as series_of
from harness.checking.detection import Detector
from harness.model.history import Mode
from harness.model.objectives import Objective
from harness.model.units import seconds
from harness.model.verdict import Interval
from tests.checking.histories import PERIOD, at, outage, sample, samples, terms

W = seconds(5)
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


LONG = "." * 40


@pytest.mark.parametrize(
    ("seen", "window", "ends"),
    [
        ("XXXX|" + LONG, 5, (3, 4)),
        ("XXXX.|" + LONG, 5, (3, 4)),
        ("XXXX..|" + LONG, 5, (3, 4)),
        ("XXXX|..X" + LONG, 2, (3, 4)),  # what comes after the window is another outage
        ("XXXX|..X" + LONG, 3, (3, 13)),  # 4 of 6 beside the edge: 7 good ones
        ("XXXX|......X" + LONG, 9, (3, 4)),  # more than five good ones away: a stray error
        ("....XX.X|" + LONG, 5, (7, 14)),  # 2 of 3: the good ones before it began are not counted
        ("....XX.X|.", 5, (7, 8)),
        ("....XX.X|...", 5, (7, 10)),
        ("XXXX" + ".X" * 10 + "|" + LONG, 5, (23, 34)),  # 9 of the nearest 19: 11
        ("....|" + LONG, 5, None),
    ],
)
def test_recovery_is_between_the_last_bad_one_and_so_many_good_ones_after_the_outage(seen, window, ends):
    instant, every = seen.index("|"), seen.replace("|", "")
    series = series_of.of(
        Objective("read"), Mode.FRESH, PERIOD, [sample(n * 0.05, bad=each == "X") for n, each in enumerate(every)]
    )
    got = recovery._end(series, at(instant * 0.05), since=at(0), window=window * PERIOD)
    assert got == (None if ends is None else (series.at[ends[0]], series.at[ends[1]]))


def test_what_was_bad_before_the_instant_asked_for_is_not_of_the_outage():
    seen = [sample(n * 0.05, bad=each == "X") for n, each in enumerate("XXX.XX.X" + LONG)]
    series = series_of.of(Objective("read"), Mode.FRESH, PERIOD, seen)
    # of 4 to 7 only 2 of 3 are bad beside the edge: 7 good ones
    assert recovery._end(series, at(0.4), since=at(0.2), window=W) == (series.at[7], series.at[14])
    assert recovery._end(series, at(0.4), since=at(0.4), window=W) is None


def test_a_series_without_samples_has_not_recovered_and_does_not_say_until_when_was_watched():
    judged = terms()
    seen = samples(outage((1, 4)), start=0, modes=ONE)
    detector = Detector(judged, since=at(0))
    detector.feed(seen)
    assert detector.alarm is not None
    got = recovery.outage(series_of.every(judged, seen), detector.alarm, judged, since=at(0))
    assert (got.at, got.recovered, got.possible) == (None, None, at(19.95))
    assert got.first_good == at(4)
