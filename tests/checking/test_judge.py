import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checking import judge as judging
from harness.checking import procedure
from harness.checking.judge import judge
from harness.model.design import ARMS, BASELINE, CONTROL, SHAM, TREATED
from harness.model.history import Event, Mode, Name, Phase
from harness.model.objectives import HumanTimes, Objective
from harness.model.units import milliseconds, seconds
from harness.model.verdict import Interval, Outcome, Status
from tests.checking.histories import (
    at,
    history,
    outage,
    plus,
    reading,
    samples,
    step,
    terms,
    with_ledger,
    without,
    write,
)


def finding(verdict, check):
    return next(f for f in verdict.findings if f.check == check)


def test_a_treated_trial_that_recovers_in_time_passes():
    verdict = judge(history())
    assert (verdict.outcome, verdict.status, verdict.trial) == (Outcome.PASSED, Status.OK, "treated-1")
    assert all(f.outcome is Outcome.PASSED for f in verdict.findings)
    assert [f.check for f in verdict.findings] == [
        "hygiene",
        "steady_state",
        "effect",
        "recovery",
        "procedure",
        "containment",
    ]
    assert finding(verdict, "recovery").why == "service was back after 3.96 to 4.01 s (RTO 10 s)"


def test_the_timeline_is_told_in_the_words_of_measurement():
    timings = judge(plus(history(), 5, Name.REDUNDANCY, Phase.OK)).timings
    assert timings.call == at(0)
    assert timings.felt == at(0.05)
    assert timings.onset == Interval(at(0.15), at(0.2))
    assert timings.detected == at(0.7) + seconds(1)
    assert timings.started == at(1)
    assert timings.first_good == at(4.0125)
    assert timings.recovered == Interval(at(3.9625), at(4.0125))
    assert timings.redundant == at(5)
    assert timings.ended == at(20)
    assert timings.bad_seconds == pytest.approx(3.8)
    assert timings.episodes == 1


def test_recovery_time_is_counted_from_the_call_from_the_users_and_from_the_first_command():
    rta = judge(history()).rta
    assert rta is not None
    assert rta.fault == Interval(seconds(3.9625), seconds(4.0125))
    assert rta.user == Interval(seconds(3.7625), seconds(3.8625))
    assert rta.procedure == Interval(seconds(2.9625), seconds(3.0125))


@pytest.mark.parametrize(
    ("rto", "status", "outcome"),
    [
        (4.0125, Status.OK, Outcome.PASSED),
        (4.0, Status.MISS, Outcome.INCONCLUSIVE),
        (3.9625, Status.MISS, Outcome.INCONCLUSIVE),
        (3.96, Status.MISS, Outcome.FAILED),
    ],
)
def test_the_whole_bracket_is_held_against_the_rto(rto, status, outcome):
    verdict = judge(history(judged=terms(rto=rto)))
    assert (verdict.status, verdict.outcome) == (status, outcome)


def test_what_does_not_recover_although_the_procedure_was_followed_to_its_end_fails():
    verdict = judge(history(down=outage((0.2, 30)), judged=terms(rto=1800)))
    assert (verdict.status, verdict.outcome) == (Status.CENSORED, Outcome.FAILED)
    assert finding(verdict, "recovery").why.endswith("17 s after the procedure had been followed to its end")
    assert verdict.rta is not None
    assert verdict.rta.fault == Interval(seconds(19.9625), None)
    assert verdict.rta.user is not None
    assert verdict.rta.user.hi is None


def test_what_does_not_recover_within_the_rto_fails_however_the_procedure_ended():
    cut = without(history(down=outage((0.2, 30))), Name.PROCEDURE, Phase.OK)
    assert judge(cut).outcome is Outcome.FAILED


def test_a_procedure_that_was_cut_off_before_the_rto_was_over_tells_nothing():
    cut = without(history(down=outage((0.2, 30)), judged=terms(rto=1800)), Name.PROCEDURE, Phase.OK)
    verdict = judge(cut)
    assert (verdict.status, verdict.outcome) == (Status.CENSORED, Outcome.INCONCLUSIVE)
    assert "cut off too early" in finding(verdict, "recovery").why


@pytest.mark.parametrize(("ended", "outcome"), [(11, Outcome.FAILED), (10.9, Outcome.INCONCLUSIVE)])
def test_after_its_end_window_and_hold_must_have_been_watched(ended, outcome):
    short = history(down=outage((0.2, 30)), judged=terms(rto=1800), observed=ended)
    assert judge(short).outcome is outcome


def test_what_was_coming_back_when_observation_ended_tells_nothing():
    verdict = judge(history(down=outage((0.2, 15)), judged=terms(rto=1800)))
    assert (verdict.status, verdict.outcome) == (Status.CENSORED, Outcome.INCONCLUSIVE)
    assert "it was coming back when observation ended" in finding(verdict, "recovery").why
    assert judge(history(down=outage((0.2, 18)), judged=terms(rto=1800))).outcome is Outcome.FAILED


def test_it_was_coming_back_if_half_a_window_had_been_good():
    half = history(CONTROL, outage((0.2, 17.5)), judged=terms(rto=1800))
    assert judge(half).outcome is Outcome.INCONCLUSIVE
    assert judge(history(CONTROL, outage((0.2, 17.6)), judged=terms(rto=1800))).outcome is Outcome.PASSED
    told = finding(judge(half), "recovery").why
    assert told.startswith("service had not recovered when observation ended (more than 17.5 s, RTO 30 min);")


@pytest.mark.parametrize(
    ("down", "rto", "status", "outcome"),
    [
        (outage((0.2, 30)), 10, Status.CENSORED, Outcome.PASSED),
        (outage((0.2, 4)), 10, Status.OK, Outcome.FAILED),
        (outage((0.2, 4)), 3, Status.MISS, Outcome.PASSED),
        (outage((0.2, 4)), 4, Status.MISS, Outcome.INCONCLUSIVE),
        (outage((0.2, 15)), 1800, Status.CENSORED, Outcome.INCONCLUSIVE),
        (outage((0.2, 15)), 10, Status.CENSORED, Outcome.PASSED),
    ],
)
def test_the_control_is_expected_not_to_recover_in_time(down, rto, status, outcome):
    verdict = judge(history(CONTROL, down, judged=terms(rto=rto)))
    assert (verdict.status, verdict.outcome) == (status, outcome)
    assert verdict.rta is not None
    assert verdict.rta.procedure is None
    assert verdict.rta.human == 0


@pytest.mark.parametrize("arm", [SHAM, BASELINE])
def test_without_a_fault_nothing_is_expected_to_break(arm):
    verdict = judge(history(arm, outage()))
    assert (verdict.outcome, verdict.status, verdict.rta) == (Outcome.PASSED, Status.NO_BREACH, None)
    assert verdict.timings.bad_seconds == 0
    assert verdict.timings.episodes == 0


@pytest.mark.parametrize(
    ("arm", "down", "outcome"),
    [
        (SHAM, outage((1.2, 4)), Outcome.PASSED),
        (SHAM, outage((1.2, 12)), Outcome.FAILED),
        (SHAM, outage((1.2, 30)), Outcome.FAILED),
        (BASELINE, outage((1.2, 4)), Outcome.FAILED),
    ],
)
def test_a_procedure_alone_may_interrupt_service_within_the_rto_and_nothing_may_without_one(arm, down, outcome):
    assert judge(history(arm, down)).outcome is outcome


def test_the_interruption_by_a_procedure_alone_is_counted_from_its_first_command():
    assert judge(history(SHAM, outage((1.2, 10.9)))).status is Status.OK
    assert judge(history(SHAM, outage((1.2, 11.2)))).status is Status.MISS


def test_a_fault_that_users_never_noticed_is_no_test():
    verdict = judge(history(down=outage()))
    assert (verdict.outcome, verdict.status) == (Outcome.INVALID, Status.NO_BREACH)
    assert finding(verdict, "effect").why == (
        "the target felt the fault, and the users' probes never noticed: felt (sessions 20)"
    )


def test_a_fault_that_was_not_felt_is_no_test_even_if_service_broke():
    unfelt = plus(without(history(), Name.FAULT, Phase.OK), 0.1, Name.FAULT, Phase.FAIL, why="no sessions")
    verdict = judge(unfelt)
    assert (verdict.outcome, verdict.status) == (Outcome.INVALID, Status.INVALID)
    assert finding(verdict, "effect").why == "the fault was not felt: no sessions"


def test_a_fault_that_was_not_injected_is_no_test():
    verdict = judge(without(history(), Name.FAULT))
    assert verdict.outcome is Outcome.INVALID
    assert finding(verdict, "effect").why == "the fault was not injected"
    half = judge(without(history(), Name.FAULT, Phase.OK))
    assert finding(half, "effect").why == "the history ends while the fault is injected"


def test_the_effect_is_told_with_its_evidence_and_when_users_felt_it():
    told = finding(judge(history()), "effect")
    assert told.why == "felt (sessions 20); users' probes failed from 200 ms after the call"
    assert told.evidence == (2, 3)


def test_a_system_that_was_not_steady_before_is_no_test():
    assert judge(history(down=outage((-3, -2.5), (0.2, 4)))).outcome is Outcome.INVALID
    assert judge(history(down=outage((-3, -2.75), (0.2, 4)))).outcome is Outcome.PASSED
    assert judge(history(down=outage((-6, -5.1), (0.2, 4)))).outcome is Outcome.PASSED
    unsteady = judge(plus(without(history(), Name.STEADY), -0.1, Name.STEADY, Phase.FAIL, why="too slow"))
    assert (unsteady.outcome, unsteady.status) == (Outcome.INVALID, Status.INVALID)
    assert finding(unsteady, "steady_state").why == "too slow"
    assert judge(without(history(), Name.STEADY)).outcome is Outcome.INVALID


def test_why_it_was_not_steady_is_told():
    told = finding(judge(history(down=outage((-3, -2.5), (0.2, 4)))), "steady_state").why
    assert (
        told
        == "not steady in the 5 s before: `read` (fresh): 10 of 100 bad, 5 allowed; `read` (pooled): 10 of 100 bad, 5 allowed"
    )


def slowed(lag, every=50):
    base = history()
    late = tuple(
        replace(s, sent=s.sent + milliseconds(lag)) if n % every == 0 else s for n, s in enumerate(base.samples)
    )
    return replace(base, samples=late)


@pytest.mark.parametrize(
    ("lag", "every", "fit"),
    [(250, 200, True), (251, 200, False), (50, 1, True), (51, 1, False), (60, 50, False), (60, 200, True)],
)
def test_a_prober_that_lagged_makes_the_trial_invalid(lag, every, fit):
    verdict = judge(slowed(lag, every))
    assert verdict.outcome is (Outcome.PASSED if fit else Outcome.INVALID)
    if not fit:
        assert "the prober was starved: lag p99" in finding(verdict, "hygiene").why
        assert verdict.status is Status.INVALID


def test_lag_before_the_time_that_is_judged_does_not_matter():
    base = history()
    late = tuple(replace(s, sent=s.sent + seconds(2)) if s.scheduled < at(-5) else s for s in base.samples)
    assert judge(replace(base, samples=late)).outcome is Outcome.PASSED


@pytest.mark.parametrize(("gap", "fit"), [(0.2, True), (0.25, False)])
def test_a_prober_that_fell_silent_makes_the_trial_invalid(gap, fit):
    base = history()
    kept = tuple(s for s in base.samples if not at(14) <= s.scheduled < at(14 + gap))
    assert judge(replace(base, samples=kept)).outcome is (Outcome.PASSED if fit else Outcome.INVALID)


def test_a_prober_that_ended_early_makes_the_trial_invalid():
    base = history()
    assert (
        judge(replace(base, samples=tuple(s for s in base.samples if s.scheduled < at(18)))).outcome is Outcome.PASSED
    )
    ended = judge(replace(base, samples=tuple(s for s in base.samples if s.scheduled < at(17.7))))
    assert ended.outcome is Outcome.INVALID
    assert "in the last 2.4 s" in finding(ended, "hygiene").why


def test_an_indicator_without_samples_makes_the_trial_invalid():
    verdict = judge(history(judged=terms(Objective("read"), Objective("write"))))
    assert verdict.outcome is Outcome.INVALID
    assert [f.why for f in verdict.findings if f.check == "hygiene"] == [
        "no samples of `write` (fresh)",
        "no samples of `write` (pooled)",
    ]


@pytest.mark.parametrize(
    ("phase", "data", "why"),
    [
        (Phase.FAIL, {"worker": "prober", "why": "status 1"}, "prober died: status 1"),
        (Phase.INFO, {"worker": "ledger", "dropped": 3}, "ledger could not send 3 of what was due"),
        (Phase.INFO, {"worker": "prober", "suspended_ns": seconds(2)}, "the machine slept for 2 s"),
    ],
)
def test_an_instrument_that_failed_makes_the_trial_invalid(phase, data, why):
    verdict = judge(plus(history(), 12, Name.INSTRUMENT, phase, **data))
    assert verdict.outcome is Outcome.INVALID
    assert finding(verdict, "hygiene").why == why


def test_an_instrument_that_dropped_nothing_is_believed():
    assert judge(plus(history(), 12, Name.INSTRUMENT, Phase.INFO, worker="prober", dropped=0)).outcome is Outcome.PASSED


def test_the_harness_own_trouble_is_never_the_runbooks():
    verdict = judge(plus(history(down=outage((0.2, 30))), 12, Name.HARNESS, Phase.FAIL, why="no space"))
    assert verdict.outcome is Outcome.INVALID
    assert finding(verdict, "hygiene").why == "the harness had trouble of its own: no space"


def test_a_record_that_ends_early_is_no_evidence():
    cut = judge(without(history(), Name.TRIAL, Phase.OK))
    assert cut.outcome is Outcome.INVALID
    unwatched = judge(without(history(), Name.OBSERVED))
    assert "does not say until when" in finding(unwatched, "hygiene").why


def test_a_clock_that_goes_backwards_makes_the_trial_invalid():
    base = history()
    last = replace(base.events[-1], at=at(1))
    verdict = judge(replace(base, events=(*base.events[:-1], last)))
    assert finding(verdict, "hygiene").why == "the clock went backwards by 19.1 s"


def test_probes_that_could_not_be_sent_make_the_trial_invalid():
    base = history()
    full = tuple(replace(s, reason="saturated") if s.scheduled == at(2) else s for s in base.samples)
    assert finding(judge(replace(base, samples=full)), "hygiene").why == (
        "1 probes were not sent because too many were unanswered"
    )


def test_a_trial_that_was_not_steady_needs_no_samples_of_what_came_later():
    stopped = without(without(history(), Name.OBSERVED), Name.STEADY, Phase.OK)
    verdict = judge(replace(plus(stopped, -0.1, Name.STEADY, Phase.FAIL, why="slow"), samples=()))
    assert finding(verdict, "hygiene").outcome is Outcome.PASSED
    assert verdict.status is Status.INVALID


def test_an_abort_fails_the_trial_and_a_fault_not_undone_invalidates_it():
    aborted = judge(plus(history(), 15, Name.ABORT, Phase.INFO, why="too many errors"))
    assert aborted.outcome is Outcome.FAILED
    assert finding(aborted, "containment").why == "the trial was aborted: too many errors"
    unhealed = judge(without(history(), Name.HEAL))
    assert unhealed.outcome is Outcome.INVALID
    assert unhealed.status is Status.INVALID


def test_missing_redundancy_is_told_and_does_not_decide():
    verdict = judge(plus(history(), 15, Name.REDUNDANCY, Phase.FAIL, why="no standby"))
    assert verdict.outcome is Outcome.PASSED
    assert finding(verdict, "redundancy").outcome is Outcome.INCONCLUSIVE
    assert finding(judge(plus(history(), 15, Name.REDUNDANCY, Phase.OK)), "redundancy").why == (
        "standbys and headroom were back 15 s after the fault call"
    )


def test_loss_decides_in_the_treated_arm_and_is_only_told_of_the_control():
    writes = [write(n, -5 + n * 0.05) for n in range(100)]
    treated = judge(with_ledger(history(judged=terms(rpo=0)), writes, reading(range(90))))
    control = judge(with_ledger(history(CONTROL, outage((0.2, 30)), judged=terms(rpo=0)), writes, reading(range(90))))
    assert treated.outcome is Outcome.FAILED
    assert control.outcome is Outcome.PASSED
    assert finding(control, "durability").outcome is Outcome.FAILED
    assert treated.loss is not None
    assert treated.loss.lost == 10
    assert treated.status is Status.OK


def test_a_broken_command_fails_the_treated_trial():
    broken = history(ran=[{"phase": "fail", "status": 127, "stderr": "x: command not found"}])
    assert judge(broken).outcome is Outcome.FAILED
    assert judge(broken).status is Status.OK


def test_peoples_time_is_added_up_to_recovery_and_kept_apart():
    steps = (step(0), step(1, what="manual"), step(2, what="skipped"), step(3))
    people = HumanTimes(acknowledge=seconds(300), manual=seconds(60), command=seconds(15))
    judged = terms(steps=steps, human=people)
    ran = [{}, {"phase": "info"}, {"phase": "info"}, {}]
    verdict = judge(history(judged=judged, ran=ran))
    assert verdict.rta is not None
    assert verdict.rta.human == seconds(300 + 15 + 60 + 15)
    early = judge(history(down=outage((0.2, 1.25)), judged=judged, ran=ran))
    assert early.rta is not None
    assert early.rta.human == seconds(300 + 15 + 60)
    never = judge(history(down=outage((0.2, 30)), judged=judged, ran=ran))
    assert never.rta is not None
    assert never.rta.human == seconds(300 + 15 + 60 + 15)


def test_a_declared_detection_time_counts_as_far_as_it_is_longer_than_the_measured():
    def human(detect):
        verdict = judge(history(judged=terms(human=HumanTimes(acknowledge=0, command=0, detect=seconds(detect)))))
        assert verdict.rta is not None
        return verdict.rta.human

    assert human(61.7) == seconds(60)
    assert human(1) == 0


def test_people_are_not_counted_for_the_preparation():
    before = plus(history(), -2, Name.STEP, Phase.INVOKE, step=0)
    assert judge(before).rta == judge(history()).rta


def test_a_check_that_crashes_is_inconclusive_and_never_a_pass(monkeypatch):
    def crash(*_):
        raise ZeroDivisionError("division by zero")
        yield

    monkeypatch.setattr(procedure, "check", crash)
    verdict = judge(history())
    assert (verdict.outcome, verdict.status) == (Outcome.INCONCLUSIVE, Status.OK)
    assert finding(verdict, "procedure").outcome is Outcome.INCONCLUSIVE
    assert finding(verdict, "procedure").why == "the check itself failed: ZeroDivisionError: division by zero"
    assert judge(history(CONTROL, outage((0.2, 30)))).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("part", ["_outage", "moments"])
def test_a_crash_before_the_checks_leaves_no_status_to_count(monkeypatch, part):
    def crash(*_):
        raise KeyError("read")

    monkeypatch.setattr(judging, part, crash)
    verdict = judge(history())
    assert verdict.status is Status.INVALID
    assert verdict.outcome is not Outcome.PASSED
    assert verdict.findings[0].why == "the check itself failed: KeyError: 'read'"


def test_crashes_while_the_figures_are_made_are_told(monkeypatch):
    def crash(*_, **__):
        raise ValueError("no figures")

    monkeypatch.setattr(judging, "human", crash)
    verdict = judge(history())
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.findings[0].why == "the check itself failed: ValueError: no figures"


@pytest.mark.parametrize("arm", ARMS)
def test_an_empty_history_is_invalid_and_not_an_error(arm):
    verdict = judge(replace(history(arm), events=(), samples=()))
    assert (verdict.outcome, verdict.status) == (Outcome.INVALID, Status.INVALID)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(ARMS),
    st.lists(st.sampled_from([(n.value, p.value) for n in Name for p in Phase]), max_size=12),
    st.lists(st.tuples(st.floats(-8, 20), st.floats(0, 6)), max_size=4),
)
def test_no_history_makes_it_raise_and_judging_twice_is_judging_once(arm, log, spans):
    made = tuple(Event(n, at(n), "x", Phase(p), Name(e), {"step": 0}) for n, (e, p) in enumerate(log))
    base = history(arm, outage(*((a, a + b) for a, b in spans)))
    broken = replace(base, events=made)
    verdict = judge(broken)
    assert judge(broken) == verdict
    assert not any("the check itself failed" in f.why for f in verdict.findings)
    assert judge(replace(broken, samples=broken.samples[::-1])) == verdict


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9), st.text(max_size=5))
def test_events_that_no_check_names_change_nothing(place, text):
    for arm, down in ((TREATED, outage((0.2, 4))), (CONTROL, outage((0.2, 30)))):
        base = history(arm, down)
        more = plus(base, place, Name.ENVIRONMENT, Phase.INFO, text=text)
        without_evidence = [replace(f, evidence=()) for f in judge(more).findings]
        assert without_evidence == [replace(f, evidence=()) for f in judge(base).findings]
        assert judge(more).rta == judge(base).rta


def test_samples_after_observation_has_ended_change_nothing():
    base = history()
    after = samples(outage((20, 30)), start=20, end=30)
    assert judge(replace(base, samples=base.samples + after)) == judge(base)


def test_a_minute_of_four_streams_takes_less_than_a_twentieth_of_a_second_of_cpu_to_judge():
    judged = terms(Objective("read"), Objective("write"), horizon=60)
    base = history(judged=judged, observed=60)
    more = samples(outage((0.2, 4)), end=60, indicator="write", modes=tuple(Mode))
    full = replace(base, samples=base.samples + more)
    took = []
    for _ in range(5):
        begun = time.process_time()
        judge(full)
        took.append(time.process_time() - begun)
    assert min(took) < 0.05
