"""What few trials say about a proportion or a quantile, exactly where that is possible. Not when to stop (gate)."""

import math
from dataclasses import dataclass
from typing import Final

from scipy.special import bdtr, betaincc, betaincinv, betaln, ndtri

_HALVINGS: Final = 50


def clopper_pearson_lower(successes: int, n: int, *, confidence: float = 0.95) -> float:
    """The one-sided lower limit on P(success): BetaInv(alpha; s, n - s + 1); 0 without a success or a trial."""
    if successes <= 0:
        return 0.0
    return float(betaincinv(successes, n - successes + 1, 1 - confidence))


def clopper_pearson_upper(successes: int, n: int, *, confidence: float = 0.95) -> float:
    """The one-sided upper limit on P(success): BetaInv(1 - alpha; s + 1, n - s); 1 if all succeeded or none was tried."""
    if successes >= n:
        return 1.0
    return float(betaincinv(successes + 1, n - successes, confidence))


def wilson_lower(successes: int, n: int, *, confidence: float = 0.95) -> float:
    """Wilson's one-sided lower score limit: a description, for a gate it is too lax at small n; 0 without a trial."""
    if n <= 0:
        return 0.0
    z, p = float(ndtri(confidence)), successes / n
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (p + z * z / (2 * n) - spread) / (1 + z * z / n))


def always_valid_lower(successes: int, n: int, *, confidence: float = 0.95) -> float:
    """A lower limit on P(success) that holds however often it is looked at and whenever one stops (Ville).

    The largest p0 that the mixture e-process with a uniform prior on [p0, 1] rejects; at most as high as Clopper-Pearson's.
    """
    least = math.log(1 / (1 - confidence))
    low, high = 0.0, successes / n if n else 0.0
    for _ in range(_HALVINGS if successes else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if _log_mixture(successes, n - successes, middle) >= least else (low, middle)
    return low


def _log_mixture(successes: int, failures: int, p0: float) -> float:
    """Log of the mean likelihood over [p0, 1] against that at p0."""
    above = float(betaln(successes + 1, failures + 1)) + math.log(float(betaincc(successes + 1, failures + 1, p0)))
    return above - (failures + 1) * math.log1p(-p0) - successes * math.log(p0)


def trials_needed(p0: float, *, failures: int = 0, confidence: float = 0.95) -> int:
    """The smallest n such that `n` trials with at most `failures` failures show p > p0: P(Bin(n, 1 - p0) <= c) <= alpha.

    ValueError for a p0 that is not between 0 and 1.
    """
    if not 0 < p0 < 1:
        raise ValueError(f"expected 0 < p0 < 1, found {p0}")
    n = failures + 1
    while float(bdtr(failures, n, 1 - p0)) > 1 - confidence:
        n += 1
    return n


@dataclass(frozen=True, slots=True)
class Rank:
    """The `rank`-th smallest of `n` (1-based) bounds the `quantile` from above with `confidence`."""

    rank: int
    n: int
    quantile: float
    confidence: float


def quantile_bound(n: int, quantile: float, *, confidence: float = 0.95) -> Rank | None:
    """The smallest rank whose order statistic bounds the quantile from above: P(Bin(n, q) <= r - 1) >= confidence.

    None where even the largest of n does not: then nothing can be said about that quantile.
    """
    for rank in range(1, n + 1):
        reached = float(bdtr(rank - 1, n, quantile))
        if reached >= confidence:
            return Rank(rank, n, quantile, reached)
    return None
