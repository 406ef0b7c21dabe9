from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checking import durability
from harness.checking.moments import moments
from harness.model.design import BASELINE, CONTROL, SHAM, TREATED
from harness.model.history import Name as EventName
from harness.model.history import Phase, Row, WriteOutcome
from harness.model.units import milliseconds, seconds
from harness.model.verdict import Interval, Outcome
from tests.checking.histories import at, history, plus, reading, terms, with_ledger, write

OK, FAIL, INFO = WriteOutcome.OK, WriteOutcome.FAIL, WriteOutcome.INFO

BEFORE = [write(n, -5 + n * 0.05) for n in range(100)]
AFTER = [write(100 + n, 6 + n * 0.05) for n in range(100)]
WRITES = [*BEFORE, *AFTER]
ALL = range(200)


def lossy(writes, *readings, rpo=None, arm=TREATED):
    return with_ledger(history(arm, judged=terms(rpo=rpo)), writes, *readings)


def loss(writes, *readings, arm=TREATED):
    trial = lossy(writes, *readings, arm=arm)
    found = durability.loss(trial, moments(trial))
    assert found is not None
    return found


def findings(writes, *readings, rpo=None):
    trial = lossy(writes, *readings, rpo=rpo)
    return tuple(durability.check(trial, durability.loss(trial, moments(trial))))


def violations(*readings, writes=tuple(WRITES)):
    return durability.violations(loss(writes, *readings))


def kept(*gone):
    return [n for n in ALL if n not in gone]


def test_all_that_was_acknowledged_and_is_there_is_no_loss():
    found = loss(WRITES, reading(ALL))
    assert (found.acked, found.lost, found.rpa.lo) == (200, 0, 0)
    assert durability.violations(found) == {}


def test_dropped_rows_at_the_end_before_the_fault_are_a_loss_and_no_hole():
    found = loss(WRITES, reading(kept(98, 99)))
    assert (found.lost, found.holes, found.lost_after_fault) == (2, 0, 0)
    assert durability.violations(found) == {}


def test_the_age_of_the_oldest_lost_write_is_the_rpa_and_one_gap_the_uncertainty():
    found = loss(WRITES, reading(kept(97, 98, 99)))
    assert found.rpa.lo == milliseconds(145)
    assert found.resolution == milliseconds(50)
    assert found.rpa == Interval(milliseconds(145), milliseconds(195))


def test_a_row_missing_with_later_ones_there_is_a_hole():
    assert violations(reading(kept(50))) == {"holes": 1}
    assert violations(reading(kept(50, 51, 99))) == {"holes": 2}


def test_rows_missing_from_what_was_written_after_recovery_are_holes():
    assert violations(reading(kept(120, 150))) == {"holes": 1}


def test_writes_that_overlapped_may_be_committed_in_either_order():
    pair = [write(0, -2, took=0.5), write(1, -1.9, took=0.2)]
    assert violations(reading([1]), writes=pair) == {}
    apart = [write(0, -2, took=0.05), write(1, -1.9, took=0.2)]
    assert violations(reading([1]), writes=apart) == {"holes": 1}


def test_a_survivor_acknowledged_after_the_fault_call_does_not_make_a_hole_of_what_was_lost_before():
    assert violations(reading(kept(*range(90, 100)))) == {}


def test_a_hole_is_counted_up_to_the_instant_at_which_the_survivor_was_begun():
    touching = [write(0, -2, took=0.1), write(1, -1.9, took=0.1)]
    assert violations(reading([1]), writes=touching) == {"holes": 1}


def test_where_nothing_was_done_any_loss_before_a_survivor_is_a_hole():
    assert loss(BEFORE, reading(range(99)), arm=BASELINE).holes == 0
    assert loss(BEFORE, reading([n for n in range(100) if n != 5]), arm=BASELINE).holes == 1
    assert loss(BEFORE, reading([]), arm=BASELINE).holes == 0


def test_without_a_fault_the_procedure_is_what_was_done():
    trial = [*BEFORE, write(100, 0.5), write(101, 1.5)]
    found = loss(trial, reading(range(100)), arm=SHAM)
    assert found.rpa.lo == milliseconds(495)
    assert found.lost_after_fault == 1


def test_acknowledged_after_the_fault_call_and_absent_is_lost_after_the_fault():
    zombie = [*BEFORE, write(100, 0.2), *[write(n, 6 + n * 0.01) for n in range(101, 200)]]
    found = loss(zombie, reading(kept(100)))
    assert (found.lost, found.lost_after_fault, found.rpa.lo) == (1, 1, 0)


@pytest.mark.parametrize(
    ("outcome", "present", "field"),
    [(INFO, True, "recovered_unacked"), (FAIL, True, "failed_but_present")],
)
def test_what_was_not_acknowledged_and_is_there_is_told_apart(outcome, present, field):
    found = loss([*WRITES, write(200, 3, outcome)], reading([*ALL, 200] if present else ALL))
    assert getattr(found, field) == 1
    assert getattr(loss([*WRITES, write(200, 3, outcome)], reading(ALL)), field) == 0


def test_outcomes_are_counted():
    found = loss([*WRITES, write(200, 3, FAIL), write(201, 3, INFO), write(202, 3, INFO)], reading(ALL))
    assert (found.failed, found.unknown, found.acked) == (1, 2, 200)


def test_a_duplicated_row_is_a_violation_in_whichever_way_it_is_told():
    assert violations(reading(ALL, twice=[7])) == {"duplicates": 1}
    once = reading(ALL)
    assert violations(replace(once, rows=(*once.rows, Row("w1", 7, "sum-7")))) == {"duplicates": 1}


def test_a_row_that_nobody_wrote_is_a_phantom():
    assert violations(reading([*ALL, 999])) == {"phantoms": 1}
    once = reading(ALL)
    assert violations(replace(once, rows=(*once.rows, Row("w2", 7, "sum-7")))) == {"phantoms": 1}


def test_a_row_with_another_checksum_is_corrupt():
    once = reading(ALL)
    assert violations(replace(once, rows=(Row("w1", 0, "sum-1"), *once.rows[1:]))) == {"corrupt": 1}


def test_a_row_that_was_seen_after_the_fault_and_is_gone_later_has_vanished():
    assert violations(reading(ALL, 15), reading(kept(199), 19)) == {"vanished": 1}
    assert violations(reading(kept(199), 15), reading(ALL, 19)) == {}


def test_a_resurrected_row_that_vanishes_between_is_told_as_vanished():
    assert violations(reading(ALL, 13), reading(kept(199), 15), reading(ALL, 19)) == {"vanished": 1}


def test_what_was_seen_only_before_the_fault_has_not_vanished_but_is_lost():
    found = loss(WRITES, reading(range(100), -0.01), reading(kept(99)))
    assert (found.vanished, found.lost) == (0, 1)


def test_a_standby_that_lags_is_no_evidence_of_vanishing():
    assert violations(reading(ALL, 15), reading([], 16, place="standby"), reading(ALL, 19)) == {}


def test_the_last_reading_of_the_primary_decides():
    assert loss(WRITES, reading(ALL, 19), reading([], 12), reading([], 19.5, place="standby")).lost == 0


def test_a_write_acknowledged_while_the_reading_went_on_proves_nothing():
    assert loss([*WRITES, write(200, 19.05)], reading(ALL, 19)).lost == 0
    assert loss([*WRITES, write(200, 19.05)], reading([*ALL, 200], 19)).acked == 201
    assert loss([*WRITES, write(200, 18.9)], reading(ALL, 19)).lost == 1


def test_a_retried_write_is_acknowledged_if_any_attempt_was():
    retried = [
        write(0, -3, INFO),
        write(0, -2),
        write(1, -2, FAIL),
        write(1, -1, INFO),
        write(2, -1),
        write(2, -0.5, FAIL),
    ]
    found = loss(retried, reading([0, 1, 2]))
    assert (found.acked, found.unknown, found.failed, found.failed_but_present) == (2, 1, 0, 0)


@pytest.mark.parametrize(
    ("gone", "gap"), [([], 0.05), ([60], 0.1), ([60, 61, 62], 0.2), ([98, 99], 0.145), (range(100), 5.0)]
)
def test_the_resolution_is_the_largest_gap_between_acknowledgements_before_the_fault(gone, gap):
    thinned = [replace(w, outcome=INFO) if w.seq in gone else w for w in WRITES]
    assert loss(thinned, reading(ALL)).resolution == seconds(gap)


def test_gaps_long_before_the_fault_do_not_count():
    early = [write(n, -9 + n) for n in range(4)]
    assert loss(
        [*early, *[write(n, -5.02 + (n - 4) * 0.05) for n in range(4, 104)]], reading(range(104))
    ).resolution <= seconds(0.1)


def test_without_a_reading_or_a_ledger_there_is_no_figure():
    silent = lossy(WRITES)
    assert durability.loss(silent, moments(silent)) is None
    bare = history()
    assert durability.loss(bare, moments(bare)) is None
    assert tuple(durability.check(bare, None)) == ()


def test_a_ledger_that_was_not_read_is_inconclusive_and_says_why():
    trial = plus(lossy(WRITES), 19, EventName.LEDGER, Phase.FAIL, why="refused")
    (only,) = durability.check(trial, None)
    assert only.outcome is Outcome.INCONCLUSIVE
    assert only.why == "the ledger was not read back from the primary: refused"
    assert len(only.evidence) == 1


@pytest.mark.parametrize(
    ("rpo", "gone", "outcome"),
    [
        (None, [], Outcome.PASSED),
        (None, [99], Outcome.PASSED),
        (0, [], Outcome.PASSED),
        (0, [99], Outcome.FAILED),
        (0.2, [97, 98, 99], Outcome.PASSED),
        (0.195, [97, 98, 99], Outcome.PASSED),
        (0.15, [97, 98, 99], Outcome.INCONCLUSIVE),
        (0.145, [97, 98, 99], Outcome.INCONCLUSIVE),
        (0.14, [97, 98, 99], Outcome.FAILED),
        (0.05, [], Outcome.PASSED),
        (0.04, [], Outcome.INCONCLUSIVE),
    ],
)
def test_loss_is_judged_by_the_whole_interval_against_the_rpo(rpo, gone, outcome):
    first = findings(WRITES, reading(kept(*gone)), rpo=rpo)[0]
    assert (first.check, first.outcome) == ("durability", outcome)


def test_no_acknowledged_write_is_no_evidence_of_no_loss():
    assert findings([write(0, 1, FAIL)], reading([]), rpo=0)[0].outcome is Outcome.INCONCLUSIVE


def test_the_finding_tells_how_many_how_old_and_by_which_rpo():
    assert findings(WRITES, reading(kept(97, 98, 99)), rpo=0.14)[0].why == (
        "3 of 200 acknowledged writes lost, the oldest 145 ms to 195 ms before the fault call (RPO 140 ms)"
    )
    assert findings(WRITES, reading(ALL), rpo=1)[0].why == (
        "0 of 200 acknowledged writes lost, as far as a gap of 50 ms between them lets see (RPO 1 s)"
    )


def test_integrity_fails_whatever_the_rpo():
    _, integrity = findings(WRITES, reading(ALL, twice=[3, 4]), rpo=3600)
    assert (integrity.check, integrity.outcome) == ("integrity", Outcome.FAILED)
    assert integrity.why == "what is stored is not what was written: 2 duplicates"
    assert findings(WRITES, reading(ALL))[1].outcome is Outcome.PASSED


def test_control_and_treated_are_counted_alike():
    assert loss(WRITES, reading(kept(98, 99)), arm=CONTROL) == loss(WRITES, reading(kept(98, 99)))


@given(st.sets(st.integers(0, 199)))
def test_every_acknowledged_write_is_either_lost_or_survived(gone):
    found = loss(WRITES, reading(kept(*gone)))
    assert found.lost == len(gone)
    assert found.acked == 200
    assert found.holes <= found.lost
    suffix = set(range(min(gone, default=100), 100))
    assert (found.holes == 0) >= (gone == suffix)


def test_a_reading_begun_at_the_instant_of_an_acknowledgement_need_not_show_it():
    late = write(200, 18.995)
    assert late.done == at(19)
    assert loss([*WRITES, late], reading(ALL, 19)).lost == 0


def test_the_first_of_equal_attempts_stands():
    twice = [write(0, -2), write(0, -1)]
    assert loss(twice, reading([])).rpa.lo == seconds(2) - milliseconds(5)


def test_a_survivor_acknowledged_at_the_fault_call_makes_holes_of_what_was_before():
    assert loss([write(0, -1), write(1, -0.005)], reading([1])).holes == 1
    assert loss([write(0, -1), write(1, -0.004)], reading([1])).holes == 0


def test_without_anything_done_the_gaps_before_the_last_acknowledgement_count():
    thinned = [w for w in BEFORE if w.seq not in (90, 91)]
    assert loss(thinned, reading(range(100)), arm=BASELINE).resolution == milliseconds(150)
    assert loss([write(0, 1, INFO)], reading([]), arm=BASELINE).resolution == seconds(5)


def test_a_gap_that_reaches_back_over_the_last_seconds_counts_whole():
    assert loss([write(0, -8), write(1, -1)], reading([0, 1])).resolution == seconds(7)
    assert loss([write(0, -5.005), write(1, -1)], reading([0, 1])).resolution == seconds(4.005)


def test_a_ledger_that_began_shortly_before_has_no_gap_before_it_began():
    assert loss([write(n, -1 + n * 0.05) for n in range(20)], reading(range(20))).resolution == milliseconds(50)
    assert loss([], reading([])).resolution == 0


def test_a_row_that_comes_and_goes_is_counted_once_and_remembered():
    seen = reading(ALL, 12), reading(kept(5), 14), reading(kept(5), 16), reading(ALL, 18)
    assert violations(*seen) == {"vanished": 1}
    assert violations(reading(kept(5), 12), reading(kept(6), 14), reading(kept(5, 6), 16), reading(ALL, 18)) == {
        "vanished": 2
    }


def test_a_reading_at_the_very_fault_call_is_not_after_it():
    assert violations(reading(ALL, 0), reading(kept(99), 19)) == {}


def test_in_the_baseline_every_reading_counts():
    assert loss(BEFORE, reading(range(100), -1), reading(range(99), 19), arm=BASELINE).vanished == 1


def test_what_was_lost_after_the_fault_is_told():
    zombie = [*BEFORE, write(100, 0.2)]
    assert findings(zombie, reading(range(100)), rpo=5)[0].why == (
        "1 of 101 acknowledged writes lost (1 of them acknowledged after the fault call), "
        "the oldest 0 s to 50 ms before the fault call (RPO 5 s)"
    )
    assert findings(zombie, reading(range(100)))[0].why.endswith("; there is no RPO to judge it by")
    assert (
        findings([write(0, 1, FAIL)], reading([]), rpo=0)[0].why == "no write was acknowledged, so none could be lost"
    )


def test_any_lost_write_breaks_an_rpo_of_nothing_also_one_lost_after_the_fault():
    assert findings([*BEFORE, write(100, 0.2)], reading(range(100)), rpo=0)[0].outcome is Outcome.FAILED


def test_readings_are_evidence():
    trial = plus(lossy(WRITES, reading(ALL)), 19, EventName.LEDGER, Phase.OK)
    found = list(durability.check(trial, durability.loss(trial, moments(trial))))
    assert [len(f.evidence) for f in found] == [1, 1]


def test_a_write_that_a_strong_read_missed_and_a_later_one_saw_was_stale():
    everything = [w.seq for w in WRITES]
    late = [seq for seq in everything if seq not in everything[-3:]]
    found = loss(WRITES, reading(late, 17), reading(late, 18), reading(everything, 19))
    assert (found.stale, found.lost) == (3, 0)
    assert found.stale_max == at(18) - min(w.done for w in WRITES[-3:])


def test_what_was_never_seen_is_lost_and_what_was_acknowledged_later_proves_nothing():
    everything = [w.seq for w in WRITES]
    assert loss(WRITES, reading(everything[:-1], 18), reading(everything[:-1], 19)).stale == 0
    assert loss(WRITES, reading(everything, 18), reading(everything, 19)).stale == 0
    early = (WRITES[0].done - at(0)) / 1e9 - 1
    assert loss(WRITES, reading([], early), reading(everything, 19)).stale == 0
    elsewhere = reading([], 18, place="main-standby-1")
    assert loss(WRITES, elsewhere, reading(everything, 19)).stale == 0
    unknown = [*WRITES, write(99, 1, WriteOutcome.INFO)]
    assert loss(unknown, reading(everything, 18), reading([*everything, 99], 19)).stale == 0
