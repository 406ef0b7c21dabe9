"""The ledger at the very edges of its definitions: one instant, one write, nothing at all."""

from dataclasses import replace

from harness.checking import durability
from harness.checking.moments import moments
from harness.model.design import BASELINE, TREATED
from harness.model.history import Name, Phase
from harness.model.units import milliseconds, seconds
from harness.model.verdict import Interval, Loss, Outcome
from tests.checking.histories import history, plus, reading, terms, with_ledger, write


def loss(writes, *readings, arm=TREATED):
    trial = with_ledger(history(arm, judged=terms()), writes, *readings)
    return durability.loss(trial, moments(trial))


def acked(*instants):
    """Writes that are acknowledged at those seconds, each begun 5 ms before."""
    return [write(n, second - 0.005) for n, second in enumerate(instants)]


def test_of_a_ledger_with_nothing_amiss_every_figure_is_nothing():
    writes = [write(n, -5 + n * 0.05) for n in range(100)]
    gap = milliseconds(50)
    assert loss(writes, reading(range(100))) == Loss(100, 0, Interval(0, gap), gap)


def test_a_reading_of_what_is_no_ledger_by_the_terms_is_no_loss():
    trial = with_ledger(history(), acked(-1), reading([]))
    trial = replace(trial, header=replace(trial.header, terms=replace(trial.header.terms, ledger=False)))
    assert durability.loss(trial, moments(trial)) is None


def test_what_was_acknowledged_at_the_very_fault_call_was_acknowledged_before_it():
    found = loss(acked(-1, 0), reading([0]))
    assert (found.lost, found.lost_after_fault, found.rpa) == (1, 0, Interval(0, seconds(1)))


def test_without_anything_done_the_gap_before_the_very_last_acknowledgement_counts():
    assert loss(acked(1, 1.1, 3), reading(range(3)), arm=BASELINE).resolution == seconds(1.9)


def test_an_acknowledgement_at_the_very_beginning_of_the_last_seconds_is_within_them():
    assert loss(acked(-6, -5, *[-4 + n / 2 for n in range(8)]), reading(range(10))).resolution == seconds(1)
    assert loss(acked(-8, -5, *[-4.5 + n / 2 for n in range(9)]), reading(range(11))).resolution == seconds(3)


def test_a_read_begun_at_the_very_acknowledgement_is_not_stale_and_one_after_it_is():
    one = [write(0, 6)]
    at_once, later = replace(reading([]), invoked=one[0].done), replace(reading([]), invoked=one[0].done + 1)
    found = [loss(one, missed, reading([0])) for missed in (at_once, later)]
    assert [(f.stale, f.stale_max) for f in found] == [(0, 0), (1, 1)]


def test_of_several_readings_only_those_before_it_was_seen_can_have_missed_it():
    one = [write(0, 6)]
    found = loss(one, reading([], 8), reading([], 9), reading([0], 10), reading([0], 11))
    assert (found.stale, found.stale_max) == (1, seconds(2.995))
    assert loss(one, reading([], 8), reading([], 9)).stale == 0


def test_a_row_that_two_later_readings_miss_has_vanished_once_and_one_that_comes_back_did_vanish():
    writes = [write(n, -1 - n / 10) for n in range(3)]
    seen = [reading(rows, 10 + n) for n, rows in enumerate([[0, 1, 2], [0, 1], [0], [0, 1]])]
    assert loss(writes, *seen).vanished == 2


def test_rows_that_vanish_at_different_places_are_counted_together():
    writes = [write(n, -1 - n / 10) for n in range(3)]
    primary = [reading([0, 1, 2], 10), reading([1, 2], 11)]
    standby = [reading([0, 1, 2], 10, place="standby"), reading([0, 2], 11, place="standby")]
    assert loss(writes, *primary, *standby).vanished == 2


def checked(trial, found):
    return [(f.check, f.outcome, f.why) for f in durability.check(trial, found)]


def test_a_ledger_that_was_not_read_back_is_told_with_the_reason_that_was_given():
    unread = with_ledger(history(), acked(-1))
    told = "the ledger was not read back from the primary"
    for trial, why in (
        (unread, told),
        (plus(unread, 15, Name.LEDGER, Phase.INVOKE), told),
        (plus(unread, 15, Name.LEDGER, Phase.FAIL), f"{told}: no reason given"),
        (plus(unread, 15, Name.LEDGER, Phase.FAIL, why="refused"), f"{told}: refused"),
    ):
        assert checked(trial, None) == [("durability", Outcome.INCONCLUSIVE, why)]


def test_what_is_stored_is_told_by_the_kinds_of_what_is_wrong_with_it():
    trial = with_ledger(history(), acked(-1))
    whole = Loss(5, 0, Interval(0, 1), 1)
    lost = ("durability", Outcome.PASSED, "0 of 5 acknowledged writes lost; there is no RPO to judge it by")
    assert checked(trial, whole) == [lost, ("integrity", Outcome.PASSED, "what is stored is what was written")]
    spoilt = replace(whole, duplicates=2, failed_but_present=1)
    why = "what is stored is not what was written: 2 duplicates, 1 failed but present"
    assert checked(trial, spoilt) == [lost, ("integrity", Outcome.FAILED, why)]
