"""A backup schedule, and at which point of it a drill's fault comes. Not what follows for the loss (checking.backups)."""

from dataclasses import dataclass
from enum import StrEnum

from harness.model.units import Ns


class BackupPhase(StrEnum):
    """When in the schedule the fault comes: just before the next backup would be durable, or at random (by the trial's seed).

    A single random phase finds 95% of the worst case with probability 6% (300 s, backups of 30 s), twenty with 68%.
    """

    ADVERSARIAL = "adversarial"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class BackupSchedule:
    """The scenario's `prepare` takes one backup; in the drill the next would begin `drilled` ns after it.

    `interval` is that of the schedule in life (ns), None where nobody states one; how long a backup takes until it is
    durable is measured.
    """

    drilled: Ns
    interval: Ns | None = None
    phase: BackupPhase = BackupPhase.ADVERSARIAL
