"""Is there a second of everything again? A service that is back without its standby does not survive the next fault."""

from collections.abc import Iterator

from harness.checking.moments import Moments
from harness.model.history import History, Name, Phase
from harness.model.units import show
from harness.model.verdict import Finding, Outcome

CHECK = "redundancy"


def check(history: History, moments: Moments) -> Iterator[Finding]:
    """One finding if redundancy was looked at. It is told beside recovery and does not decide it."""
    back, gone = history.first(Name.REDUNDANCY, Phase.OK), history.first(Name.REDUNDANCY, Phase.FAIL)
    if back is not None:
        why = f"standbys and headroom were back {show(max(0, back.at - moments.since))} after the fault call"
        yield Finding(CHECK, Outcome.PASSED, why, (back.index,))
    elif gone is not None:
        why = f"service runs without redundancy: {gone.data.get('why', 'standbys are not back')}"
        yield Finding(CHECK, Outcome.INCONCLUSIVE, why, (gone.index,))
