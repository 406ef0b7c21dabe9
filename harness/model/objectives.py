"""What is measured (indicators) and what it must hold (objectives, recovery). Not how it is sampled or judged."""

from dataclasses import dataclass

from harness.model.units import Ns, milliseconds, seconds


@dataclass(frozen=True, slots=True)
class Objective:
    """An SLO over one indicator: at least `ratio` of its probes are good.

    A probe is good if it answered rightly within `within` of the instant it was *scheduled* for.
    """

    indicator: str
    ratio: float = 0.95
    within: Ns = milliseconds(1000)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What counts as recovered, and by when.

    `rto` and `rpo` are the objectives (`rpo` None: loss is not judged). Recovered at t: over [t, t + window) every
    objective holds and its first probe is good, in every connection mode; and it stays so for `hold` more. `horizon`: how
    long after the fault call an arm is watched at most; the control arm is always watched for all of it. `redundancy`: by
    when after the fault call there is a second of everything again (None: it is told and not judged).
    """

    rto: Ns
    rpo: Ns | None = None
    window: Ns = seconds(5)
    hold: Ns = seconds(3)
    horizon: Ns = seconds(20)
    redundancy: Ns | None = None


@dataclass(frozen=True, slots=True)
class HumanTimes:
    """How long people take: added arithmetically, shown apart from the machine's time, never waited for.

    `detect` None: the measured detection delay is used. `acknowledge`: page to first command. `manual`: each manual
    instruction; `command`: reading and typing, each command.
    """

    acknowledge: Ns = seconds(300)
    manual: Ns = seconds(60)
    command: Ns = seconds(15)
    detect: Ns | None = None
