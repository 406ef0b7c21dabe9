"""How far each running trial is, as a value that grows with its events and samples. Not how it is drawn (terminal)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from harness.model.history import Event, Mode, Name, Phase, Sample, StepTerms
from harness.model.units import SECOND, Ns
from harness.reporting.wording import one_line, reason

CELL: Final[Ns] = SECOND // 2
"""What one character of a strip stands for."""

KEPT: Final = 60
"""How many cells of a strip are kept: the last 30 s."""


class Stage(StrEnum):
    """The stations of a trial, in order, as the live view names them."""

    ENVIRONMENT = "environment"
    STEADY = "steady"
    FAULT = "fault"
    DETECTED = "detected"
    PROCEDURE = "procedure"
    RECOVERING = "recovering"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Cell:
    """The samples that were due in one half second; `worst` the longest latency among them, in ns."""

    good: int = 0
    bad: int = 0
    worst: Ns = 0

    def seen(self, sample: Sample) -> "Cell":
        """With one more sample."""
        return Cell(
            good=self.good + sample.good, bad=self.bad + (not sample.good), worst=max(self.worst, sample.latency)
        )


Series = tuple[str, Mode]
Cells = Mapping[int, Cell]


@dataclass(frozen=True, slots=True)
class Progress:
    """One running trial. `began` and `latest` are monotonic ns; `doing` says what is under way; `cells` are numbered by
    half seconds of the monotonic clock."""

    trial: str
    began: Ns
    steps: tuple[StepTerms, ...] = ()
    stage: Stage | None = None
    doing: str = "starting"
    latest: Ns = 0
    ended: bool = False
    cells: Mapping[Series, Cells] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stations this trial will come by, as its arm has them."""
        arm = self.trial.rpartition(" ")[2].partition("-")[0]
        left_out: set[Stage] = set()
        if arm in ("control", "baseline"):
            left_out |= {Stage.PROCEDURE}
        if arm in ("sham", "baseline"):
            left_out |= {Stage.FAULT, Stage.DETECTED, Stage.RECOVERING}
        return tuple(stage for stage in Stage if stage not in left_out)

    def event(self, event: Event) -> "Progress":
        """After one more event."""
        stage, doing = _reached(event, self.steps) or (self.stage, self.doing)
        return replace(
            self,
            stage=stage or self.stage,
            doing=doing,
            latest=max(self.latest, event.at),
            ended=self.ended or (event.name is Name.TRIAL and event.phase is not Phase.INVOKE),
        )

    def samples(self, samples: Iterable[Sample]) -> "Progress":
        """With more samples, in whatever order they come; only the last cells of each series are kept."""
        cells = {series: dict(old) for series, old in self.cells.items()}
        latest = self.latest
        for sample in samples:
            of_series = cells.setdefault((sample.indicator, sample.mode), {})
            slot = sample.scheduled // CELL
            of_series[slot] = of_series.get(slot, Cell()).seen(sample)
            latest = max(latest, sample.scheduled)
        kept = {series: {k: v for k, v in each.items() if k > max(each) - KEPT} for series, each in cells.items()}
        return replace(self, cells=kept, latest=latest)


def step_at(event: Event, steps: tuple[StepTerms, ...]) -> str:
    """`step 3/7 runbook.md:41  CREATE INDEX …`, as far as the event and the plan's steps tell."""
    number = event.data.get("step")
    terms = next((each for each in steps if each.index == number), None)
    at = 1 + steps.index(terms) if terms else None
    where = event.source or (terms.source if terms else None)
    text = terms.text or terms.written if terms else str(event.data.get("text", ""))
    told = (f"step {at}/{len(steps)}" if at else "step", str(where or ""), one_line(text, limit=120))
    return "  ".join(part for part in told if part)


def _reached(event: Event, steps: tuple[StepTerms, ...]) -> tuple[Stage | None, str] | None:
    """Which station an event means, and what is under way from then on; None where it changes nothing."""
    why = reason(str(event.data.get("why", "")))
    match event.name, event.phase:
        case Name.ENVIRONMENT, Phase.INVOKE:
            return None, "bringing up the environment"
        case Name.ENVIRONMENT, Phase.INFO if "doing" in event.data:
            return None, one_line(str(event.data["doing"]))
        case Name.ENVIRONMENT, Phase.OK:
            return Stage.ENVIRONMENT, "waiting until it is steady"
        case Name.STEADY, Phase.OK:
            return Stage.STEADY, "steady"
        case Name.FAULT, Phase.INVOKE:
            return None, "injecting " + one_line(str(event.data.get("fault", "the fault")))
        case Name.FAULT, Phase.OK:
            return Stage.FAULT, "the fault is felt"
        case Name.DETECT, _:
            return Stage.DETECTED, "the objectives are broken"
        case Name.PROCEDURE, Phase.INVOKE:
            return Stage.PROCEDURE, "following the procedure"
        case Name.STEP, Phase.INVOKE:
            return None, step_at(event, steps)
        case Name.PROCEDURE, Phase.OK:
            return Stage.RECOVERING, "procedure followed to its end; watching for recovery"
        case Name.OBSERVED, _:
            return (Stage.HELD if why == "recovered" else None), f"observed until: {why}"
        case Name.HEAL, Phase.INVOKE:
            return None, "undoing the fault"
        case (Name.STEADY | Name.FAULT | Name.HARNESS, Phase.FAIL) | (Name.ABORT, _):
            return None, f"{event.name} {event.phase}: {why}"
        case _:
            return None
