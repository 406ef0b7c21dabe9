"""What a backup schedule loses at worst, by arithmetic and as it was measured: the fault in a drill comes when it hurts most.

A backup that begins every `interval` and is durable `duration` later holds what was acknowledged before it began. A fault
just before one becomes durable finds only the one before: interval + duration (measurement: section 3.4).
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.checking.moments import Moments
from harness.model.backup import BackupPhase, BackupSchedule
from harness.model.design import TREATED
from harness.model.history import Event, History, Name, Phase
from harness.model.units import Ns, milliseconds, show
from harness.model.verdict import Finding, Loss, Outcome

CHECK = "backup"

EDGE: Ns = milliseconds(100)
"""How long before the next backup would be durable an adversarial fault is called: calling takes time as well."""

PREPARATION = "preparation"


def worst_case(interval: Ns, duration: Ns) -> Ns:
    """The least bound on the loss of a backup every `interval` ns that is durable `duration` ns after it began."""
    return interval + duration


def loss_at(phase: Ns, *, interval: Ns, duration: Ns) -> Ns:
    """The loss of a fault `phase` ns after some backup began, backups having begun every `interval` ns for ever: the age of
    the beginning of the newest one that is durable by then."""
    return duration + (phase - duration) % interval


def longest_interval(rpo: Ns, duration: Ns) -> Ns | None:
    """How far apart backups may begin at most if never more than `rpo` ns may be lost; None where no schedule is enough."""
    return rpo - duration if rpo > duration else None


def seen_by(trials: int, *, share: float, interval: Ns, duration: Ns) -> float:
    """The probability that the worst of `trials` faults at random phases loses at least `share` of the worst case."""
    misses = min(1.0, max(0.0, (share * worst_case(interval, duration) - duration) / interval))
    return 1.0 - math.pow(misses, trials)


@dataclass(frozen=True, slots=True)
class Backup:
    """The backup of a drill's preparation: when it began, and when it was durable (monotonic ns)."""

    begun: Ns
    durable: Ns

    @property
    def duration(self) -> Ns:
        """How long it took."""
        return self.durable - self.begun


def taken(events: Iterator[Event]) -> Backup | None:
    """The backup that the preparation took; None where it was not taken to its end."""
    steps = [e for e in events if e.name is Name.STEP and e.actor == PREPARATION]
    begun = [e.at for e in steps if e.phase is Phase.INVOKE]
    ended = [e.at for e in steps if e.phase is not Phase.INVOKE]
    failed = any(e.phase is Phase.FAIL for e in steps)
    return Backup(begun[0], ended[-1]) if begun and len(begun) == len(ended) and not failed else None


def fault_at(schedule: BackupSchedule, backup: Backup, *, seed: int) -> Ns:
    """The instant at which the fault is to be called."""
    match schedule.phase:
        case BackupPhase.ADVERSARIAL:
            return backup.begun + worst_case(schedule.drilled, backup.duration) - EDGE
        case BackupPhase.RANDOM:
            drawn = random.Random(seed).randrange(schedule.drilled)  # noqa: S311 - a phase, no secret
            return backup.durable + drawn


def placed(history: History, moments: Moments, loss: Loss | None) -> Loss | None:
    """The same loss, with where in the drill's backup schedule the fault came, and what that schedule loses at worst."""
    schedule, backup = history.header.terms.backup, taken(history.named(Name.STEP))
    if loss is None or schedule is None or backup is None or moments.call is None:
        return loss
    return replace(loss, worst_case=worst_case(schedule.drilled, backup.duration), phase=moments.call - backup.begun)


def check(history: History, moments: Moments, loss: Loss | None) -> Iterator[Finding]:
    """One finding of a treated trial with a backup schedule: was no more lost than since the backup began, and does the
    schedule of real life keep the RPO at its worst?"""
    schedule = history.header.terms.backup
    if schedule is None or history.header.arm != TREATED or moments.call is None:
        return
    backup = taken(history.named(Name.STEP))
    evidence = tuple(e.index for e in history.named(Name.STEP) if e.actor == PREPARATION)
    if backup is None or loss is None:
        why = "the preparation took no backup to its end" if backup is None else "what was lost was not measured"
        yield Finding(CHECK, Outcome.INCONCLUSIVE, why, evidence)
        return
    age = moments.call - backup.begun
    if loss.rpa.lo > age:
        why = (
            f"writes acknowledged {show(loss.rpa.lo)} before the fault call are lost, and the backup began only {show(age)} "
            "before it: it does not hold all that it should"
        )
        yield Finding(CHECK, Outcome.FAILED, why, evidence)
        return
    outcome, bound = _against(schedule, backup, history.header.terms.recovery.rpo)
    yield Finding(CHECK, outcome, f"{_measured(schedule, backup, age, loss)}; {bound}", evidence)


def _measured(schedule: BackupSchedule, backup: Backup, age: Ns, loss: Loss) -> str:
    worst = worst_case(schedule.drilled, backup.duration)
    where = (
        "just before the next would have been durable" if age >= worst - 2 * EDGE else "at some point of the schedule"
    )
    return (
        f"the fault came {show(age)} after the backup began, {where}: {show(loss.rpa.lo)} of writes are lost, of at most "
        f"{show(worst)} (every {show(schedule.drilled)} in the drill, durable after {show(backup.duration)})"
    )


def _against(schedule: BackupSchedule, backup: Backup, rpo: Ns | None) -> tuple[Outcome, str]:
    """What follows for the schedule of real life."""
    if schedule.interval is None:
        if rpo is None:
            return Outcome.PASSED, "neither an interval nor an RPO is stated"
        most = longest_interval(rpo, backup.duration)
        if most is None:
            return Outcome.FAILED, f"no schedule keeps the RPO of {show(rpo)}: a backup takes longer than that"
        return Outcome.PASSED, f"the RPO of {show(rpo)} is kept at worst if one begins at least every {show(most)}"
    worst = worst_case(schedule.interval, backup.duration)
    told = f"every {show(schedule.interval)}, as in life, at worst {show(worst)} are lost"
    if rpo is None:
        return Outcome.PASSED, told
    if worst <= rpo:
        return Outcome.PASSED, f"{told} (RPO {show(rpo)})"
    return Outcome.FAILED, f"{told}, {show(worst - rpo)} more than the RPO of {show(rpo)}"
