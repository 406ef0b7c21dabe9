"""The gate's promise, exactly: by dynamic programming over 2,000 looks, for every tier."""

from dataclasses import replace

import pytest

from harness.checking.gate import TIERS, Gate, operating_characteristics
from tests.proof.conftest import FULL

LOOKS = 2000 if FULL else 300


@pytest.mark.parametrize("tier", TIERS.values(), ids=TIERS)
def test_a_bad_runbook_ever_passes_with_at_most_alpha(tier, figure) -> None:
    long = Gate(replace(tier, n_max=LOOKS))
    bad, good = operating_characteristics(long, tier.p0), operating_characteristics(long, tier.p1)
    cut = operating_characteristics(Gate(tier), tier.p0)
    figure(
        f"gate {tier.name}: P(ever PASS | p0 {tier.p0:g}) {bad.passed:.4f} in {LOOKS} looks ({cut.passed:.4f} in its own "
        f"{tier.n_max}), alpha {tier.alpha:g}; P(ever FAIL | p1 {tier.p1:g}) {good.failed:.4f}, beta {tier.beta:g}"
    )
    assert bad.passed <= tier.alpha
    assert good.failed <= tier.beta
