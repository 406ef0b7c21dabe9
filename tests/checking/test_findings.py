"""What the checks say, to the letter, with the events they point at: reports print it and people act on it."""

from dataclasses import replace

import pytest

from harness.checking import containment, effect, hygiene, redundancy, steady_state
from harness.checking.judge import judge
from harness.checking.moments import moments
from harness.checking.timeliness import since
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED
from harness.model.history import Mode, Name, Phase
from harness.model.objectives import HumanTimes
from harness.model.units import milliseconds, seconds
from harness.model.verdict import Finding, Interval, Outcome, Status
from tests.checking.histories import at, history, outage, plus, step, terms, without

UP = outage()


def clean(trial):
    return list(hygiene.check(trial, moments(trial)))


def said(trial, check):
    return [(f.why, f.evidence) for f in judge(trial).findings if f.check == check]


def lagging(*lags, base=None):
    base = base or history()
    late = tuple(replace(s, sent=s.sent + milliseconds(lag)) for s, lag in zip(base.samples, lags, strict=False))
    return replace(base, samples=(*late, *base.samples[len(late) :]))


def test_a_fit_instrument_tells_its_figures():
    judged = [s for s in history().samples if at(-5) <= s.scheduled < at(20)]
    assert len(judged) == 1000
    base = replace(history(), samples=tuple(judged))
    told = clean(lagging(*([20] * 20), 30, 31, base=base))
    assert told == [Finding("hygiene", Outcome.PASSED, "1000 samples, lag p99 20 ms, max 31 ms")]
    assert clean(replace(base, samples=base.samples[-1:]))[0].outcome is Outcome.INVALID


def test_an_instrument_that_had_nothing_to_measure_tells_no_figures():
    never_steady = without(replace(history(), samples=()), Name.STEADY)
    assert clean(never_steady) == [Finding("hygiene", Outcome.PASSED, "0 samples")]


@pytest.mark.parametrize(("count", "fit"), [(10, True), (11, False)])
def test_one_sample_in_a_hundred_may_lag_by_more_than_a_period(count, fit):
    base = replace(history(), samples=tuple(s for s in history().samples if at(-5) <= s.scheduled < at(20)))
    assert (clean(lagging(*([60] * count), base=base))[0].outcome is Outcome.PASSED) is fit


def test_a_starved_prober_tells_by_how_much():
    base = replace(history(), samples=tuple(s for s in history().samples if at(-5) <= s.scheduled < at(20)))
    assert [f.why for f in clean(lagging(300, *([70] * 30), base=base))] == [
        "the prober was starved: lag p99 70 ms, max 300 ms (at most 50 ms and 250 ms)"
    ]


def test_a_silent_prober_tells_for_how_long():
    base = history()
    kept = tuple(s for s in base.samples if not at(14) <= s.scheduled < at(15))
    assert [f.why for f in clean(replace(base, samples=kept))] == [
        "no samples of `read` (fresh) for 1.1 s",
        "no samples of `read` (pooled) for 1.1 s",
    ]
    ended = tuple(s for s in base.samples if s.scheduled < at(15))
    assert clean(replace(base, samples=ended))[0].why == "no samples of `read` (fresh) in the last 5.0 s"


@pytest.mark.parametrize(("last", "fit"), [(17.75, True), (17.7, False)])
def test_the_last_answers_may_be_missing_for_as_long_as_they_may_take_and_five_periods(last, fit):
    kept = tuple(s for s in history().samples if s.mode is not Mode.FRESH or s.scheduled <= at(last))
    assert (clean(replace(history(), samples=kept))[0].outcome is Outcome.PASSED) is fit


def test_an_indicator_asked_once_is_told_to_have_ended():
    only = tuple(s for s in history().samples if s.scheduled < at(-4.97))[-2:]
    assert "in the last" in clean(replace(history(), samples=only))[0].why


@pytest.mark.parametrize(
    ("trial", "told"),
    [
        (
            plus(history(), 12, Name.HARNESS, Phase.FAIL),
            ("the harness had trouble of its own: no reason given", 1),
        ),
        (plus(history(), 12, Name.INSTRUMENT, Phase.FAIL), ("a worker died: no reason given", 1)),
        (
            without(history(), Name.TRIAL, Phase.OK),
            ("the record ends before the trial does: the harness was stopped", 0),
        ),
        (without(history(), Name.OBSERVED), ("the record does not say until when the system was watched", 0)),
        (
            without(history(BASELINE, UP), Name.OBSERVED),
            ("the record does not say until when the system was watched", 0),
        ),
    ],
)
def test_what_is_missing_from_a_record_is_told(trial, told):
    (only,) = [f for f in clean(trial) if "samples" not in f.why]
    assert (only.why, len(only.evidence), only.outcome) == (*told, Outcome.INVALID)


def test_remarks_of_the_harness_and_odd_figures_are_no_trouble():
    assert clean(plus(history(), 12, Name.HARNESS, Phase.INFO))[0].outcome is Outcome.PASSED
    assert clean(plus(history(), 12, Name.INSTRUMENT, Phase.INFO, dropped="none"))[0].outcome is Outcome.PASSED


@pytest.mark.parametrize("missing", [Name.STEADY, Name.FAULT])
def test_a_trial_that_stopped_before_there_was_anything_to_watch_is_not_blamed_for_not_watching(missing):
    stopped = without(without(history(), Name.OBSERVED), missing, Phase.OK)
    assert not any("until when" in f.why for f in clean(stopped))


def test_containment_is_told_with_its_evidence():
    whole = history()
    healed = next(e.index for e in whole.events if e.name is Name.HEAL)
    passed = Finding("containment", Outcome.PASSED, "nothing was aborted, and the fault was undone", (healed,))
    assert list(containment.check(whole)) == [passed]
    assert list(containment.check(history(SHAM, UP))) == [Finding("containment", Outcome.PASSED, "nothing was aborted")]
    aborted = plus(whole, 30, Name.ABORT, Phase.INFO)
    last = len(aborted.events) - 1
    assert list(containment.check(aborted)) == [
        Finding("containment", Outcome.FAILED, "the trial was aborted: no reason given", (last,))
    ]
    begun = plus(without(whole, Name.HEAL), 20.1, Name.HEAL, Phase.INVOKE)
    assert list(containment.check(begun)) == [
        Finding("containment", Outcome.INVALID, "the record does not say that the fault was undone", (2,))
    ]
    assert list(containment.check(plus(history(SHAM, UP), 1, Name.FAULT, Phase.FAIL))) == [
        Finding("containment", Outcome.PASSED, "nothing was aborted")
    ]


def test_redundancy_is_told_with_its_evidence():
    def told(trial):
        return list(redundancy.check(trial, moments(trial)))

    assert told(history()) == []
    back = plus(history(), 30, Name.REDUNDANCY, Phase.OK)
    last = len(back.events) - 1
    assert told(back) == [
        Finding("redundancy", Outcome.PASSED, "standbys and headroom were back 30 s after the fault call", (last,))
    ]
    early = plus(history(SHAM, UP), -1, Name.REDUNDANCY, Phase.OK)
    assert told(early)[0].why == "standbys and headroom were back 0 s after the fault call"
    gone = plus(history(), 30, Name.REDUNDANCY, Phase.FAIL)
    assert told(gone) == [
        Finding("redundancy", Outcome.INCONCLUSIVE, "service runs without redundancy: standbys are not back", (last,))
    ]
    watched = plus(history(), 30, Name.REDUNDANCY, Phase.INVOKE)
    assert told(watched) == [Finding("redundancy", Outcome.PASSED, "redundancy was never seen to be lost", (last,))]
    again = plus(plus(gone, 31, Name.REDUNDANCY, Phase.OK), 32, Name.REDUNDANCY, Phase.FAIL, why="no standby")
    assert moments(plus(gone, 31, Name.REDUNDANCY, Phase.OK)).redundant == at(31)
    assert moments(again).redundant is None
    assert told(again)[0].why == "service runs without redundancy: no standby"


@pytest.mark.parametrize(
    ("limit", "back", "outcome"),
    [
        (30, 30, Outcome.PASSED),
        (29.9, 30, Outcome.FAILED),
        (5, None, Outcome.FAILED),  # watched for longer
        (500, None, Outcome.INCONCLUSIVE),  # not watched for so long
    ],
)
def test_redundancy_decides_where_it_has_an_objective(limit, back, outcome):
    trial = plus(history(), 1, Name.REDUNDANCY, Phase.FAIL, why="no standby")
    trial = trial if back is None else plus(trial, back, Name.REDUNDANCY, Phase.OK)
    own = trial.header.terms
    own = replace(own, recovery=replace(own.recovery, redundancy=seconds(limit)))
    trial = replace(trial, header=replace(trial.header, terms=own))
    [finding] = redundancy.check(trial, moments(trial))
    assert finding.outcome is outcome
    assert "(objective" in finding.why
    assert judge(trial).outcome is outcome
    unseen = replace(history(), header=trial.header)
    assert [f.outcome for f in redundancy.check(unseen, moments(unseen))] == [Outcome.INCONCLUSIVE]


def test_the_effect_is_told_with_its_evidence():
    assert said(history(down=UP), "effect")[0][1] == (2, 3)
    bare = without(history(), Name.FAULT, Phase.OK)
    assert said(plus(bare, 0.1, Name.FAULT, Phase.FAIL), "effect") == [
        ("the fault was not felt: no reason given", (2, 3))
    ]
    assert said(plus(bare, 0.1, Name.FAULT, Phase.OK), "effect")[0][0].startswith("felt; users' probes")
    two = plus(bare, 0.1, Name.FAULT, Phase.OK, table="orders", rows=3)
    assert said(two, "effect")[0][0].startswith("felt (table orders, rows 3); users'")
    assert said(history(down=outage((0, 4))), "effect")[0][0].endswith("failed from 0 s after the call")
    late = plus(without(history(), Name.FAULT), 0.1, Name.FAULT, Phase.OK)
    assert said(late, "effect")[0][0] == "the fault was not injected"
    assert list(effect.check(history(SHAM, UP), moments(history(SHAM, UP)), None)) == []


def test_a_fault_whose_call_never_returned_is_not_one_that_never_broke():
    assert judge(without(history(down=UP), Name.FAULT, Phase.OK)).status is Status.INVALID


def test_steadiness_is_told_with_its_evidence():
    assert said(history(), "steady_state") == [("every objective held for 5 s before", (1,))]
    assert said(without(history(), Name.STEADY), "steady_state") == [
        ("the history does not say that the system was steady", ())
    ]
    failed = plus(without(history(), Name.STEADY), -0.1, Name.STEADY, Phase.FAIL, why="slow")
    assert said(failed, "steady_state") == [("slow", (1,))]
    both = plus(history(), -5, Name.STEADY, Phase.FAIL, why="slow")
    assert [f.outcome for f in steady_state.check(both, moments(both))] == [Outcome.INVALID]


def test_what_an_arm_shows_is_told_with_where_observation_ended():
    observed = next(e.index for e in history().events if e.name is Name.OBSERVED)
    assert said(history(), "recovery") == [("service was back after 3.96 to 4.01 s (RTO 10 s)", (observed,))]
    stuck = history(CONTROL, outage((0.2, 30)))
    assert said(stuck, "recovery")[0][0] == (
        "nothing was done about the fault; service had not recovered when observation ended (more than 20.0 s, RTO 10 s)"
    )
    assert said(history(SHAM, UP), "recovery")[0][0] == "no objective was broken"


def test_a_time_that_began_before_its_start_is_nothing():
    assert since(Interval(3, 9), 5) == Interval(0, 4)
    assert since(Interval(3, 4), 5) == Interval(0, 0)
    assert since(Interval(3, None), 1) == Interval(2, None)


def test_a_step_begun_at_the_very_start_and_at_the_very_end_of_the_outage_is_a_persons_time():
    judged = terms(steps=(step(0),), human=HumanTimes())
    with_first = plus(history(TREATED, judged=judged), 1, Name.STEP, Phase.INVOKE, step=0)
    with_last = plus(history(TREATED, judged=judged), 4.0125, Name.STEP, Phase.INVOKE, step=0)
    after = plus(history(TREATED, judged=judged), 4.02, Name.STEP, Phase.INVOKE, step=0)
    humans = [judge(t).rta.human for t in (with_first, with_last, after)]
    assert humans == [seconds(330), seconds(330), seconds(315)]
