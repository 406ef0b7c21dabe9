"""Is there a second of everything again? A service that is back without its standby does not survive the next fault."""

from collections.abc import Iterator

from harness.checking.moments import Moments
from harness.model.history import History, Name, Phase
from harness.model.units import show
from harness.model.verdict import Finding, Outcome

CHECK = "redundancy"


def check(history: History, moments: Moments) -> Iterator[Finding]:
    """One finding if redundancy was looked at. It decides where the scenario has an objective for it, else it is told beside
    recovery."""
    watched = history.first(Name.REDUNDANCY, Phase.INVOKE)
    seen = list(history.named(Name.REDUNDANCY, Phase.OK, Phase.FAIL))
    limit = history.header.terms.recovery.redundancy
    told = f" (objective {show(limit)})" if limit is not None else ""
    if not seen:
        if watched is not None:
            yield Finding(CHECK, Outcome.PASSED, "redundancy was never seen to be lost", (watched.index,))
        elif limit is not None:
            yield Finding(CHECK, Outcome.INCONCLUSIVE, f"redundancy was not looked at{told}")
        return
    last = seen[-1]
    if last.phase is Phase.OK:
        took = max(0, last.at - moments.since)
        outcome = Outcome.FAILED if limit is not None and took > limit else Outcome.PASSED
        yield Finding(
            CHECK, outcome, f"standbys and headroom were back {show(took)} after the fault call{told}", (last.index,)
        )
        return
    missed = limit is not None and moments.until - moments.since > limit
    why = f"service runs without redundancy: {last.data.get('why', 'standbys are not back')}{told}"
    yield Finding(CHECK, Outcome.FAILED if missed else Outcome.INCONCLUSIVE, why, (last.index,))
