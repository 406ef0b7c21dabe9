"""What all records of one cell say together: the gate's decision, whether the recovery is the runbook's doing, and every figure
of the claim. Pure: the same log gives the same, whenever it is asked. Not which trial is run next (running.gating)."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from harness.checking import durability, hygiene
from harness.checking.gate import Decision, Gate, Tier
from harness.checking.intervals import (
    Rank,
    always_valid_lower,
    clopper_pearson_lower,
    clopper_pearson_upper,
    quantile_bound,
    wilson_lower,
)
from harness.checking.record import Record
from harness.checking.survival import Step, kaplan_meier, quantile, restricted_mean
from harness.checking.words import INVALID_CAP, SPARE
from harness.model.design import CONTROL, TREATED, Arm
from harness.model.objectives import Recovery
from harness.model.units import Ns
from harness.model.verdict import Finding, Interval, Outcome, Status, Verdict

HEALS: Final = Tier("heals", 0.2, 0.9, 0.05, 0.05, 6)
"""Does it come back without the procedure? Asked of the control arm, and of every procedure that something is left out of:
PASS says that P(recovers) > .2, FAIL that it is < .9; two in a row decide."""

_QUANTILES: Final = (0.99, 0.95, 0.9, 0.8, 0.75, 0.5)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A trial of that block that was begun and never ended: it cannot count, and is not forgotten."""

    arm: Arm
    block: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """One cell's evidence. `recovery` are the objectives it is held against."""

    cell: str
    recovery: Recovery
    gate: Gate
    control: Gate
    records: tuple[Record, ...]
    interrupted: tuple[Interrupted, ...] = ()

    def of(self, arm: Arm) -> tuple[Record, ...]:
        """All of an arm, in order."""
        return tuple(r for r in self.records if r.arm == arm)

    def counted(self, arm: Arm) -> tuple[Record, ...]:
        """Those of an arm from which something follows."""
        return tuple(r for r in self.of(arm) if r.verdict.outcome is not Outcome.INVALID)

    def invalid(self, arm: Arm = TREATED) -> int:
        """How many of an arm cannot be counted."""
        return len(self.of(arm)) - len(self.counted(arm)) + sum(each.arm == arm for each in self.interrupted)

    @property
    def spoilt(self) -> bool:
        """Whether so many treated trials cannot be counted that the rest is no fair sample."""
        invalid = self.invalid()
        return invalid > max(SPARE, INVALID_CAP * (invalid + len(self.counted(TREATED))))

    @property
    def hopeless(self) -> bool:
        """Whether more cannot be counted than may be even in the longest run: then there is no sense in going on."""
        most = INVALID_CAP / (1 - INVALID_CAP) * self.gate.tier.n_max
        return self.invalid() > max(SPARE, most) or self.invalid(CONTROL) > max(2, HEALS.n_max)

    @property
    def decision(self) -> Decision:
        """The gate's, which is inconclusive where too many trials do not count. A violation fails whatever else is so."""
        if self.gate.violated:
            return Decision.FAIL
        decided = self.gate.decision
        if decided is Decision.OPEN:
            return Decision.INCONCLUSIVE if self.hopeless else Decision.OPEN
        return Decision.INCONCLUSIVE if self.spoilt else decided

    @property
    def attributable(self) -> bool | None:
        """Whether recovery is the procedure's doing: the control does not recover. None where that is not known."""
        return {Decision.FAIL: True, Decision.PASS: False}.get(self.control.decision)

    @property
    def open(self) -> bool:
        """Whether more trials could change what is concluded: the gate is open, or it passed and the control is open."""
        if self.decision is Decision.OPEN:
            return True
        return self.decision is Decision.PASS and self.control.decision is Decision.OPEN and not self.hopeless

    @property
    def outcome(self) -> Outcome:
        """What the cell comes to: passed only if the gate passes and the recovery is the procedure's doing."""
        match self.decision:
            case Decision.FAIL:
                return Outcome.FAILED
            case Decision.OPEN | Decision.INCONCLUSIVE:
                return Outcome.INCONCLUSIVE
            case Decision.PASS:
                held = {True: Outcome.PASSED, False: Outcome.FAILED, None: Outcome.INCONCLUSIVE}
                return held[self.attributable]


def gather(  # noqa: PLR0913 - what was decided before, and what was seen
    cell: str,
    tier: Tier,
    recovery: Recovery,
    *,
    cells: int,
    records: Sequence[Record],
    interrupted: Sequence[Interrupted] = (),
) -> Evidence:
    """The evidence in `records` (of all cells, in the order of the log) on `cell`."""
    mine = tuple(r for r in records if r.cell == cell)
    gate, control = Gate(tier, cells), Gate(HEALS)
    for record in mine:
        if record.verdict.outcome is Outcome.INVALID:
            continue
        if record.arm == TREATED:
            gate = gate.update(ok=succeeded(record.verdict), violated=violated(record.verdict, recovery.rpo))
        elif record.arm == CONTROL:
            control = control.update(ok=healed(record.verdict))
    return Evidence(cell, recovery, gate, control, mine, tuple(interrupted))


def succeeded(verdict: Verdict) -> bool:
    """Whether a trial that counts is a success: nothing short of passed is, also where the checks could not tell."""
    return verdict.outcome is Outcome.PASSED


def violated(verdict: Verdict, rpo: Ns | None) -> bool:
    """Whether what no statistics excuse has happened: data that is not what was written, or loss where none is allowed."""
    loss = verdict.loss
    return loss is not None and bool(durability.violations(loss) or (rpo == 0 and loss.lost))


def healed(verdict: Verdict) -> bool:
    """Whether service came back in time with its data as good as the RPO asks, whatever was done for it."""
    kept = not any(
        f.outcome is Outcome.FAILED and f.check in (durability.CHECK, durability.INTEGRITY) for f in verdict.findings
    )
    return verdict.status is Status.OK and kept


@dataclass(frozen=True, slots=True)
class Claim:
    """Every figure of one cell's claim; times in ns. The fixed-sample figures (`clopper_pearson`, `wilson`, `rank`) describe;
    after stopping when it suited they guarantee nothing: `always_valid` does. `loss_upper` bounds P(a trial loses data),
    None without a ledger; `p_control` is Fisher's exact one-sided p of treated against control."""

    n: int
    ok: int
    miss: int
    censored: int
    unclear: int
    invalid: int
    reasons: tuple[tuple[str, int], ...]
    clopper_pearson: float
    wilson: float
    always_valid: float
    evidence: float
    curve: tuple[Step, ...]
    median: Ns | None
    p90: Ns | None
    p95: Ns | None
    rank: Rank | None
    bound: Ns | None
    slowest: Interval | None
    mean: float | None
    rpa: Interval | None
    resolution: Ns | None
    loss_upper: float | None
    control_n: int
    control_ok: int
    p_control: float | None
    autocorrelation: float | None
    if_invalid_failed: Decision
    cost: Ns


def claim(evidence: Evidence) -> Claim:
    """The figures of the claim that the evidence bears."""
    treated, control = evidence.counted(TREATED), evidence.counted(CONTROL)
    n, ok = len(treated), sum(succeeded(r.verdict) for r in treated)
    of = Counter(r.verdict.status for r in treated)
    times = recoveries(treated)
    curve = kaplan_meier(times)
    rank = _best(n)
    losses = [r.verdict.loss for r in treated if r.verdict.loss]
    losing = sum(loss.lost > 0 for loss in losses)
    healing = sum(healed(r.verdict) for r in control)
    return Claim(
        n=n,
        ok=ok,
        miss=of[Status.MISS],
        censored=of[Status.CENSORED],
        unclear=sum(r.verdict.outcome is Outcome.INCONCLUSIVE for r in treated),
        invalid=evidence.invalid(),
        reasons=_reasons(evidence),
        clopper_pearson=clopper_pearson_lower(ok, n),
        wilson=wilson_lower(ok, n),
        always_valid=always_valid_lower(ok, n),
        evidence=evidence.gate.evidence,
        curve=curve,
        median=quantile(curve, 0.5),
        p90=quantile(curve, 0.9),
        p95=quantile(curve, 0.95),
        rank=rank,
        bound=_ranked(times, rank),
        slowest=max(times, key=lambda i: i.lo if i.hi is None else i.hi, default=None),
        mean=restricted_mean(curve, evidence.recovery.horizon) if times else None,
        rpa=_worst([loss.rpa for loss in losses]),
        resolution=max((loss.resolution for loss in losses), default=None),
        loss_upper=clopper_pearson_upper(losing, len(losses)) if losses else None,
        control_n=len(control),
        control_ok=healing,
        p_control=fisher(ok, n, healing, len(control)) if n and control else None,
        autocorrelation=autocorrelation([math.log(i.hi) for i in times if i.hi]),
        if_invalid_failed=_pessimistic(evidence),
        cost=sum(r.took for r in evidence.records),
    )


def recoveries(records: Sequence[Record]) -> tuple[Interval, ...]:
    """How long recovery took in each, from the fault call; open where it was not seen."""
    return tuple(r.verdict.rta.fault for r in records if r.verdict.rta)


def fisher(a: int, n: int, b: int, m: int) -> float:
    """P(at least `a` successes among the first `n` of n + m | a + b successes in all): Fisher's exact test, one-sided."""
    total, successes = n + m, a + b
    ways = sum(math.comb(n, k) * math.comb(m, successes - k) for k in range(a, min(n, successes) + 1))
    return ways / math.comb(total, successes)


def autocorrelation(values: Sequence[float]) -> float | None:
    """The lag-1 autocorrelation of a series; None of fewer than four values, or of equal ones."""
    if len(values) < 4:
        return None
    mean = math.fsum(values) / len(values)
    off = [value - mean for value in values]
    spread = math.fsum(d * d for d in off)
    return math.fsum(a * b for a, b in itertools.pairwise(off)) / spread if spread > 0 else None


def _pessimistic(evidence: Evidence) -> Decision:
    """The gate's decision if every treated trial that cannot be counted had failed, each in its place."""
    gate = replace(evidence.gate, ok=0, failed=0, violated=False)
    drawn: list[tuple[int, Verdict | None]] = [(r.block, r.verdict) for r in evidence.of(TREATED)]
    drawn += [(each.block, None) for each in evidence.interrupted if each.arm == TREATED]
    for _, verdict in sorted(drawn, key=lambda each: each[0]):
        if verdict is None:
            gate = gate.update(ok=False)
        else:
            gate = gate.update(ok=succeeded(verdict), violated=violated(verdict, evidence.recovery.rpo))
    return gate.decision


def _best(n: int) -> Rank | None:
    """The highest quantile that `n` trials bound, by its order statistic."""
    return next((found for q in _QUANTILES if (found := quantile_bound(n, q)) is not None), None)


def _ranked(times: Sequence[Interval], rank: Rank | None) -> Ns | None:
    """The order statistic of that rank; None where it was not seen, or where not every trial has a time."""
    if rank is None or len(times) != rank.n:
        return None
    ends = sorted((math.inf if i.hi is None else i.hi) for i in times)
    found = ends[rank.rank - 1]
    return None if math.isinf(found) else int(found)


def _worst(intervals: Sequence[Interval]) -> Interval | None:
    return max(intervals, key=lambda i: (i.hi is None, i.hi or 0), default=None)


def _reasons(evidence: Evidence) -> tuple[tuple[str, int], ...]:
    """Why treated trials cannot be counted, with how many each, the most frequent first."""
    told: Counter[str] = Counter()
    for record in evidence.of(TREATED):
        if record.verdict.outcome is Outcome.INVALID:
            told[_reason([f for f in record.verdict.findings if f.outcome is Outcome.INVALID])] += 1
    interrupted = sum(each.arm == TREATED for each in evidence.interrupted)
    if interrupted:
        told["interrupted"] = interrupted
    return tuple(told.most_common())


def _reason(findings: Sequence[Finding]) -> str:
    """The kind of trouble: the check, but for the instrument's, which goes by its usual name."""
    first = findings[0].check if findings else "unknown"
    return "instrument" if first == hygiene.CHECK else first.replace("_", " ")
