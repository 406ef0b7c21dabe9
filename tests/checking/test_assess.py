from dataclasses import replace

import pytest

from harness.checking.assess import assess, summary
from harness.checking.judge import judge
from harness.checking.limits import limits as limits_of
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED
from harness.model.objectives import HumanTimes
from harness.model.units import seconds
from harness.model.verdict import Alerted, ArmSummary, Finding, Interval, Outcome, Status, Verdict, Word
from tests.checking.histories import history, outage, reading, terms, with_ledger, write

BACK, NEVER, FINE = outage((0.2, 4)), outage((0.2, 30)), outage()
GOOD, DOWN = history(), history(CONTROL, NEVER)
PATIENT = terms(rto=1800)


def assessed(*histories, **how):
    return assess("shop/pool", [judge(h) for h in histories], histories, **how)


def test_an_effective_procedure_passes():
    got = assessed(GOOD, DOWN)
    assert (got.scenario, got.word, got.outcome) == ("shop/pool", Word.EFFECTIVE, Outcome.PASSED)
    assert (got.effective, got.necessary, got.harmless) == (True, True, None)
    assert got.rta == Interval(seconds(3.9625), seconds(4.0125))
    assert got.human == 0
    assert got.rpa is None
    assert len(got.verdicts) == 2


@pytest.mark.parametrize(
    ("histories", "expect", "outcome", "told"),
    [
        ((GOOD, DOWN), None, Outcome.PASSED, ""),
        ((GOOD, DOWN), Word.EFFECTIVE, Outcome.PASSED, " (as expected, because of X)"),
        ((history(down=NEVER), DOWN), None, Outcome.FAILED, ""),
        ((history(down=NEVER), DOWN), Word.INEFFECTIVE, Outcome.PASSED, " (as expected, because of X)"),
        (
            (GOOD, DOWN),
            Word.INEFFECTIVE,
            Outcome.FAILED,
            " (expected to be ineffective, because of X; if the text was mended, remove the expectation)",
        ),
        ((GOOD,), None, Outcome.INCONCLUSIVE, ""),
        ((GOOD,), Word.INEFFECTIVE, Outcome.INCONCLUSIVE, ""),
        ((GOOD,), Word.INCONCLUSIVE, Outcome.INCONCLUSIVE, ""),
        ((history(down=FINE), DOWN), Word.INVALID, Outcome.INVALID, ""),
        ((history(down=FINE), DOWN), None, Outcome.INVALID, ""),
        ((GOOD, history(CONTROL, BACK)), None, Outcome.FAILED, ""),
    ],
)
def test_what_was_expected_passes_if_and_only_if_it_is_what_was_found(histories, expect, outcome, told):
    got = assessed(*histories, expect=expect, because="of X")
    plain = assessed(*histories)
    assert got.outcome is outcome
    assert got.why == plain.why + (told if expect else "")


def test_an_expectation_needs_no_reason():
    assert assessed(GOOD, DOWN, expect=Word.EFFECTIVE).why.endswith("(as expected)")


def verdict(status, arm=TREATED, trial="treated-1"):
    outcome = {Status.OK: Outcome.PASSED, Status.MISS: Outcome.FAILED, Status.CENSORED: Outcome.FAILED}
    return Verdict(trial, arm, outcome.get(status, Outcome.INVALID), status, ())


def test_an_arm_is_summed_up_with_the_clopper_pearson_limit_over_what_counts():
    statuses = [Status.OK] * 9 + [Status.MISS, Status.INVALID, Status.NO_BREACH]
    got = summary(TREATED, [verdict(s) for s in statuses])
    assert replace(got, bound=0) == ArmSummary(TREATED, 12, ok=9, miss=1, censored=0, no_breach=1, invalid=1)
    assert got.bound == pytest.approx(0.6058, abs=1e-4)
    censored = summary(TREATED, [verdict(Status.OK), verdict(Status.CENSORED)])
    assert (censored.censored, round(censored.bound, 4)) == (1, 0.0253)


def test_only_arms_that_were_run_are_summed_up_in_their_order():
    got = assessed(GOOD, DOWN, history(BASELINE, FINE))
    assert [a.arm for a in got.arms] == [BASELINE, CONTROL, TREATED]
    assert [a.n for a in got.arms] == [1, 1, 1]


def test_the_interval_over_several_trials_spans_them_all():
    got = assessed(GOOD, history(down=outage((0.2, 6))), DOWN)
    assert got.rta == Interval(seconds(3.9625), seconds(6.0125))


def test_the_interval_is_open_where_one_trial_did_not_recover():
    got = assessed(GOOD, history(down=NEVER), DOWN)
    assert got.rta == Interval(seconds(3.9625), None)


def test_trials_that_do_not_count_are_not_in_the_interval():
    unsteady = history(down=outage((-3, -2), (0.2, 9)))
    assert assessed(GOOD, unsteady, DOWN).rta == Interval(seconds(3.9625), seconds(4.0125))


WRITES = [write(n, -5 + n * 0.05) for n in range(100)]


def recorded(seen, *, arm=TREATED, down=BACK):
    return with_ledger(history(arm, down, judged=terms(rpo=5)), WRITES, reading(seen))


def test_loss_is_spanned_as_well():
    got = assessed(recorded(range(90)), recorded(range(95)), DOWN)
    assert got.rpa == Interval(seconds(0.245), seconds(0.545))


def test_nothing_recorded_is_said_to_be_nothing():
    got = assess("x", [], [])
    assert (got.word, got.outcome, got.limits) == (Word.INCONCLUSIVE, Outcome.INCONCLUSIVE, ("nothing was recorded",))
    assert (got.rta, got.human) == (None, 0)


def test_what_is_not_known_is_a_finding():
    told = [f.why for f in assessed(GOOD).findings]
    assert told == [
        "whether it is necessary is not known: the control arm was not run",
        "whether it is harmless is not known: the sham arm was not run",
    ]
    told = [f.why for f in assessed(GOOD, history(CONTROL, FINE), history(SHAM, FINE)).findings]
    assert told == ["whether it is necessary is not known: no control trial counts"]
    told = [f.why for f in assessed(GOOD, DOWN, history(CONTROL, BACK), history(SHAM, FINE)).findings]
    assert told == ["whether it is necessary is not known: the control trials do not settle it"]
    assert assessed(GOOD, DOWN, history(SHAM, FINE)).findings == ()


def limits(*histories, **how):
    return assessed(*histories, **how).limits


def test_all_that_bounds_the_claim_is_said():
    assert limits(GOOD, DOWN) == (
        "n = 1: 1 recovered within the RTO, so with 95% confidence at least 5% of such incidents do",
        "loss of data was not measured",
        "the sham arm was not run: it is not known what the procedure does to a healthy system",
        "the baseline arm was not run: that nothing breaks with nothing done rests on each trial's steady state before the fault",
        "measured on one machine, on simulated (simulated): other hosts and data sizes may recover in other times",
    )


def test_where_nothing_is_claimed_nothing_is_bounded_but_what_does_not_count_is():
    got = assessed(history(down=FINE), DOWN)
    assert (got.word, got.limits, got.findings) == (Word.INVALID, ("1 of 2 trials do not count and are left out",), ())


def test_what_the_scenario_says_of_itself_comes_first():
    assert limits(GOOD, DOWN, caveats=("a small table",))[0] == "a small table"


def test_several_trials_are_said_to_be_taken_as_independent_and_those_left_out_are_counted():
    got = limits(GOOD, GOOD, history(down=NEVER), history(down=FINE), DOWN)
    assert got[0] == (
        "n = 3: 2 recovered within the RTO, so with 95% confidence at least 14% of such incidents do, "
        "if trials are independent"
    )
    assert got[1] == "1 of 5 trials do not count and are left out"


def test_a_horizon_shorter_than_the_rto_does_not_exclude_that_it_heals_later():
    assert "the control was watched for 20 s: healing later, within the RTO of 30 min, is not excluded" in limits(
        history(judged=PATIENT), history(CONTROL, NEVER, judged=PATIENT)
    )
    assert not any("watched for" in limit for limit in limits(GOOD, DOWN))
    assert not any("watched for" in limit for limit in limits(history(judged=PATIENT)))
    exact = terms(rto=20)
    assert not any(
        "watched for" in limit for limit in limits(history(judged=exact), history(CONTROL, NEVER, judged=exact))
    )


def test_an_ineffective_procedure_may_have_worked_later():
    stuck = limits(history(down=NEVER, judged=PATIENT), history(CONTROL, NEVER, judged=PATIENT))
    assert "after 20 s nobody looked: a recovery later, within the RTO of 30 min, is not excluded" in stuck
    assert not any("nobody looked" in limit for limit in limits(history(judged=PATIENT)))


def test_peoples_time_is_told_with_what_it_makes_of_the_rto():
    quick = terms(human=HumanTimes(acknowledge=seconds(1), command=seconds(1)))
    assert "people's time is declared, not measured: 2 s, with which it takes 6.0 s" in limits(
        history(judged=quick), DOWN
    )
    stuck = limits(history(down=NEVER, judged=quick), DOWN)
    assert "people's time is declared, not measured: 2 s" in stuck
    none = terms(human=HumanTimes(acknowledge=0, command=0))
    assert not any("people" in limit for limit in limits(history(judged=none), DOWN))


def test_the_resolution_of_loss_and_what_no_loss_means_are_told():
    got = limits(recorded(range(100)), recorded(range(100)), DOWN)
    assert "a loss of less than 50 ms of writes could go unseen (RPA resolution)" in got
    assert "no loss in 2 trials still leaves up to 78% of incidents that lose data (95% confidence)" in got
    lossy = limits(recorded(range(100)), recorded(range(90)), DOWN)
    assert not any("no loss" in limit for limit in lossy)


def test_every_arm_that_was_run_is_not_said_to_be_missing():
    every = limits(GOOD, DOWN, history(SHAM, FINE), history(BASELINE, FINE))
    assert not any("was not run" in limit for limit in every)
    assert "the control arm was not run: it is not known whether the system heals by itself" in limits(GOOD)


def test_every_place_it_was_measured_on_is_told():
    other = replace(DOWN, header=replace(DOWN.header, substrate="local", isolation="namespaces"))
    assert "local (namespaces) and simulated (simulated)" in limits(GOOD, other)[-1]


def test_the_rpo_the_trials_were_judged_by_is_what_loss_is_held_against():
    control = recorded(range(100), arm=CONTROL, down=NEVER)
    assert assessed(recorded(range(90)), control).word is Word.EFFECTIVE
    without_rpo = [
        replace(h, header=replace(h.header, terms=replace(h.header.terms, recovery=terms().recovery)))
        for h in (recorded(range(90)), control)
    ]
    assert assessed(*without_rpo).word is Word.HARMFUL


def test_what_is_not_known_is_attributed_and_inconclusive():
    assert {(f.check, f.outcome) for f in assessed(GOOD).findings} == {("attribution", Outcome.INCONCLUSIVE)}


def test_an_expectation_is_not_mentioned_where_nothing_can_be_expected():
    assert assessed(GOOD, expect=Word.SLOW).why.endswith("so it is not known whether the system heals by itself")
    assert assessed(history(down=FINE), expect=Word.SLOW).why.endswith("(treated-1)")


def test_claims_are_passed_on():
    got = assessed(history(down=NEVER), history(CONTROL, BACK), history(SHAM, FINE))
    assert (got.effective, got.necessary, got.harmless) == (False, False, False)


def test_two_trials_are_already_several():
    assert limits(GOOD, GOOD, DOWN)[0].endswith(", if trials are independent")


def test_only_a_control_that_was_cut_off_is_said_to_have_been_watched():
    stuck = history(down=NEVER, judged=PATIENT)
    healed = history(CONTROL, BACK, judged=PATIENT)
    assert not any("the control was watched" in limit for limit in limits(stuck, healed))


def test_with_peoples_time_exactly_the_rto_is_not_longer_than_it():
    exact = terms(rto=5.0125, human=HumanTimes(acknowledge=seconds(1), command=0))
    assert "people's time is declared, not measured: 1 s, with which it takes 5.0 s" in limits(
        history(judged=exact), DOWN
    )


def test_without_a_treated_trial_nobodys_time_is_told():
    assert not any("people" in limit for limit in limits(DOWN))


def test_peoples_declared_time_counts_against_the_rto():
    people = HumanTimes(acknowledge=seconds(4), manual=0, command=seconds(1))
    slow = assessed(history(judged=terms(rto=8.95, human=people)), DOWN)
    assert (slow.word, slow.human) == (Word.SLOW, seconds(5))
    assert "5 s of people's time" in slow.why
    assert assessed(history(judged=terms(rto=9, human=people)), DOWN).word is Word.INCONCLUSIVE
    assert assessed(history(judged=terms(rto=9.0125, human=people)), DOWN).word is Word.EFFECTIVE


def test_nobodys_time_is_added_to_a_control_that_heals():
    people = HumanTimes(acknowledge=seconds(300), manual=0, command=0)
    judged = terms(rto=600, human=people)
    quick = terms(rto=9, human=people)
    assert assessed(history(judged=judged), history(CONTROL, BACK, judged=judged)).word is Word.UNNECESSARY
    assert judge(history(CONTROL, BACK, judged=quick)).status is Status.OK


def test_what_the_backups_schedule_loses_at_worst_is_told_once_and_of_treated_trials_that_count() -> None:
    def trial(arm, outcome, found, why):
        return Verdict("t", arm, outcome, Status.OK, (Finding("backup", found, why),))

    told = bounds(
        [GOOD],
        [
            trial(CONTROL, Outcome.PASSED, Outcome.PASSED, "of the control"),
            trial(TREATED, Outcome.INVALID, Outcome.PASSED, "of one that does not count"),
            trial(TREATED, Outcome.FAILED, Outcome.FAILED, "too much, which is told elsewhere"),
            trial(TREATED, Outcome.PASSED, Outcome.PASSED, "at worst 1 h"),
            trial(TREATED, Outcome.PASSED, Outcome.PASSED, "at worst 2 h"),
        ],
    )
    assert "at worst 1 h" in told
    assert not any(other in told for other in ("of the control", "of one that does not count", "at worst 2 h"))
    assert not any("told elsewhere" in limit for limit in told)


def bounds(histories, verdicts):
    return limits_of(verdicts, histories, word=Word.EFFECTIVE, rta=Interval(1, 2))


def test_a_time_without_a_treated_trial_is_nobodys() -> None:
    assert not any("people" in limit for limit in bounds([DOWN], [judge(DOWN)]))


def test_what_would_have_become_of_the_alerts_is_told_beside_it() -> None:
    told = replace(judge(GOOD), alerts=(Alerted("", "rate > 1%", delay=seconds(2)),))
    assert assess("x", [told], [GOOD]).alerts == ("the alert `rate > 1%` would have fired 2.0 s after the fault call",)
    assert assessed(GOOD).alerts == ()
