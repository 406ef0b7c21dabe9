"""Whether a window of probes can tell a kept objective from a broken one: the exact binomial, before the first trial.

Not for judging samples (series, recovery).
"""

import math
from fractions import Fraction
from functools import lru_cache
from typing import Final

from harness.model.objectives import Objective
from harness.model.units import Ns, show

QUICK: Final = 0.05
"""The largest share of wrong answers in either direction that a quick drill may have."""

STRICT: Final = 0.01
"""The same for a certificate."""

_MOST_PROBES: Final = 200_000


def probes(window: Ns, period: Ns) -> int:
    """How many probes, one every `period`, are due in [t, t + window) when one is due at t."""
    return max(0, -(-window // period))


@lru_cache(maxsize=65_536)
def allowed(n: int, ratio: float) -> int:
    """How many of `n` probes may be bad: floor((1 - ratio) n), exactly, for a ratio as it is written in decimals."""
    return math.floor((1 - Fraction(str(ratio))) * n)


def at_most(c: int, n: int, p: float) -> float:
    """P(X <= c) for X ~ Bin(n, p), exact."""
    if c < 0:
        return 0.0
    if c >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    odds, rest, whole = math.log(p), math.log1p(-p), math.lgamma(n + 1)
    terms = (
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * odds + (n - k) * rest) for k in range(c + 1)
    )
    return min(1.0, math.fsum(terms))


def healthy_rejected(n: int, ratio: float, *, rate: float | None = None) -> float:
    """P(a healthy system is taken for a broken one by `n` probes); healthy: bad at `rate`, or a tenth of the budget."""
    return 1.0 - at_most(allowed(n, ratio), n, 0.1 * (1 - ratio) if rate is None else rate)


def degraded_accepted(n: int, ratio: float, *, rate: float | None = None) -> float:
    """P(a degraded system is taken for a healthy one by `n` probes).

    Degraded: bad at `rate`, or at five times the budget, at most half-way between the budget and everything bad.
    """
    budget = 1 - ratio
    return at_most(allowed(n, ratio), n, min(5 * budget, (1 + budget) / 2) if rate is None else rate)


def resolves(n: int, ratio: float, *, limit: float = QUICK) -> bool:
    """Whether `n` probes are wrong at most with probability `limit`, in either direction."""
    return n > 0 and healthy_rejected(n, ratio) <= limit and degraded_accepted(n, ratio) <= limit


def smallest_window(ratio: float, *, limit: float = QUICK) -> int | None:
    """The smallest number of probes that `resolves` the objective; None where 200,000 do not."""
    if not 0 < ratio < 1:
        return None
    return next((n for n in range(1, _MOST_PROBES) if resolves(n, ratio, limit=limit)), None)


def refusal(objective: Objective, *, window: Ns, period: Ns, limit: float = QUICK) -> str | None:
    """Why `window` ns of probes, one every `period` ns, cannot show that `objective` holds; None if they can."""
    name, ratio = objective.indicator, objective.ratio
    if not 0 < ratio < 1:
        return f"the objective on `{name}` asks for a ratio of {ratio:g}: expected more than 0 and less than 1"
    if period <= 0 or window <= 0:
        return (
            f"the objective on `{name}` cannot be seen in a window of {show(window)} with a probe every {show(period)}"
        )
    n = probes(window, period)
    if resolves(n, ratio, limit=limit):
        return None
    enough = smallest_window(ratio, limit=limit)
    least = f"the shortest window that can is {show(enough * period)} ({enough} probes)" if enough else "no window can"
    return (
        f"{n} probes in {show(window)} cannot tell whether {ratio:.6g} of `{name}` is kept: a healthy system would be "
        f"rejected with probability {healthy_rejected(n, ratio):.2g}, a degraded one accepted with "
        f"{degraded_accepted(n, ratio):.2g} (at most {limit:g} is allowed); {least}"
    )
