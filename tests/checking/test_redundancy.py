from dataclasses import replace

import pytest

from harness.checking import redundancy
from harness.checking.moments import moments
from harness.model.history import Name, Phase
from harness.model.units import seconds
from harness.model.verdict import Outcome
from tests.checking.histories import history, plus, terms

LOOKED = plus(history(), -5, Name.REDUNDANCY, Phase.INVOKE)
LOST = plus(LOOKED, 1, Name.REDUNDANCY, Phase.FAIL, why="no standby")


def checked(trial, *, limit=None):
    """(outcome, why) and whether the event it points at is of redundancy."""
    wanted = replace(terms(), recovery=replace(terms().recovery, redundancy=None if limit is None else seconds(limit)))
    trial = replace(trial, header=replace(trial.header, terms=wanted))
    found = list(redundancy.check(trial, moments(trial)))
    assert all(f.check == "redundancy" for f in found)
    pointed = [trial.events[n] for f in found for n in f.evidence]
    assert all(e.name is Name.REDUNDANCY for e in pointed)
    return [(f.outcome, f.why) for f in found], [e.phase for e in pointed]


@pytest.mark.parametrize(
    ("trial", "limit", "found", "pointed"),
    [
        (history(), None, [], []),
        (plus(history(), 1, Name.REDUNDANCY, Phase.INFO), None, [], []),
        (history(), 8, [(Outcome.INCONCLUSIVE, "redundancy was not looked at (objective 8 s)")], []),
        (LOOKED, None, [(Outcome.PASSED, "redundancy was never seen to be lost")], [Phase.INVOKE]),
        (LOOKED, 8, [(Outcome.PASSED, "redundancy was never seen to be lost")], [Phase.INVOKE]),
        (
            plus(LOST, 8, Name.REDUNDANCY, Phase.OK),
            8,
            [(Outcome.PASSED, "standbys and headroom were back 8 s after the fault call (objective 8 s)")],
            [Phase.OK],
        ),
        (
            plus(LOST, 8.5, Name.REDUNDANCY, Phase.OK),
            8,
            [(Outcome.FAILED, "standbys and headroom were back 8.5 s after the fault call (objective 8 s)")],
            [Phase.OK],
        ),
        (
            plus(LOST, 8.5, Name.REDUNDANCY, Phase.OK),
            None,
            [(Outcome.PASSED, "standbys and headroom were back 8.5 s after the fault call")],
            [Phase.OK],
        ),
        (
            plus(LOST, -1, Name.REDUNDANCY, Phase.OK),
            None,
            [(Outcome.INCONCLUSIVE, "service runs without redundancy: no standby")],
            [Phase.FAIL],
        ),
        (
            LOST,
            19.9,
            [(Outcome.FAILED, "service runs without redundancy: no standby (objective 19.9 s)")],
            [Phase.FAIL],
        ),
        (
            LOST,
            20,
            [(Outcome.INCONCLUSIVE, "service runs without redundancy: no standby (objective 20 s)")],
            [Phase.FAIL],
        ),
        (
            plus(LOST, 2, Name.REDUNDANCY, Phase.FAIL),
            None,
            [(Outcome.INCONCLUSIVE, "service runs without redundancy: standbys are not back")],
            [Phase.FAIL],
        ),
    ],
)
def test_redundancy_is_told_to_the_letter_with_its_event(trial, limit, found, pointed):
    assert checked(trial, limit=limit) == (found, pointed)


def test_redundancy_that_was_back_before_anything_was_done_took_no_time():
    back = plus(plus(history(), -3, Name.REDUNDANCY, Phase.FAIL), -1, Name.REDUNDANCY, Phase.OK)
    assert checked(back) == (
        [(Outcome.PASSED, "standbys and headroom were back 0 s after the fault call")],
        [Phase.OK],
    )
