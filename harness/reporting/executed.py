"""The steps a history shows as followed, each beside its terms: what the step reports are made of. Nothing is judged."""

from dataclasses import dataclass

from harness.model.history import Event, History, Name, Phase, Scalar, StepTerms
from harness.model.source import Source
from harness.model.units import Ns


@dataclass(frozen=True, slots=True)
class Execution:
    """One step: `begun` None where it never began, `ended` None where its end was not seen, `terms` None where the plan
    has no such step (what was done before the fault)."""

    terms: StepTerms | None
    begun: Event | None
    ended: Event | None

    @property
    def data(self) -> dict[str, Scalar]:
        """What was recorded of it, at its beginning and its end."""
        return {**(self.begun.data if self.begun else {}), **(self.ended.data if self.ended else {})}

    @property
    def source(self) -> Source | None:
        """The runbook line."""
        event = self.ended or self.begun
        return self.terms.source if self.terms else event.source if event else None

    @property
    def took(self) -> Ns | None:
        """From its beginning to its end, in ns."""
        return self.ended.at - self.begun.at if self.begun and self.ended else None


def executions(history: History) -> tuple[Execution, ...]:
    """All steps of the plan in its order, and before them whatever else was run as a step."""
    begun: list[tuple[Event, Event | None]] = []
    for event in history.named(Name.STEP):
        if event.phase is Phase.INVOKE:
            begun.append((event, None))
            continue
        open_ = [n for n, (start, end) in enumerate(begun) if end is None and _number(start) == _number(event)]
        if open_:
            begun[open_[-1]] = (begun[open_[-1]][0], event)
        else:
            begun.append((event, event))
    terms = {each.index: each for each in history.header.terms.steps}
    others = [Execution(None, start, end) for start, end in begun if _number(start) not in terms]
    planned: list[Execution] = []
    for each in terms.values():
        runs = [Execution(each, start, end) for start, end in begun if _number(start) == each.index]
        planned.extend(runs or [Execution(each, None, None)])
    return (*others, *planned)


def _number(event: Event) -> int | None:
    number = event.data.get("step")
    return number if isinstance(number, int) else None
