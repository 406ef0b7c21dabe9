"""What follows from histories: findings, a verdict per trial, an assessment per experiment. Not how they are reached."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from harness.model.design import Arm
from harness.model.source import Source
from harness.model.units import Ns


class Outcome(StrEnum):
    """A question's answer. `worst` composes them: no evidence is never a pass."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"

    @staticmethod
    def worst(outcomes: "Iterable[Outcome]") -> "Outcome":
        """Invalid over failed over inconclusive over passed; nothing at all is inconclusive."""
        return max(outcomes, key=_SEVERITY.index, default=Outcome.INCONCLUSIVE)


_SEVERITY = [Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.FAILED, Outcome.INVALID]


class Word(StrEnum):
    """The verdict on a procedure."""

    EFFECTIVE = "effective"
    SLOW = "slow"
    INEFFECTIVE = "ineffective"
    UNNECESSARY = "unnecessary"
    HARMFUL = "harmful"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Interval:
    """A duration known to lie in [lo, hi] ns; `hi` None: it was not reached while we watched (censored at `lo`)."""

    lo: Ns
    hi: Ns | None

    @property
    def censored(self) -> bool:
        """Whether its end was not seen."""
        return self.hi is None


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's answer: `why` is a sentence for a person, `evidence` indexes events, `source` is the runbook line."""

    check: str
    outcome: Outcome
    why: str
    evidence: tuple[int, ...] = ()
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """The trial's timeline in monotonic ns (measurement's words); None where it did not happen.

    `recovered` brackets t_rec: (last bad before, first good of the sustained window].
    """

    call: Ns | None = None
    felt: Ns | None = None
    onset: Interval | None = None
    detected: Ns | None = None
    started: Ns | None = None
    first_good: Ns | None = None
    recovered: Interval | None = None
    redundant: Ns | None = None
    ended: Ns | None = None
    bad_seconds: float = 0.0
    episodes: int = 0


@dataclass(frozen=True, slots=True)
class Recovered:
    """RTA in ns: from the fault call (`fault`), from the first bad sample (`user`), from the first command (`procedure`, what
    the runbook can change). `human` is what people would add by the declared times: never waited for, shown apart, and on
    top of `fault` when that is held against the RTO."""

    fault: Interval
    user: Interval | None = None
    procedure: Interval | None = None
    human: Ns = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """The ledger's classes by count, and RPA. `rpa` in ns is [age of the oldest lost acknowledged write, that plus one gap];
    `resolution` the largest gap between acknowledgements shortly before the fault: what loss could go unseen. `worst_case`:
    what the drill's backup schedule loses at most; `phase`: how long after the backup began the fault came; both None without a
    schedule. `stale`: acknowledged writes that a strong read begun later missed and one after it saw; `stale_max` the longest
    time between acknowledgement and such a read."""

    acked: int
    lost: int
    rpa: Interval
    resolution: Ns
    failed: int = 0
    unknown: int = 0
    recovered_unacked: int = 0
    lost_after_fault: int = 0
    duplicates: int = 0
    phantoms: int = 0
    corrupt: int = 0
    failed_but_present: int = 0
    vanished: int = 0
    holes: int = 0
    worst_case: Ns | None = None
    phase: Ns | None = None
    stale: int = 0
    stale_max: Ns = 0


class Status(StrEnum):
    """What became of a trial: recovered in time, too late, not while watched, never broke, or cannot be counted."""

    OK = "ok"
    MISS = "miss"
    CENSORED = "censored"
    NO_BREACH = "no_breach"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Alerted:
    """What would have become of one alert rule in a trial; times in ns since the fault call (without one: since steady).

    `delay`: when it would have fired, None if it would not. `pending`: when it would have, had the outage lasted: its
    condition held when observation ended. `cleared`: when its condition no longer held, after it fired. `series` is the
    indicator in which it was first; `assumed`: the text names no window, and the usual one was taken.
    """

    name: str
    text: str
    source: Source | None = None
    series: str = ""
    delay: Ns | None = None
    pending: Ns | None = None
    cleared: Ns | None = None
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One trial, judged."""

    trial: str
    arm: Arm
    outcome: Outcome
    status: Status
    findings: tuple[Finding, ...]
    timings: Timings = Timings()
    rta: Recovered | None = None
    loss: Loss | None = None
    alerts: tuple[Alerted, ...] = ()


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """An arm's trials by status. `bound` is the one-sided 95% Clopper-Pearson lower limit on P(recovers within the RTO)."""

    arm: Arm
    n: int
    ok: int = 0
    miss: int = 0
    censored: int = 0
    no_breach: int = 0
    invalid: int = 0
    bound: float = 0.0


@dataclass(frozen=True, slots=True)
class Assessment:
    """All arms of one scenario, judged. `limits` are the sentences that bound the claim; print them beside every
    word. `alerts` say of each alert rule when it would have fired."""

    scenario: str
    word: Word
    outcome: Outcome
    why: str
    arms: tuple[ArmSummary, ...]
    verdicts: tuple[Verdict, ...]
    rta: Interval | None = None
    rpa: Interval | None = None
    human: Ns = 0
    findings: tuple[Finding, ...] = ()
    limits: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    effective: bool | None = None
    necessary: bool | None = None
    harmless: bool | None = None
