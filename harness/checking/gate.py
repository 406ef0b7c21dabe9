"""When enough trials have been run, and what they decide: a pair of e-processes, valid however often it is looked at.

Under any success probability <= p0 the likelihood ratio is a nonnegative supermartingale, so it ever reaches 1/alpha with
probability at most alpha (Ville), also where trials depend on each other but for their conditional success probability being
<= p0. Not for one trial's outcome (judge).
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Decision(StrEnum):
    """What a gate says. OPEN: more trials are needed; INCONCLUSIVE: no more may be run, and neither side was reached."""

    OPEN = "open"
    PASS = "pass"  # noqa: S105 - a decision, no secret
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Tier:
    """How sure a gate has to be: it passes where P(success) <= `p0` with probability at most `alpha`, fails where it is
    >= `p1` with at most `beta`, and gives up after `n_max` trials. ValueError for figures that are none of these."""

    name: str
    p0: float
    p1: float
    alpha: float
    beta: float
    n_max: int

    def __post_init__(self) -> None:
        if not (0 < self.p0 < self.p1 < 1 and 0 < self.alpha < 1 and 0 < self.beta < 1 and self.n_max > 0):
            raise ValueError(f"expected 0 < p0 < p1 < 1, 0 < alpha, beta < 1 and n_max > 0, found {self}")


QUICK: Final = Tier("quick", 0.05, 0.95, 0.10, 0.10, 3)
BRONZE: Final = Tier("bronze", 0.50, 0.95, 0.05, 0.05, 15)
SILVER: Final = Tier("silver", 0.80, 0.95, 0.05, 0.05, 60)
GOLD: Final = Tier("gold", 0.90, 0.99, 0.05, 0.05, 90)
PLATINUM: Final = Tier("platinum", 0.95, 0.995, 0.05, 0.05, 140)
TIERS: Final = {tier.name: tier for tier in (QUICK, BRONZE, SILVER, GOLD, PLATINUM)}
"""For a first look, a pull request, a night, a release, and where regulation asks."""

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Gate:
    """The evidence so far on one cell (runbook × fault × topology, one digest). `cells`: how many cells block together, by
    which the failing side is corrected (Bonferroni). `violated`: acknowledged data was lost or spoilt, which no statistics
    excuses."""

    tier: Tier
    cells: int = 1
    ok: int = 0
    failed: int = 0
    violated: bool = False

    @property
    def n(self) -> int:
        """How many trials it has counted."""
        return self.ok + self.failed

    @property
    def evidence(self) -> float:
        """Log of the likelihood ratio of p1 to p0: what it takes to pass is log(1/alpha)."""
        up, down = _steps(self.tier)
        return self.ok * up + self.failed * down

    @property
    def decision(self) -> Decision:
        """What it says now."""
        if self.violated:
            return Decision.FAIL
        passes, fails = _bounds(self)
        if self.evidence >= passes:
            return Decision.PASS
        if self.evidence <= fails:
            return Decision.FAIL
        return Decision.INCONCLUSIVE if self.n >= self.tier.n_max else Decision.OPEN

    def update(self, *, ok: bool, violated: bool = False) -> "Gate":
        """With one more trial that counts. A gate that has decided stays as it is, but for a violation, which always fails."""
        if violated:
            return replace(self, failed=self.failed + 1, violated=True)
        if self.decision is not Decision.OPEN:
            return self
        return replace(self, ok=self.ok + 1) if ok else replace(self, failed=self.failed + 1)

    @property
    def to_pass(self) -> int:
        """How many successes in a row pass from here, if no failure comes between; 0 where it has passed."""
        up, _ = _steps(self.tier)
        return max(0, math.ceil((_bounds(self)[0] - self.evidence) / up))

    @property
    def to_fail(self) -> int:
        """How many failures in a row fail from here; 0 where it has failed."""
        _, down = _steps(self.tier)
        return max(0, math.ceil((_bounds(self)[1] - self.evidence) / down))


@dataclass(frozen=True, slots=True)
class Characteristics:
    """What a gate will do where P(success) is `p`, exactly: the probability of each decision and the mean number of further
    trials."""

    p: float
    passed: float
    failed: float
    inconclusive: float
    expected_n: float


def operating_characteristics(gate: Gate, p: float) -> Characteristics:
    """What `gate` will do from here on if each further trial succeeds with probability `p`: exact, by dynamic programming
    over the gates that are still open. ValueError for a p that is no probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"expected a probability, found {p}")
    ended = dict.fromkeys(Decision, 0.0)
    expected, alive = 0.0, {gate: 1.0} if gate.decision is Decision.OPEN else {}
    if not alive:
        ended[gate.decision] = 1.0
    for _ in range(gate.tier.n_max - gate.n):
        following: dict[Gate, float] = {}
        for state, weight in alive.items():
            expected += weight
            for ok, share in ((True, p), (False, 1 - p)):
                after = state.update(ok=ok)
                if after.decision is Decision.OPEN:
                    following[after] = following.get(after, 0.0) + weight * share
                else:
                    ended[after.decision] += weight * share
        alive = following
    return Characteristics(p, ended[Decision.PASS], ended[Decision.FAIL], ended[Decision.INCONCLUSIVE], expected)


def _steps(tier: Tier) -> tuple[float, float]:
    """What a success and a failure add to the evidence."""
    return math.log(tier.p1 / tier.p0), math.log((1 - tier.p1) / (1 - tier.p0))


def _bounds(gate: Gate) -> tuple[float, float]:
    """The evidence at which it passes and at which it fails."""
    return -math.log(gate.tier.alpha) - _ROUNDING, -math.log(gate.cells / gate.tier.beta) + _ROUNDING
