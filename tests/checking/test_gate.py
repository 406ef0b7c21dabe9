from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.checking.gate import (
    BRONZE,
    GOLD,
    PLATINUM,
    QUICK,
    SILVER,
    TIERS,
    Characteristics,
    Decision,
    Gate,
    Tier,
    operating_characteristics,
)


def after(gate, trials):
    for ok in trials:
        gate = gate.update(ok=ok)
    return gate


@pytest.mark.parametrize(
    ("tier", "to_pass", "to_fail", "expected", "figures"),
    [
        (BRONZE, 5, 2, (5, 5.3, 6.2, 4.5, 3.0), (0.971, 0.038, 0.019)),
        (SILVER, 18, 3, (18, 19.8, 29.6, 22.7, 4.3), (0.901, 0.041, 0.027)),
        (GOLD, 32, 2, (32, 40.1, 40.1, 24.5, 2.9), (0.958, 0.046, 0.022)),
        (PLATINUM, 65, 2, (65, 87.7, 79.4, 48.2, 2.9), (0.905, 0.045, 0.022)),
        (QUICK, 1, 1, (1, 1, 1, 1, 1), (0.95, 0.05, 0.05)),
    ],
)
def test_the_published_table_is_reproduced(tier, to_pass, to_fail, expected, figures):
    gate = Gate(tier)
    assert (gate.to_pass, gate.to_fail) == (to_pass, to_fail)
    means = [operating_characteristics(gate, p).expected_n for p in (1, 0.99, tier.p1, tier.p0, 0.3)]
    assert tuple(round(n, 1) for n in means) == expected
    at_p1, at_p0 = (operating_characteristics(gate, p) for p in (tier.p1, tier.p0))
    assert tuple(round(x, 3) for x in (at_p1.passed, at_p0.passed, at_p1.failed)) == figures


@pytest.mark.parametrize("tier", TIERS.values())
def test_a_bad_runbook_ever_passes_with_at_most_alpha_in_2000_looks(tier):
    for p in (tier.p0, tier.p0 * 0.9):
        assert operating_characteristics(Gate(replace(tier, n_max=2000)), p).passed <= tier.alpha


@pytest.mark.parametrize("tier", TIERS.values())
@pytest.mark.parametrize("cells", [1, 20])
def test_a_good_one_ever_fails_with_at_most_beta_over_all_cells_in_2000_looks(tier, cells):
    gate = Gate(replace(tier, n_max=2000), cells=cells)
    assert operating_characteristics(gate, tier.p1).failed <= tier.beta / cells


def test_with_twenty_cells_it_takes_more_failures_in_a_row():
    assert [Gate(tier, cells=20).to_fail for tier in (BRONZE, SILVER, GOLD)] == [3, 5, 3]
    assert [Gate(tier, cells=20).to_pass for tier in (BRONZE, SILVER, GOLD)] == [5, 18, 32]
    assert round(operating_characteristics(Gate(BRONZE, cells=20), 0.95).failed, 3) == 0.001


@pytest.mark.parametrize("tier", TIERS.values())
def test_the_rows_are_what_the_counts_say(tier):
    gate = Gate(tier)
    almost = after(gate, [True] * (gate.to_pass - 1))
    assert (almost.decision, almost.to_pass) == (Decision.OPEN, 1)
    assert after(gate, [True] * gate.to_pass).decision is Decision.PASS
    assert after(gate, [True] * gate.to_pass).to_pass == 0
    almost = after(gate, [False] * (gate.to_fail - 1))
    assert (almost.decision, almost.to_fail) == (Decision.OPEN, 1)
    assert after(gate, [False] * gate.to_fail).decision is Decision.FAIL
    assert after(gate, [False] * gate.to_fail).to_fail == 0


def test_one_failure_can_be_made_up_for():
    gate = after(Gate(GOLD), [False] + [True] * 60)
    assert (gate.decision, gate.failed) == (Decision.PASS, 1)


def test_after_the_last_trial_it_is_inconclusive_and_before_it_open():
    mixed = after(Gate(replace(BRONZE, n_max=6)), [True, True, True, True, False, True])
    assert (mixed.n, mixed.decision) == (6, Decision.INCONCLUSIVE)
    assert after(Gate(replace(BRONZE, n_max=7)), [True, True, True, True, False, True]).decision is Decision.OPEN


def test_a_gate_that_has_decided_stays_as_it_is():
    passed = after(Gate(BRONZE), [True] * 5)
    assert passed.update(ok=False) == passed
    assert passed.update(ok=True) == passed
    ended = Gate(replace(BRONZE, n_max=1)).update(ok=True)
    assert ended.decision is Decision.INCONCLUSIVE
    assert ended.update(ok=True) == ended


def test_a_violation_fails_at_once_whatever_came_before():
    assert Gate(SILVER).update(ok=True, violated=True).decision is Decision.FAIL
    passed = after(Gate(BRONZE), [True] * 5).update(ok=False, violated=True)
    assert (passed.decision, passed.failed, passed.violated) == (Decision.FAIL, 1, True)


@given(st.lists(st.booleans(), max_size=14))
def test_the_evidence_depends_on_the_counts_and_not_on_the_order(trials):
    wide = Gate(Tier("wide", 0.8, 0.95, 1e-9, 1e-9, 1000))
    assert after(wide, trials).evidence == pytest.approx(after(wide, sorted(trials)).evidence)
    assert after(wide, trials).n == len(trials)


@given(st.lists(st.booleans(), max_size=12))
def test_resuming_is_the_same_as_going_on(trials):
    gate = after(Gate(BRONZE), trials)
    assert Gate(BRONZE, ok=gate.ok, failed=gate.failed) == gate


@given(st.sampled_from(list(TIERS.values())), st.floats(0, 1), st.lists(st.booleans(), max_size=6))
def test_the_decisions_exhaust_what_can_happen(tier, p, trials):
    got = operating_characteristics(after(Gate(tier), trials), p)
    assert got.passed + got.failed + got.inconclusive == pytest.approx(1)
    assert 0 <= got.expected_n <= tier.n_max


def test_a_gate_that_has_decided_needs_no_more_trials():
    got = operating_characteristics(after(Gate(BRONZE), [True] * 5), 0.2)
    assert got == Characteristics(0.2, 1.0, 0.0, 0.0, 0.0)


@given(st.floats(0, 1), st.integers(1, 12))
def test_without_boundaries_in_reach_all_trials_are_run(p, n):
    wide = Tier("wide", 0.5, 0.6, 1e-9, 1e-9, n)
    got = operating_characteristics(Gate(wide), p)
    assert (got.inconclusive, got.expected_n) == (pytest.approx(1), pytest.approx(n))


@given(st.integers(1, 30), st.floats(0.05, 0.95))
def test_the_probabilities_are_scipys_where_only_successes_count(n, p):
    alone = Tier("alone", 0.5, 0.75, 2.0**-9, 1e-12, n)
    needed = Gate(alone).to_pass
    got = operating_characteristics(Gate(alone), p)
    if n == needed:
        assert got.passed == pytest.approx(stats.binom.pmf(n, n, p))
    elif n < needed:
        assert got.passed == 0


@pytest.mark.parametrize(
    "figures",
    [
        (0.9, 0.9, 0.05, 0.05, 9),
        (0.9, 0.8, 0.05, 0.05, 9),
        (0.0, 0.8, 0.05, 0.05, 9),
        (0.5, 1.0, 0.05, 0.05, 9),
        (0.5, 0.9, 0.0, 0.05, 9),
        (0.5, 0.9, 1.0, 0.05, 9),
        (0.5, 0.9, 0.05, 0.0, 9),
        (0.5, 0.9, 0.05, 1.0, 9),
        (0.5, 0.9, 0.05, 0.05, 0),
    ],
)
def test_impossible_figures_are_an_error(figures):
    with pytest.raises(ValueError, match="expected 0 < p0 < p1 < 1"):
        Tier("odd", *figures)


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_what_is_no_probability_is_an_error(p):
    with pytest.raises(ValueError, match="expected a probability"):
        operating_characteristics(Gate(BRONZE), p)


def test_the_tiers_are_known_by_their_names():
    assert list(TIERS) == ["quick", "bronze", "silver", "gold", "platinum"]
    assert all(tier.name == name for name, tier in TIERS.items())
