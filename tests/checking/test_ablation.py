"""What leaving a step out shows: success before data before redundancy before speed, and nothing from too little."""

import pytest

from harness.checking.ablation import Effect, Side, call
from harness.checking.gate import Decision
from harness.checking.record import Ran
from harness.model.history import Phase
from harness.model.verdict import Finding, Outcome, Status
from tests.checking.records import lost, record

PASS, FAIL, OPEN, UNCLEAR = Decision.PASS, Decision.FAIL, Decision.OPEN, Decision.INCONCLUSIVE


def side(decision, *records) -> Side:
    return Side(decision, records or (record(number=1), record(number=2)))


def stuck() -> Side:
    return side(FAIL, *(record(status=Status.CENSORED, number=n) for n in (1, 2)))


@pytest.mark.parametrize(
    ("whole", "without", "effect"),
    [
        (side(PASS), stuck(), Effect.NECESSARY),
        (side(PASS), side(PASS), Effect.NOTHING),
        (stuck(), side(PASS), Effect.HARMFUL),
        (stuck(), stuck(), Effect.UNKNOWN),
        (side(OPEN), side(PASS), Effect.UNKNOWN),
        (side(PASS), side(UNCLEAR), Effect.UNKNOWN),
        (side(UNCLEAR), stuck(), Effect.UNKNOWN),
        (side(PASS), side(OPEN), Effect.UNKNOWN),
    ],
)
def test_success_decides_first(whole, without, effect) -> None:
    assert call(whole, without).effect is effect


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        (4, 7, Effect.SPEED),
        (7, 4, Effect.SLOWS),
        (4, 6, Effect.NOTHING),
        (6, 4, Effect.NOTHING),
        (4, 6.025, Effect.NOTHING),
        (6.025, 4, Effect.NOTHING),
    ],
)
def test_speed_is_told_only_where_it_is_plain_to_see(before, after, effect) -> None:
    def pair(rta):
        return side(PASS, record(rta=rta), record(rta=rta, number=2))

    assert call(pair(before), pair(after)).effect is effect


def test_one_trial_says_nothing_of_speed() -> None:
    assert call(side(PASS, record(rta=1)), side(PASS, record(rta=19))).effect is Effect.NOTHING


def test_ranges_that_overlap_are_no_difference_in_speed() -> None:
    whole = side(PASS, record(rta=1), record(rta=9, number=2))
    assert call(whole, side(PASS, record(rta=5), record(rta=20, number=2))).effect is Effect.NOTHING


def test_a_step_that_keeps_data_is_not_called_idle() -> None:
    without = side(PASS, record(loss=lost(3)), record(loss=lost(), number=2))
    assert call(side(PASS, record(loss=lost())), without).effect is Effect.DATA
    assert call(without, side(PASS, record(loss=lost()))).effect is Effect.HARMFUL


def test_a_step_that_spoils_data_does_harm_though_service_comes_back() -> None:
    whole = side(PASS, record(loss=lost(duplicates=1)))
    assert call(whole, side(PASS, record(loss=lost()))).effect is Effect.HARMFUL
    assert call(side(PASS, record(loss=lost())), side(FAIL, record(loss=lost(holes=1)))).effect is Effect.DATA


def test_a_step_that_restores_redundancy_is_not_called_idle() -> None:
    bare = record(findings=(Finding("redundancy", Outcome.INCONCLUSIVE, "no standby"),))
    full = record(findings=(Finding("redundancy", Outcome.PASSED, "back"),))
    assert call(side(PASS, full), side(PASS, bare)).effect is Effect.REDUNDANCY
    assert call(side(PASS, bare), side(PASS, bare)).effect is Effect.NOTHING


def test_later_steps_that_fail_without_it_are_told() -> None:
    from dataclasses import replace

    def ran(*phases):
        steps = tuple(Ran(n, 0, 1, phase, 1) for n, phase in enumerate(phases))
        return replace(record(), steps=steps)

    whole = side(PASS, ran(Phase.OK, Phase.OK, Phase.FAIL))
    without = side(PASS, ran(Phase.INFO, Phase.FAIL, Phase.FAIL))
    assert call(whole, without).confounded == (1,)


def test_the_reason_is_told_with_its_figures() -> None:
    def why(whole, without):
        return call(whole, without).why

    assert why(side(PASS), stuck()) == "without it 0 of 2 succeed, with it 2 of 2"
    assert why(side(OPEN), stuck()) == "without it 0 of 2 succeed, with it 2 of 2: not enough to tell"
    assert why(stuck(), stuck()).endswith("shows only in a procedure that works")
    spoilt = side(PASS, record(loss=lost(duplicates=1)))
    assert why(spoilt, side(PASS, record(loss=lost()))) == "without it no data is spoilt, with it some is"
    bare = side(PASS, record(findings=(Finding("redundancy", Outcome.INCONCLUSIVE, "gone"),)))
    assert why(side(PASS), bare) == "without it service comes back, and the second of everything does not"
    assert why(side(PASS), side(PASS)) == (
        "without it 2 of 2 succeed, with it 2 of 2; RTA up to 5.0 s without it, 5.0 s with it"
    )
    slow = side(PASS, record(rta=9), record(rta=8, number=2))
    assert why(side(PASS), slow) == "RTA up to 9.1 s without it, 5.0 s with it"


def test_speed_cannot_be_told_where_one_side_has_no_times() -> None:
    from dataclasses import replace

    timeless = replace(record(), verdict=replace(record().verdict, rta=None))
    assert call(side(PASS), side(PASS, timeless, timeless)).effect is Effect.NOTHING
    assert call(side(PASS, timeless, timeless), side(PASS)).effect is Effect.NOTHING
