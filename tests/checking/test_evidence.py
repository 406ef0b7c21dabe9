"""What many records say together: the gate's decision, what is the procedure's doing, and every figure, against scipy."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.checking.evidence import Evidence, Interrupted, autocorrelation, claim, fisher, gather, healed
from harness.checking.gate import BRONZE, GOLD, QUICK, SILVER, Decision, Gate
from harness.model.design import CONTROL, SHAM, TREATED
from harness.model.objectives import Recovery
from harness.model.units import seconds
from harness.model.verdict import Finding, Outcome, Status
from tests.checking.records import lost, record

RECOVERY = Recovery(rto=seconds(10), rpo=seconds(1), horizon=seconds(20))
TWO_STUCK = [record(CONTROL, Status.CENSORED, number=n) for n in (1, 2)]


def gathered(records, tier=BRONZE, recovery=RECOVERY, *, interrupted=(), first=90, **more) -> Evidence:
    more["interrupted"] = [Interrupted(arm, block) for block, arm in enumerate(interrupted, first)]
    return gather("shop/down", tier, recovery, cells=more.pop("cells", 1), records=records, **more)


def successes(n: int, **more):
    return [record(number=k, **more) for k in range(1, n + 1)]


@pytest.mark.parametrize(("tier", "needed"), [(QUICK, 1), (BRONZE, 5), (SILVER, 18), (GOLD, 32)])
def test_straight_successes_pass_when_the_table_says_so_and_not_one_earlier(tier, needed) -> None:
    assert gathered([*successes(needed - 1), *TWO_STUCK], tier).decision is Decision.OPEN
    assert gathered([*successes(needed), *TWO_STUCK], tier).outcome is Outcome.PASSED


@pytest.mark.parametrize(("tier", "needed"), [(BRONZE, 2), (SILVER, 3), (GOLD, 2)])
def test_failures_in_a_row_fail_when_the_table_says_so_and_not_one_earlier(tier, needed) -> None:
    assert gathered(successes(needed - 1, status=Status.CENSORED), tier).decision is Decision.OPEN
    assert gathered(successes(needed, status=Status.MISS), tier).outcome is Outcome.FAILED


def test_many_cells_take_one_more_failure_each() -> None:
    two = successes(2, status=Status.MISS)
    assert gathered(two, cells=20).decision is Decision.OPEN
    assert gathered(successes(3, status=Status.MISS), cells=20).decision is Decision.FAIL


@pytest.mark.parametrize(
    ("control", "outcome"),
    [
        ([], Outcome.INCONCLUSIVE),
        (TWO_STUCK[:1], Outcome.INCONCLUSIVE),
        (TWO_STUCK, Outcome.PASSED),
        ([record(CONTROL, number=n) for n in (1, 2)], Outcome.FAILED),
        ([record(CONTROL, number=1), record(CONTROL, Status.CENSORED, number=2)], Outcome.INCONCLUSIVE),
    ],
    ids=["no control", "one", "stuck", "heals alone", "mixed"],
)
def test_a_pass_takes_a_control_that_does_not_recover(control, outcome) -> None:
    found = gathered([*successes(5), *control])
    assert found.decision is Decision.PASS
    assert found.outcome is outcome
    assert found.open == (outcome is Outcome.INCONCLUSIVE)


def test_records_of_other_cells_and_arms_are_not_counted() -> None:
    other = [record(number=n, cell="shop/up") for n in range(1, 9)]
    sham = [record(SHAM, number=n) for n in range(1, 9)]
    assert gathered([*other, *sham, *successes(2)]).gate == Gate(BRONZE, ok=2)


@pytest.mark.parametrize("kind", ["duplicates", "phantoms", "corrupt", "failed_but_present", "vanished", "holes"])
def test_spoilt_data_fails_at_once_whatever_came_before(kind) -> None:
    spoilt = record(number=4, status=Status.OK, outcome=Outcome.FAILED, loss=lost(**{kind: 1}))
    found = gathered([*successes(3), spoilt], GOLD)
    assert found.decision is Decision.FAIL
    assert not found.open


def test_a_lost_write_fails_at_once_only_where_none_may_be_lost() -> None:
    losing = [*successes(3), record(number=4, outcome=Outcome.PASSED, loss=lost(2, rpa=0.4))]
    assert gathered(losing).decision is Decision.OPEN
    assert gathered(losing, recovery=replace(RECOVERY, rpo=0)).decision is Decision.FAIL


def test_loss_in_the_control_is_not_held_against_the_procedure() -> None:
    stuck = [record(CONTROL, Status.CENSORED, number=n, loss=lost(holes=1)) for n in (1, 2)]
    assert gathered([*successes(5), *stuck]).outcome is Outcome.PASSED


def test_a_control_that_comes_back_without_its_data_has_not_healed() -> None:
    failed = (Finding("durability", Outcome.FAILED, "lost"),)
    assert not healed(record(CONTROL, findings=failed).verdict)
    assert healed(record(CONTROL).verdict)


def test_what_the_checks_could_not_decide_is_no_success() -> None:
    unclear = [record(number=n, outcome=Outcome.INCONCLUSIVE) for n in (1, 2)]
    found = gathered(unclear)
    assert found.gate == Gate(BRONZE, failed=2)
    assert claim(found).unclear == 2


# What cannot be counted


def invalid(n: int, *, first: int = -50):
    return [record(number=first + k, status=Status.INVALID) for k in range(n)]


def test_invalid_trials_are_replaced_and_told() -> None:
    found = gathered([*invalid(1), *successes(5), *TWO_STUCK])
    assert found.outcome is Outcome.PASSED
    assert (claim(found).n, claim(found).invalid) == (5, 1)


def test_more_than_a_fifth_of_invalid_trials_is_no_pass() -> None:
    assert gathered([*invalid(2), *successes(5), *TWO_STUCK]).decision is Decision.INCONCLUSIVE
    assert gathered([*invalid(4), *successes(18), *TWO_STUCK], SILVER).decision is Decision.PASS
    assert gathered([*invalid(5), *successes(18), *TWO_STUCK], SILVER).decision is Decision.INCONCLUSIVE


def test_more_than_a_fifth_of_invalid_trials_is_no_fail_either() -> None:
    assert gathered([*invalid(2), *successes(2, status=Status.MISS)]).decision is Decision.INCONCLUSIVE


def test_a_gate_gives_up_when_even_its_longest_run_would_have_too_many_invalid_trials() -> None:
    assert gathered(invalid(3)).open  # 3 of 3 + 15 are a sixth
    assert not gathered(invalid(4)).open
    assert gathered(invalid(4)).decision is Decision.INCONCLUSIVE


def test_an_interrupted_trial_is_an_invalid_one() -> None:
    found = gathered([*successes(5), *TWO_STUCK], interrupted=[TREATED, TREATED, CONTROL])
    assert found.invalid() == 2
    assert found.decision is Decision.INCONCLUSIVE
    assert dict(claim(found).reasons) == {"interrupted": 2}


def test_the_claim_says_what_it_would_be_if_the_invalid_had_failed() -> None:
    found = gathered([*invalid(1), *successes(5), *TWO_STUCK])
    assert (found.decision, claim(found).if_invalid_failed) == (Decision.PASS, Decision.OPEN)
    assert claim(gathered([*successes(5), *TWO_STUCK])).if_invalid_failed is Decision.PASS
    worst = gathered([*successes(1, status=Status.MISS), *invalid(1)])
    assert (worst.decision, claim(worst).if_invalid_failed) == (Decision.OPEN, Decision.FAIL)


def test_reasons_are_counted_by_the_check_that_gave_them() -> None:
    findings = (Finding("steady_state", Outcome.INVALID, "never"),), (Finding("hygiene", Outcome.INVALID, "late"),)
    records = [record(number=n, status=Status.INVALID, findings=f) for n, f in enumerate([*findings, findings[1]], 1)]
    assert claim(gathered(records)).reasons == (("instrument", 2), ("steady state", 1))


# The figures


def test_the_printed_figures_of_a_gold_pass_are_those_of_the_table() -> None:
    treated = [record(number=n, rta=n, loss=lost()) for n in range(1, 33)]
    told = claim(gathered([*treated, *TWO_STUCK], GOLD, replace(RECOVERY, rto=seconds(60), horizon=seconds(60))))
    assert told.clopper_pearson == pytest.approx(0.911, abs=5e-4)
    assert told.loss_upper == pytest.approx(0.0894, abs=5e-4)
    assert told.rank is not None
    assert (told.rank.quantile, told.rank.rank) == (0.9, 32)
    assert told.bound == seconds(32.05)
    assert told.median == seconds(16.05)
    assert told.always_valid < told.clopper_pearson
    assert told.mean == pytest.approx(seconds(16.55))
    assert (told.control_n, told.control_ok) == (2, 0)


def test_without_trials_there_are_no_figures_and_nothing_breaks() -> None:
    told = claim(gathered([]))
    assert (told.n, told.clopper_pearson, told.median, told.rank, told.p_control, told.rpa) == (
        0,
        0,
        None,
        None,
        None,
        None,
    )


def test_what_was_not_seen_is_not_given_a_bound() -> None:
    records = [*successes(4), record(number=5, status=Status.CENSORED)]
    told = claim(gathered(records))
    assert told.rank is not None
    assert told.bound is None
    assert told.p95 is None
    assert told.slowest is not None
    assert told.slowest.censored


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_the_exact_test_agrees_with_scipy(n, m, data) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    expected = stats.fisher_exact([[a, n - a], [b, m - b]], alternative="greater").pvalue
    assert fisher(a, n, b, m) == pytest.approx(expected)


@given(st.lists(st.floats(-10, 10), min_size=4, max_size=30))
def test_autocorrelation_is_that_of_the_textbook(values) -> None:
    found = autocorrelation(values)
    mean = sum(values) / len(values)
    spread = math.fsum((v - mean) ** 2 for v in values)
    if spread < 1e-9:
        return
    expected = math.fsum((values[k] - mean) * (values[k + 1] - mean) for k in range(len(values) - 1)) / spread
    assert found == pytest.approx(expected, abs=1e-6)


def test_too_few_or_equal_times_have_no_autocorrelation() -> None:
    assert autocorrelation([1.0, 2.0, 3.0]) is None
    assert autocorrelation([1.0] * 6) is None


def test_times_that_hardly_differ_have_an_autocorrelation_all_the_same() -> None:
    assert autocorrelation([1.0, 1.1, 1.2, 1.3]) == pytest.approx(0.25)


def test_every_figure_of_a_mixed_log_is_its_own() -> None:
    records = [
        record(number=1, rta=4, loss=lost(1, rpa=0.5)),
        record(number=2, rta=6, loss=lost()),
        record(number=3, rta=12, status=Status.MISS),
        record(number=4, rta=5),
        record(number=5, status=Status.CENSORED),
        record(CONTROL, Status.CENSORED, number=6),
        record(number=7, status=Status.INVALID),
    ]
    found = gathered(records, GOLD)
    told = claim(found)
    assert found.cell == "shop/down"
    assert (told.n, told.ok, told.miss, told.censored, told.unclear, told.invalid) == (5, 3, 1, 1, 0, 1)
    assert told.reasons == (("unknown", 1),)
    wilson = stats.binomtest(3, 5).proportion_ci(0.9, method="wilson")
    assert told.wilson == pytest.approx(wilson.low)
    assert told.clopper_pearson == pytest.approx(stats.beta.ppf(0.05, 3, 3))
    assert told.evidence == pytest.approx(3 * math.log(0.99 / 0.9) + 2 * math.log(0.1))
    assert [step.unrecovered for step in told.curve] == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert (told.median, told.p90, told.p95) == (seconds(6.05), None, None)
    assert told.slowest == record(status=Status.CENSORED).verdict.rta.fault
    assert told.mean == pytest.approx(seconds((4.05 + 5.05 + 6.05 + 12.05 + 20) / 5))
    assert told.rpa == lost(1, rpa=0.5).rpa
    assert told.resolution == seconds(0.06)
    assert told.loss_upper == pytest.approx(stats.beta.ppf(0.95, 2, 1))
    assert (told.control_n, told.control_ok) == (1, 0)
    assert told.p_control == pytest.approx(fisher(3, 5, 0, 1))
    assert told.autocorrelation == autocorrelation([math.log(seconds(t)) for t in (4.05, 6.05, 12.05, 5.05)])
    assert told.cost == 7 * seconds(30)


def test_quantiles_that_were_reached_are_given() -> None:
    told = claim(gathered([record(number=n, rta=n) for n in range(1, 21)]))
    assert (told.median, told.p90, told.p95) == (seconds(10.05), seconds(18.05), seconds(19.05))


def test_figures_that_need_both_arms_or_a_ledger_are_not_given_without() -> None:
    assert claim(gathered([record()])).p_control is None
    assert claim(gathered(TWO_STUCK)).p_control is None
    assert claim(gathered([record()])).loss_upper is None
    assert claim(gathered([record()])).resolution is None
    assert claim(gathered([])).mean is None


def test_the_slowest_is_the_one_that_ended_last_and_before_all_one_that_was_not_seen() -> None:
    from harness.model.verdict import Interval, Recovered

    def lasting(number, lo, hi):
        one = record(number=number)
        return replace(one, verdict=replace(one.verdict, rta=Recovered(Interval(seconds(lo), hi and seconds(hi)))))

    assert claim(gathered([lasting(1, 5, 6), lasting(2, 4, 9)])).slowest == Interval(seconds(4), seconds(9))


def test_the_worst_loss_is_the_longest_and_before_all_one_without_an_end() -> None:
    from harness.model.verdict import Interval

    def losing(*spans):
        return [record(number=n, loss=replace(lost(1), rpa=span)) for n, span in enumerate(spans, 1)]

    short, long, open_ = Interval(0, 5), Interval(3, 9), Interval(1, None)
    assert claim(gathered(losing(short, long))).rpa == long
    assert claim(gathered(losing(long, short))).rpa == long
    assert claim(gathered(losing(long, open_, short))).rpa == open_
    assert claim(gathered(losing(Interval(0, 0), Interval(0, 1)))).rpa == Interval(0, 1)


@pytest.mark.parametrize("check", ["durability", "integrity"])
def test_only_a_failed_check_of_the_data_keeps_a_control_from_having_healed(check) -> None:
    assert healed(record(CONTROL, findings=(Finding(check, Outcome.PASSED, "whole"),)).verdict)
    assert healed(record(CONTROL, findings=(Finding("procedure", Outcome.FAILED, "broken"),)).verdict)
    assert not healed(record(CONTROL, findings=(Finding(check, Outcome.FAILED, "lost"),)).verdict)
    assert not healed(record(CONTROL, Status.MISS).verdict)


def test_had_the_interrupted_failed_it_would_be_told() -> None:
    found = gathered([record(number=1, status=Status.MISS)], interrupted=[TREATED, CONTROL])
    assert claim(found).if_invalid_failed is Decision.FAIL
    assert claim(gathered([record(number=1)], interrupted=[CONTROL] * 3)).if_invalid_failed is Decision.OPEN
    four = gathered(successes(4), interrupted=[CONTROL])
    assert claim(four).if_invalid_failed is Decision.OPEN
    failed = gathered([*successes(4), record(number=9, status=Status.MISS)])
    assert claim(failed).if_invalid_failed is Decision.OPEN


def test_a_violation_fails_also_there() -> None:
    spoilt = [record(number=1, loss=lost(holes=1))]
    assert claim(gathered(spoilt)).if_invalid_failed is Decision.FAIL
    losing = [record(number=1, loss=lost(1))]
    assert claim(gathered(losing, recovery=replace(RECOVERY, rpo=0))).if_invalid_failed is Decision.FAIL
    assert claim(gathered(losing)).if_invalid_failed is Decision.OPEN


def test_an_interrupted_trial_would_have_failed_in_its_place_not_at_the_end() -> None:
    passing = [record(number=n) for n in range(2, 7)]
    assert claim(gathered([*passing, *TWO_STUCK], interrupted=[TREATED], first=1)).if_invalid_failed is Decision.OPEN
    assert claim(gathered([*passing, *TWO_STUCK], interrupted=[TREATED], first=7)).if_invalid_failed is Decision.PASS
