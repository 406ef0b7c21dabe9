"""The instants a trial's events state, also of a record that is cut short or was put together oddly."""

from dataclasses import replace

import pytest

from harness.checking.moments import Moments, moments
from harness.model.design import BASELINE, CONTROL, SHAM
from harness.model.history import Event, History, Name, Phase
from tests.checking.histories import at, header, history, plus, without


def test_every_instant_of_a_whole_trial_is_that_of_its_event() -> None:
    trial = plus(plus(history(), 5, Name.REDUNDANCY, Phase.FAIL), 6, Name.REDUNDANCY, Phase.OK)
    assert moments(trial) == Moments(
        since=at(0),
        until=at(20),
        steady=at(-0.1),
        call=at(0),
        felt=at(0.05),
        started=at(1),
        followed=at(3),
        observed=at(20),
        redundant=at(6),
    )


def test_a_record_in_which_nothing_happened_has_the_instant_it_was_begun_and_no_other() -> None:
    begun = header().monotonic
    assert moments(History(header())) == Moments(since=begun, until=begun)


def test_without_its_end_a_trial_was_observed_up_to_the_last_event() -> None:
    log = tuple(Event(n, at(-9 + n), "harness", Phase.INFO, Name.HARNESS) for n in range(4))
    assert moments(replace(history(), events=log)).until == at(-6)
    assert moments(without(history(), Name.OBSERVED)).until == at(20.2)


def test_an_arms_own_act_begins_with_its_fault_else_with_its_steady_state_else_with_the_trial() -> None:
    assert moments(history(CONTROL)).since == at(0)
    assert moments(history(SHAM)).since == at(-0.1)
    assert moments(without(history(BASELINE), Name.STEADY)).since == at(-10)


@pytest.mark.parametrize("phase", [Phase.OK, Phase.FAIL, Phase.INFO])
def test_only_what_was_begun_has_a_beginning(phase) -> None:
    bare = without(history(), Name.FAULT)
    bare = without(bare, Name.PROCEDURE)
    odd = moments(plus(plus(bare, 2, Name.FAULT, phase), 3, Name.PROCEDURE, phase))
    assert (odd.call, odd.started, odd.disturbed) == (None, None, None)
    assert (odd.felt, odd.followed) == ((at(2), at(3)) if phase is Phase.OK else (None, None))


def test_disturbed_is_the_fault_call_else_the_first_command_else_never() -> None:
    assert [moments(history(arm)).disturbed for arm in (CONTROL, SHAM, BASELINE)] == [at(0), at(1), None]


def test_when_it_was_felt_is_what_the_target_says_if_that_is_an_instant() -> None:
    def felt(**data):
        return moments(plus(without(history(), Name.FAULT, Phase.OK), 0.1, Name.FAULT, Phase.OK, **data)).felt

    assert felt(felt_at=at(0.07)) == at(0.07)
    assert felt() == felt(felt_at="at once") == at(0.1)


def test_redundancy_that_was_lost_again_is_not_back() -> None:
    back = plus(plus(history(), 5, Name.REDUNDANCY, Phase.OK), 7, Name.REDUNDANCY, Phase.OK)
    assert moments(back).redundant == at(7)
    assert moments(plus(back, 8, Name.REDUNDANCY, Phase.FAIL)).redundant is None
    assert moments(plus(back, 8, Name.REDUNDANCY, Phase.INFO)).redundant == at(7)
    assert moments(history()).redundant is None
