from harness.checking.judge import judge
from harness.model.design import BASELINE, SHAM, TREATED
from harness.model.history import Name
from harness.model.objectives import HumanTimes
from harness.model.units import seconds
from harness.model.verdict import Outcome, Status
from tests.checking.histories import UP, history, outage, terms


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
