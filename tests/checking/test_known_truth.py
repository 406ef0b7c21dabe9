"""The instrument against outages whose truth is known, in virtual time."""

import random

import pytest

from harness.checking.judge import judge
from harness.model.design import BASELINE
from harness.model.history import History
from harness.model.verdict import Status, Verdict
from tests.checking.histories import ZERO, events, header
from tests.checking.rig import KINDS, PERIOD, Truth, observed, probed, programmed

CLEAN = 170
"""Trials per kind without background errors: 1,020 in all."""


def trial(kind: str, seed: int, background: float) -> tuple[Truth, Verdict]:
    dice = random.Random(f"{kind} {seed} {background}")
    truth = programmed(kind, dice)
    return truth, judge(observed(truth, dice, background=background))


def inside(truth: Truth, verdict: Verdict) -> bool:
    assert verdict.rta is not None
    hi = verdict.rta.fault.hi
    return hi is not None and verdict.rta.fault.lo <= truth.ended - ZERO <= hi


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_without_background_errors_the_true_recovery_is_always_in_the_bracket(kind):
    trials = [trial(kind, seed, 0.0) for seed in range(CLEAN)]
    assert sum(inside(*each) for each in trials) == CLEAN
    if kind not in ("flap", "brown-out"):
        assert max(v.rta.fault.hi - v.rta.fault.lo for _, v in trials if v.rta and v.rta.fault.hi) <= PERIOD


@pytest.mark.slow
def test_with_background_errors_of_one_in_a_thousand_it_is_in_995_of_1000():
    trials = [trial(KINDS[seed % len(KINDS)], seed, 0.001) for seed in range(1000)]
    assert sum(inside(*each) for each in trials) >= 995


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "brown-out"])
def test_the_true_onset_is_in_its_bracket(kind):
    trials = [trial(kind, seed, 0.0) for seed in range(60)]
    for truth, verdict in trials:
        onset = verdict.timings.onset
        assert onset is not None
        assert onset.hi is not None
        assert onset.lo <= truth.began <= onset.hi
        assert onset.hi - onset.lo <= PERIOD or kind == "flap"


def test_the_onset_of_a_brown_out_is_in_its_bracket_but_for_one_in_twenty():
    trials = [trial("brown-out", seed, 0.0) for seed in range(100)]
    hit = sum(v.timings.onset.lo <= t.began <= (v.timings.onset.hi or 0) for t, v in trials if v.timings.onset)
    assert hit >= 95


def test_a_system_that_does_not_break_is_never_seen_to_break():
    """A/A: 100 trials of 26 s each; by the rule of three the rate is below 3%."""
    healthy = Truth("none", 0, 0, lambda _due, _mode: 0)
    for seed in range(100):
        seen = probed(healthy, random.Random(seed), background=0.002)
        verdict = judge(History(header(BASELINE), events(BASELINE, observed=24), seen))
        assert verdict.status is Status.NO_BREACH
