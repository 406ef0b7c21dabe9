"""What a step is good for, by what happens without it: recovery, its speed, the data, redundancy; or nothing; or harm. Pure.

With two or three trials a side, speed is told only where the ranges are apart by half: what is not plain to see is no
difference here (of times with sd .2 on the log scale, two trials a side do that by chance in less than one of a hundred).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from harness.checking import durability, redundancy
from harness.checking.gate import Decision
from harness.checking.record import Record
from harness.model.history import Phase
from harness.model.units import Ns
from harness.model.verdict import Outcome

PLAIN: Final = 1.5
"""By which factor the slowest of one side must stay below the fastest of the other."""

FEWEST: Final = 2
"""Of how many trials a side speed can be told at all."""


class Effect(StrEnum):
    """What leaving something out shows."""

    NECESSARY = "necessary"
    SPEED = "makes recovery faster"
    DATA = "keeps data"
    REDUNDANCY = "restores redundancy"
    NOTHING = "changes nothing"
    SLOWS = "makes recovery slower"
    HARMFUL = "does harm"
    UNKNOWN = "not known"


REMOVABLE: Final = (Effect.NOTHING, Effect.SLOWS, Effect.HARMFUL)


@dataclass(frozen=True, slots=True)
class Call:
    """The effect of what was left out, and why it is called so. `confounded`: later steps that fail without it (indexes)."""

    effect: Effect
    why: str
    confounded: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """The trials of one variant that count, and what they decide."""

    decision: Decision
    records: tuple[Record, ...]

    @property
    def times(self) -> tuple[Ns, ...]:
        """How long recovery took, ns, in the trials that saw it."""
        return tuple(
            r.verdict.rta.fault.hi for r in self.records if r.verdict.rta and r.verdict.rta.fault.hi is not None
        )

    @property
    def lost(self) -> int:
        """The most acknowledged writes that any trial lost."""
        return max((r.verdict.loss.lost for r in self.records if r.verdict.loss), default=0)

    @property
    def spoilt(self) -> bool:
        """Whether any trial has data in it that is not what was written."""
        return any(durability.violations(r.verdict.loss) for r in self.records if r.verdict.loss)

    @property
    def bare(self) -> bool:
        """Whether any trial ended without its redundancy."""
        return any(
            f.check == redundancy.CHECK and f.outcome is not Outcome.PASSED
            for r in self.records
            for f in r.verdict.findings
        )

    @property
    def share(self) -> str:
        """How many of its trials succeeded."""
        return f"{sum(r.verdict.outcome is Outcome.PASSED for r in self.records)} of {len(self.records)}"


def call(whole: Side, without: Side) -> Call:
    """What the left-out part is good for: the `whole` procedure's trials against those `without` it."""
    effect, why = _effect(whole, without)
    return Call(effect, why, _confounded(whole, without))


def _effect(whole: Side, without: Side) -> tuple[Effect, str]:
    seen = f"without it {without.share} succeed, with it {whole.share}"
    undecided = (Decision.OPEN, Decision.INCONCLUSIVE)
    if whole.decision in undecided or without.decision in undecided:
        return Effect.UNKNOWN, f"{seen}: not enough to tell"
    if whole.decision is Decision.FAIL and without.decision is Decision.PASS:
        return Effect.HARMFUL, seen
    if whole.decision is Decision.FAIL:
        return Effect.UNKNOWN, f"{seen}: what a step is good for shows only in a procedure that works"
    if whole.spoilt and not without.spoilt:
        return Effect.HARMFUL, "without it no data is spoilt, with it some is"
    if whole.lost > without.lost:
        return Effect.HARMFUL, f"without it {without.lost} acknowledged writes are lost, with it {whole.lost}"
    if without.lost > whole.lost or (without.spoilt and not whole.spoilt):
        return Effect.DATA, f"without it {without.lost} acknowledged writes are lost, with it {whole.lost}"
    if without.decision is Decision.FAIL:
        return Effect.NECESSARY, seen
    if without.bare and not whole.bare:
        return Effect.REDUNDANCY, "without it service comes back, and the second of everything does not"
    return _speed(whole, without, seen)


def _speed(whole: Side, without: Side, seen: str) -> tuple[Effect, str]:
    if whole.times and without.times:
        told = f"RTA up to {max(without.times) / 1e9:.1f} s without it, {max(whole.times) / 1e9:.1f} s with it"
        if min(len(whole.times), len(without.times)) < FEWEST:
            return Effect.NOTHING, told
        if min(without.times) > PLAIN * max(whole.times):
            return Effect.SPEED, told
        if min(whole.times) > PLAIN * max(without.times):
            return Effect.SLOWS, told
        return Effect.NOTHING, f"{seen}; {told}"
    return Effect.NOTHING, seen


def _confounded(whole: Side, without: Side) -> tuple[int, ...]:
    """The steps that never fail in the whole procedure and do without the part: they may have lived on its output."""
    return tuple(sorted(_failing(without.records) - _failing(whole.records)))


def _failing(records: Sequence[Record]) -> set[int]:
    return {ran.step for r in records for ran in r.steps if ran.phase is Phase.FAIL}
