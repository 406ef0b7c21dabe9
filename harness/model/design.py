"""The experiment's design: arms, and the schedule of trials. Not what is done in one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Arm:
    """A cell of fault × procedure."""

    fault: bool
    procedure: bool

    @property
    def name(self) -> str:
        """`baseline`, `control`, `treated` or `sham`."""
        return _NAMES[self.fault, self.procedure]

    def __str__(self) -> str:
        return self.name


BASELINE = Arm(fault=False, procedure=False)
CONTROL = Arm(fault=True, procedure=False)
TREATED = Arm(fault=True, procedure=True)
SHAM = Arm(fault=False, procedure=True)
ARMS = (BASELINE, CONTROL, TREATED, SHAM)

_NAMES = {
    (False, False): "baseline",
    (True, False): "control",
    (True, True): "treated",
    (False, True): "sham",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of one arm: `number` within its arm and block, 1-based; `seed` its own randomness."""

    arm: Arm
    number: int
    seed: int

    @property
    def id(self) -> str:
        """A name that is unique in its experiment: `treated-1`."""
        return f"{self.arm.name}-{self.number}"
