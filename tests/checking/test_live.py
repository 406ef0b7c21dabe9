import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checking import recovery
from harness.checking import series as series_of
from harness.checking.detection import Detector
from harness.checking.judge import judge
from harness.checking.live import Watch
from harness.checking.recovery import RecoveryWatch
from harness.model.history import Mode
from harness.model.objectives import Objective
from harness.model.units import SECOND, seconds
from tests.checking.histories import UP, at, history, outage, sample, samples, terms
from tests.checking.rig import KINDS, observed, programmed


def watch(down=UP, *, fault=False, end=20.0, judged=None, modes=tuple(Mode)):
    made = Watch(judged or terms(), since=at(0), fault=fault)
    made.feed(sorted(samples(down, start=-1, end=end, modes=modes), key=lambda s: s.done))
    return made


def test_a_system_is_steady_when_every_objective_held_over_one_whole_window():
    assert watch(end=5.1).steady_since() == at(0)
    assert watch(end=4.9).steady_since() is None
    assert watch(outage((0, 3)), end=8.1).steady_since() == at(2.9625) + 1


def test_a_steady_system_has_no_reason_not_to_be():
    assert watch(end=6).unsteady() == ""


def test_why_it_is_not_steady_is_told_per_series_with_the_last_reason():
    told = watch(outage((0, 20)), end=8).unsteady()
    assert told.startswith(
        "`read` (fresh): 100 of 100 bad in the last 5 s, 5 allowed (last: timeout); `read` (pooled):"
    )


def test_missing_samples_are_a_reason_not_to_be_steady():
    assert watch(end=8, modes=[Mode.FRESH]).unsteady() == "`read` (pooled): no samples"
    assert watch(end=2).unsteady() == "`read` (fresh): only 40 of 100 samples; `read` (pooled): only 40 of 100 samples"


def test_steady_state_is_found_however_late_and_in_whatever_portions():
    made = Watch(terms(), since=at(0), fault=False)
    for each in sorted(samples(outage((0, 60)), start=0, end=70), key=lambda s: s.done):
        made.feed([each])
    assert made.steady_since() == at(59.9625) + 1


def test_without_a_fault_nothing_is_detected_or_held():
    made = watch(outage((1, 3)), end=20)
    assert made.detected() is None
    assert not made.held()


def test_a_fault_is_detected_and_its_recovery_held():
    made = watch(outage((1, 3)), fault=True, end=20)
    assert made.detected() == at(1.5) + seconds(1)
    assert made.held()
    assert made.steady_since() is None


def test_a_system_that_did_not_break_has_not_recovered():
    assert not watch(fault=True, end=30).held()


def test_recovery_is_held_only_when_window_and_hold_are_over():
    assert not watch(outage((1, 3)), fault=True, end=10.9).held()
    assert watch(outage((1, 3)), fault=True, end=11.1).held()


def test_samples_due_before_the_watch_began_are_ignored():
    made = Watch(terms(), since=at(5), fault=True)
    made.feed(samples(outage((1, 4)), start=0, end=20))
    assert made.detected() is None


def test_a_watch_forgets_what_cannot_matter_any_more():
    made = RecoveryWatch(terms(), since=at(0))
    for each in sorted(samples(outage((1, 100)), start=0, end=100), key=lambda s: s.done):
        made.feed([each])
    assert len(made._kept) < 2 * 20 * 12


SLOWLY = replace(terms(), modes=(Mode.FRESH,), period=SECOND)


def known(samples):
    """The onset and the recovery that follow from all samples that have come, none of them forgotten."""
    detector = Detector(SLOWLY, since=at(0))
    detector.feed(samples)
    series = series_of.every(SLOWLY, samples)
    if detector.alarm is None or min(s.settled() for s in series) <= detector.alarm.newest:
        return None, None
    onset = recovery.onset(series, detector.alarm, since=at(0))
    rule = SLOWLY.recovery
    return onset, recovery.earliest(series, since=onset.hi or 0, window=rule.window, hold=rule.hold)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 25)), min_size=3, max_size=7))
def test_what_a_watch_has_forgotten_could_not_have_changed_what_it_says(runs):
    bad = [each for each, length in runs for _ in range(length)]
    came = sorted((sample(n, bad=each) for n, each in enumerate(bad)), key=lambda s: s.done)
    live = RecoveryWatch(SLOWLY, since=at(0))
    onset = recovered = None
    for n, each in enumerate(came):
        told = live.feed([each])
        if recovered is None:
            now, recovered = known(came[: n + 1])
            onset = onset or now
        assert (live._onset, told) == (onset, recovered)


def test_a_watch_keeps_the_slow_window_until_the_alarm_and_window_and_hold_after_it():
    live = RecoveryWatch(SLOWLY, since=at(0))
    live.feed([sample(n) for n in range(100)])
    live.feed([])
    assert [s.scheduled for s in live._kept] == [at(n) for n in range(69, 100)]
    live.feed([sample(n, bad=True) for n in range(100, 200)])
    live.feed([sample(200, bad=True)])
    assert [s.scheduled for s in live._kept] == [at(n) for n in range(192, 201)]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 10_000), st.sampled_from([8, 60, 400]), st.booleans())
def test_what_is_seen_live_is_what_is_judged_afterwards(kind, seed, portion, noisy):
    dice = random.Random(f"{kind} {seed}")
    whole = observed(programmed(kind, dice), dice, background=0.001 if noisy else 0.0)
    arrived = sorted((s for s in whole.samples if at(0) <= s.scheduled < at(24)), key=lambda s: s.done)
    live, recovered = RecoveryWatch(whole.header.terms, since=at(0)), None
    for start in range(0, len(arrived), portion):
        recovered = live.feed(arrived[start : start + portion])
    verdict = judge(whole)
    assert verdict.timings.detected == live.detected
    assert verdict.timings.recovered is not None
    assert (recovered is None) == (verdict.timings.recovered.hi is None)
    if recovered is not None:
        assert verdict.timings.recovered.hi is not None
        assert verdict.timings.recovered.lo <= recovered <= verdict.timings.recovered.hi


@pytest.mark.parametrize("kind", KINDS)
def test_live_and_afterwards_the_same_instant_is_named(kind):
    from harness.checking.judge import _outage, moments

    dice = random.Random(kind)
    whole = observed(programmed(kind, dice), dice)
    live = RecoveryWatch(whole.header.terms, since=at(0))
    named = [live.feed([s]) for s in sorted(whole.samples, key=lambda s: s.done) if s.scheduled < at(24)][-1]
    afterwards = _outage(whole, moments(whole))[2]
    assert afterwards is not None
    assert named == afterwards.at


def test_two_objectives_on_one_indicator_are_both_watched():
    strict = terms(Objective("read", within=seconds(2)), Objective("read", ratio=0.95, within=1))
    made = Watch(strict, since=at(0), fault=False)
    made.feed([sample(n * 0.05, mode=mode) for n in range(200) for mode in Mode])
    assert made.steady_since() is None
    assert "100 of 100 bad" in made.unsteady()


def test_a_history_that_ends_as_soon_as_the_watch_says_held_is_judged_recovered():
    made = Watch(terms(), since=at(0), fault=True)
    whole = history(down=outage((0.2, 4)))
    end = (
        next(s for s in sorted(whole.samples, key=lambda s: s.done) if made.feed([s]) or made.held()).done / 1e9 - 1000
    )
    assert 11.95 <= end <= 12.2
    verdict = judge(replace(history(down=outage((0.2, 4)), observed=round(end + 0.05, 3))))
    assert verdict.rta is not None
    assert verdict.rta.fault.hi == at(4.0125) - at(0)


def test_the_last_reason_is_that_of_its_own_series():
    made = Watch(terms(Objective("read"), Objective("write")), since=at(0), fault=False)
    seen = []
    for n in range(120):
        for indicator in ("read", "write"):
            for mode in Mode:
                one = sample(n * 0.05, bad=indicator == "read" and mode is Mode.FRESH, indicator=indicator, mode=mode)
                seen.append(replace(one, reason=f"{indicator} {mode} {n}" if not one.good else f"odd {mode}"))
    made.feed(seen)
    assert made.unsteady() == "`read` (fresh): 100 of 100 bad in the last 5 s, 5 allowed (last: read fresh 119)"


def test_bad_samples_without_a_reason_are_told_without_one():
    made = Watch(terms(), since=at(0), fault=False)
    made.feed([replace(sample(n * 0.05, bad=True, mode=mode), reason="") for n in range(120) for mode in Mode])
    assert made.unsteady().startswith("`read` (fresh): 100 of 100 bad in the last 5 s, 5 allowed; ")


def test_as_many_bad_samples_as_are_allowed_are_no_reason():
    made = Watch(terms(), since=at(0), fault=False)
    made.feed(sorted(samples(outage((0, 0.05), (3, 3.2)), start=0, end=5.0), key=lambda s: s.done))
    assert made.unsteady() == ""


def test_a_window_that_is_just_over_is_whole():
    assert watch(end=5.0).steady_since() == at(0)


def test_what_was_steady_once_is_not_steady_later_for_what_came_since():
    made = watch(end=6)
    for begin in (6, 20, 40):
        made.feed(samples(outage((18, 30)), start=begin, end=begin + 14))
        assert made.steady_since() == at(0)


def test_an_unsteady_watch_keeps_the_window_and_the_time_an_answer_may_still_take():
    made = Watch(SLOWLY, since=at(0), fault=False)
    made.feed([sample(n, bad=True) for n in range(100)])
    assert [s.scheduled for s in made._kept] == [at(n) for n in range(94, 100)]


def test_without_an_objective_nothing_is_steady_and_nothing_is_the_reason():
    made = Watch(replace(terms(), objectives=()), since=at(0), fault=False)
    made.feed(samples(start=0, end=10))
    assert (made.steady_since(), made.unsteady()) == (None, "")
