from harness.checking.judge import judge
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED
from harness.model.history import Name, Phase
from harness.model.objectives import HumanTimes
from harness.model.units import seconds
from harness.model.verdict import Interval, Outcome, Status
from tests.checking.histories import UP, at, history, outage, plus, terms


def judged(acknowledge, *, down=None, arm=TREATED):
    people = terms(human=HumanTimes(acknowledge=seconds(acknowledge), manual=0, command=0))
    verdict = judge(history(arm, judged=people) if down is None else history(arm, down, judged=people))
    return verdict, next(f for f in verdict.findings if f.check == "recovery")


def test_the_time_of_people_counts_against_the_rto_and_is_told_apart():
    verdict, finding = judged(5)
    assert (verdict.status, finding.outcome) == (Status.OK, Outcome.PASSED)
    assert finding.why == (
        "service was back after 3.96 to 4.01 s (RTO 10 s), and 5 s of people's time by the declared times"
    )


def test_a_recovery_that_is_soon_enough_only_without_people_is_not():
    verdict, finding = judged(7)
    assert (verdict.status, finding.outcome) == (Status.MISS, Outcome.FAILED)
    assert finding.why.endswith("and 7 s of people's time by the declared times")


def test_what_people_would_have_added_is_not_told_of_what_never_came_back():
    finding = judged(5, down=lambda second: second >= 0)[1]
    assert "people" not in finding.why


def test_where_people_take_no_time_nothing_is_said_of_them():
    assert judged(0)[1].why == "service was back after 3.96 to 4.01 s (RTO 10 s)"


def test_that_nothing_broke_is_found_where_it_was_watched():
    for arm in (SHAM, BASELINE):
        told = history(arm, UP)
        finding = next(f for f in judge(told).findings if f.check == "recovery")
        assert (finding.outcome, finding.why) == (Outcome.PASSED, "no objective was broken")
        assert finding.evidence == tuple(e.index for e in told.named(Name.OBSERVED)) != ()


def test_a_procedure_that_breaks_what_worked_is_told_to_have_done_so():
    verdict, finding = judged(0, down=outage((2, 4)), arm=SHAM)
    assert finding.outcome is Outcome.PASSED
    assert finding.why.startswith("without any fault the procedure broke the objectives; service was back after 2.96 ")
    assert judged(0, down=outage((2, 14)), arm=SHAM)[1].outcome is Outcome.FAILED
    assert verdict.status is Status.OK


def test_a_system_that_breaks_though_nothing_was_done_is_told_to_have_done_so():
    finding = judged(0, down=outage((2, 4)), arm=BASELINE)[1]
    assert finding.outcome is Outcome.FAILED
    assert finding.why.startswith(
        "nothing was done to the system, and it broke its objectives; service was back after "
    )


def test_of_a_trial_in_which_nothing_broke_no_time_is_told_but_those_of_what_was_done():
    stray = outage((2, 2.1), (9, 9.1))
    got = judge(history(TREATED, stray)).timings
    assert (got.onset, got.detected, got.first_good, got.recovered) == (None, None, None, None)
    assert (got.bad_seconds, got.episodes) == (0.0, 0)
    assert (got.call, got.felt, got.started, got.ended) == (at(0), at(0.05), at(1), at(20))


def test_what_was_bad_is_told_to_the_period():
    got = judge(history(TREATED, outage((0.2, 4), (6, 7.5)))).timings
    assert (got.bad_seconds, got.episodes) == (5.3, 2)
    assert got.recovered == Interval(at(7.4625), at(7.5125))
    assert got.first_good == at(4.0125)


def test_what_never_came_back_is_open_from_the_earliest_instant_that_was_not_seen_to_be_bad():
    stuck = judge(history(TREATED, outage((0.2, 30)))).timings
    assert stuck.recovered == Interval(at(19.9625), None)
    coming = judge(history(TREATED, outage((0.2, 15)))).timings
    assert coming.recovered == Interval(at(14.9625) + 1, None)


def test_people_have_no_part_in_what_comes_back_by_itself_or_was_broken_by_the_procedure():
    verdict, finding = judged(9, arm=CONTROL)
    assert verdict.rta is not None
    assert (verdict.rta.human, finding.outcome) == (0, Outcome.FAILED)
    assert judged(9, down=outage((2, 4)), arm=SHAM)[1].outcome is Outcome.PASSED


def test_a_step_that_the_plan_does_not_know_takes_people_no_time():
    people = terms(human=HumanTimes(acknowledge=0, manual=0, command=seconds(1)))
    known = judge(history(judged=people))
    unknown = judge(plus(history(judged=people), 1.2, Name.STEP, Phase.INVOKE, step=7))
    assert known.rta is not None
    assert known.rta.human == seconds(1)
    assert unknown.rta == known.rta
