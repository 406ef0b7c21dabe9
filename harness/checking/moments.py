"""The instants that a trial's events state, found once. Not what the samples say (recovery)."""

from dataclasses import dataclass

from harness.model.history import Event, History, Name, Phase
from harness.model.units import Ns


@dataclass(frozen=True, slots=True)
class Moments:
    """Monotonic ns; None where the history has no such event.

    `since` is where the arm's own act begins (the fault call; without a fault: steady), `until` where observation ended.
    """

    since: Ns
    until: Ns
    steady: Ns | None = None
    call: Ns | None = None
    felt: Ns | None = None
    started: Ns | None = None
    followed: Ns | None = None
    observed: Ns | None = None
    redundant: Ns | None = None

    @property
    def disturbed(self) -> Ns | None:
        """When something was first done to the system: the fault call, else the first command; None in the baseline."""
        return self.call if self.call is not None else self.started


def moments(history: History) -> Moments:
    """The instants of a history."""
    call = _at(history.first(Name.FAULT, Phase.INVOKE))
    steady = _at(history.first(Name.STEADY, Phase.OK))
    observed = _at(history.first(Name.OBSERVED))
    ended = history.events[-1].at if history.events else history.header.monotonic
    since = call if call is not None else steady if steady is not None else history.header.monotonic
    return Moments(
        since=since,
        until=observed if observed is not None else ended,
        steady=steady,
        call=call,
        felt=_felt(history.first(Name.FAULT, Phase.OK)),
        started=_at(history.first(Name.PROCEDURE, Phase.INVOKE)),
        followed=_at(history.first(Name.PROCEDURE, Phase.OK)),
        observed=observed,
        redundant=_redundant(history),
    )


def _redundant(history: History) -> Ns | None:
    """When redundancy was back for good; None where it was never lost, or is lost still."""
    seen = list(history.named(Name.REDUNDANCY, Phase.OK, Phase.FAIL))
    return seen[-1].at if seen and seen[-1].phase is Phase.OK else None


def _at(event: Event | None) -> Ns | None:
    return event.at if event is not None else None


def _felt(event: Event | None) -> Ns | None:
    """When the target was seen to feel it, which may be before the injection call returned."""
    if event is None:
        return None
    at = event.data.get("felt_at")
    return at if isinstance(at, int) else event.at
