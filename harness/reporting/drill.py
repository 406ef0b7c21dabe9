"""What every report is made of: an experiment as judged, beside the histories it was judged from. No rendering."""

from dataclasses import dataclass

from harness.model.history import Header, History, Name, Phase
from harness.model.units import Ns
from harness.model.verdict import Assessment, Verdict


@dataclass(frozen=True, slots=True)
class Drill:
    """One scenario's experiment. A history belongs to the verdict whose `trial` is its header's."""

    assessment: Assessment
    histories: tuple[History, ...]

    @property
    def header(self) -> Header | None:
        """What all its trials share (terms, runbook, substrate), from the first of them; None where none was recorded."""
        return self.histories[0].header if self.histories else None

    @property
    def remarks(self) -> tuple[str, ...]:
        """The remarks of all its trials, each once, in order."""
        return tuple(dict.fromkeys(remark for history in self.histories for remark in history.header.remarks))

    @property
    def where(self) -> tuple[str, ...]:
        """Each substrate with its isolation that its trials ran on: `local, isolated by namespaces`."""
        headers = [history.header for history in self.histories]
        return tuple(dict.fromkeys(f"{each.substrate}, isolated by {each.isolation}" for each in headers))

    def history(self, verdict: Verdict) -> History | None:
        """The history that `verdict` judges, or None if it is not among ours."""
        return next((each for each in self.histories if each.header.trial == verdict.trial), None)

    def pairs(self) -> tuple[tuple[Verdict, History], ...]:
        """The verdicts whose histories we have, with them."""
        found = ((verdict, self.history(verdict)) for verdict in self.assessment.verdicts)
        return tuple((verdict, history) for verdict, history in found if history is not None)


def origin(verdict: Verdict, history: History) -> Ns:
    """The instant (monotonic ns) from which a trial's times are told: the fault call; where there was none, the first
    command, the end of the steady state, or the trial's beginning."""
    if verdict.timings.call is not None:
        return verdict.timings.call
    found = (
        history.first(Name.FAULT, Phase.INVOKE)
        or history.first(Name.PROCEDURE, Phase.INVOKE)
        or history.first(Name.STEADY, Phase.OK)
        or next(iter(history.events), None)
    )
    return found.at if found else history.header.monotonic
