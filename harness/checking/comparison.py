"""Is one version of a runbook slower than another? Non-inferiority of recovery time over concurrent blocks of (old, new).

Ratios of times, so everything is done on logarithms; "no significant difference" is never taken for "no slower".
"""

import itertools
import math
import operator
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from scipy.special import ndtri, stdtrit

from harness.model.units import Ns
from harness.model.verdict import Outcome

MARGIN: Final = 1.25
FEWEST_BLOCKS: Final = 4
"""With fewer, numbers are told and nothing is concluded: no test can reach p < .05."""

_MOST: Final = 700.0
_EXACT_BLOCKS: Final = 14
_DRAWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """New against old. `ratio` of geometric means with its two-sided 95% interval [`lo`, `hi`]; `limit` is the one-sided 95%
    upper limit that is held against the `margin`; `p` the two-sided permutation test's; `detectable` the smallest ratio that
    as many trials find with power .8."""

    blocks: int
    ratio: float
    lo: float
    hi: float
    limit: float
    margin: float
    p: float
    detectable: float
    outcome: Outcome


def compare(blocks: Sequence[tuple[Ns, Ns]], *, margin: float = MARGIN, seed: int = 1) -> Comparison:
    """Compare paired recovery times (old, new), ns, of one block each. ValueError for no block, a time that is not positive,
    or a margin that is not above 1."""
    if not blocks or margin <= 1 or any(old <= 0 or new <= 0 for old, new in blocks):
        raise ValueError("expected blocks of positive times and a margin above 1")
    logs = [math.log(new) - math.log(old) for old, new in blocks]
    n, mean = len(logs), fmean(logs)
    spread = stdev(logs) / math.sqrt(n) if n > 1 else math.inf
    two, one = _t(n, 0.975) * spread, _t(n, 0.95) * spread
    sigma = math.sqrt(fmean([_variance([b[side] for b in blocks]) for side in (0, 1)]))
    limit = _exp(mean + one)
    if n < FEWEST_BLOCKS or mean - one <= math.log(margin) < mean + one:
        outcome = Outcome.INCONCLUSIVE
    else:
        outcome = Outcome.PASSED if limit <= margin else Outcome.FAILED
    return Comparison(
        blocks=n,
        ratio=math.exp(mean),
        lo=_exp(mean - two),
        hi=_exp(mean + two),
        limit=limit,
        margin=margin,
        p=permutation_p(logs, seed=seed),
        detectable=detectable_ratio(sigma, n),
        outcome=outcome,
    )


def permutation_p(differences: Sequence[float], *, seed: int = 1) -> float:
    """The two-sided p of the mean of paired `differences` under swapping old and new within blocks: exact up to 14 blocks,
    else from 20,000 draws of `seed` (with the observed one among them, so that it is never 0)."""
    observed = abs(math.fsum(differences)) - 1e-12
    n = len(differences)
    if n <= _EXACT_BLOCKS:
        signs = itertools.product((1, -1), repeat=n)
        extreme = sum(abs(math.fsum(map(operator.mul, sign, differences))) >= observed for sign in signs)
        return float(extreme / 2**n)
    dice = random.Random(seed)  # noqa: S311 - a permutation test, no secret
    extreme = sum(
        abs(math.fsum(d if dice.random() < 0.5 else -d for d in differences)) >= observed for _ in range(_DRAWS)
    )
    return (extreme + 1) / (_DRAWS + 1)


def detectable_ratio(sigma: float, n: int) -> float:
    """The smallest ratio of means that `n` trials an arm find with one-sided 5% and power .8; `sigma`: sd of log times."""
    return math.exp(sigma * math.sqrt(2 / n) * _power())


def trials_per_arm(sigma: float, *, margin: float = MARGIN) -> int:
    """How many trials an arm show that equally fast versions do not differ by `margin`, with one-sided 5% and power .8."""
    return math.ceil(2 * sigma**2 * _power() ** 2 / math.log(margin) ** 2)


def _power() -> float:
    return float(ndtri(0.95)) + float(ndtri(0.80))


def _t(n: int, confidence: float) -> float:
    return float(stdtrit(n - 1, confidence)) if n > 1 else math.inf


def _exp(value: float) -> float:
    """E to the `value`; infinite where that is more than a float holds."""
    return math.exp(value) if value < _MOST else math.inf


def _variance(times: Sequence[Ns]) -> float:
    return stdev([math.log(t) for t in times]) ** 2 if len(times) > 1 else math.inf
