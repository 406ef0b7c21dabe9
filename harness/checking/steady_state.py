"""Did every objective hold over one window before anything was done to the system? If not, nothing follows."""

from collections.abc import Iterator

from harness.checking import series as series_of
from harness.checking import windows
from harness.checking.moments import Moments
from harness.model.history import History, Name, Phase
from harness.model.units import show
from harness.model.verdict import Finding, Outcome

CHECK = "steady_state"


def check(history: History, moments: Moments) -> Iterator[Finding]:
    """One finding: what the runner saw, and again from the samples of the last window before the act."""
    failed = history.first(Name.STEADY, Phase.FAIL)
    steady = history.first(Name.STEADY, Phase.OK)
    if failed is not None or steady is None:
        why = str(failed.data.get("why", "")) if failed else "the history does not say that the system was steady"
        yield Finding(CHECK, Outcome.INVALID, why, (failed.index,) if failed else ())
        return
    window = history.header.terms.recovery.window
    series = series_of.every(history.header.terms, history.samples, since=moments.since - window, until=moments.since)
    unsteady = [
        f"{each.name}: {bad} of {n} bad, {windows.allowed(n, each.objective.ratio)} allowed"
        for each in series
        for n, bad in [each.between(moments.since - window, moments.since)]
        if not each.holds(moments.since - window, moments.since)
    ]
    if unsteady:
        why = f"not steady in the {show(window)} before: " + "; ".join(unsteady)
        yield Finding(CHECK, Outcome.INVALID, why, (steady.index,))
    else:
        yield Finding(CHECK, Outcome.PASSED, f"every objective held for {show(window)} before", (steady.index,))
