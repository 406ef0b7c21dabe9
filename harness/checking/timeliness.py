"""Did service come back soon enough: after the fault under the procedure, by itself, or after the procedure alone?"""

from collections.abc import Iterator

from harness.checking.moments import Moments
from harness.checking.recovery import Outage
from harness.model.design import CONTROL, TREATED
from harness.model.history import History, Name
from harness.model.units import Ns, in_seconds, show
from harness.model.verdict import Finding, Interval, Outcome, Status

CHECK = "recovery"


def since(interval: Interval, start: Ns) -> Interval:
    """A bracket of an instant as a bracket of the time from `start` to it; not below zero."""
    return Interval(max(0, interval.lo - start), None if interval.hi is None else max(0, interval.hi - start))


def taken(moments: Moments, outage: Outage) -> Interval:
    """From the act (the fault call, without one the first command) to recovery; censored where it was not seen."""
    start = moments.disturbed if moments.disturbed is not None else moments.since
    return since(outage.recovered or Interval(outage.possible, None), start)


def status(history: History, moments: Moments, outage: Outage | None, *, people: Ns) -> Status:
    """What became of a trial that counts. OK only if the whole bracket, and `people`'s declared time (ns) on top, is within
    the RTO: RTO >= detection + acknowledgement + execution (measured, declared, measured)."""
    if outage is None:
        return Status.NO_BREACH
    hi = taken(moments, outage).hi
    if hi is None:
        return Status.CENSORED
    return Status.OK if hi + people <= history.header.terms.recovery.rto else Status.MISS


def check(history: History, moments: Moments, outage: Outage | None, *, people: Ns) -> Iterator[Finding]:
    """One finding on what the arm is expected to show: treated recovers, control does not, the others do not break. `people`'s
    declared time (ns) counts against the RTO, and is told apart."""
    observed = tuple(e.index for e in history.named(Name.OBSERVED))
    arm = history.header.arm
    if outage is None:
        if not arm.fault:
            yield Finding(CHECK, Outcome.PASSED, "no objective was broken", observed)
        return
    took = taken(moments, outage)
    early = _within(took, history.header.terms.recovery.rto - people)
    if arm == TREATED:
        outcome, why = _treated(history, moments, outage, early)
        if outage.recovered is not None and people:
            why = f"{why}, and {show(people)} of people's time by the declared times"
    elif arm == CONTROL:
        outcome, why = _control(history, moments, outage, early)
    elif arm.procedure:
        outcome = Outcome.PASSED if early is Outcome.PASSED else Outcome.FAILED
        why = f"without any fault the procedure broke the objectives; {_told(took, history)}"
    else:
        outcome, why = (
            Outcome.FAILED,
            f"nothing was done to the system, and it broke its objectives; {_told(took, history)}",
        )
    yield Finding(CHECK, outcome, why, observed)


def _within(took: Interval, rto: Ns) -> Outcome:
    """Whether it took at most the RTO: known for the whole bracket, or not known."""
    if took.hi is not None and took.hi <= rto:
        return Outcome.PASSED
    return Outcome.FAILED if took.lo > rto else Outcome.INCONCLUSIVE


def _treated(history: History, moments: Moments, outage: Outage, early: Outcome) -> tuple[Outcome, str]:
    rule = history.header.terms.recovery
    told = _told(taken(moments, outage), history)
    if outage.recovered is not None or early is Outcome.FAILED:
        return early, told
    if _pending(history, moments, outage):
        return Outcome.INCONCLUSIVE, f"{told}; it was coming back when observation ended, so the horizon is too short"
    if moments.followed is not None and moments.until - moments.followed >= rule.window + rule.hold:
        after = show(moments.until - moments.followed)
        return Outcome.FAILED, f"{told}, {after} after the procedure had been followed to its end"
    return Outcome.INCONCLUSIVE, f"{told}; the procedure was cut off too early to tell, so the horizon is too short"


def _control(history: History, moments: Moments, outage: Outage, early: Outcome) -> tuple[Outcome, str]:
    told = _told(taken(moments, outage), history)
    if outage.recovered is None:
        if _pending(history, moments, outage) and early is not Outcome.FAILED:
            return Outcome.INCONCLUSIVE, f"{told}; it was coming back by itself when observation ended"
        return Outcome.PASSED, f"nothing was done about the fault; {told}"
    opposite = {Outcome.PASSED: Outcome.FAILED, Outcome.FAILED: Outcome.PASSED}
    return opposite.get(early, early), f"it came back by itself; {told}"


def _pending(history: History, moments: Moments, outage: Outage) -> bool:
    """Whether it may have been recovering in the last moments watched."""
    return outage.recovered is None and moments.until - outage.possible >= history.header.terms.recovery.window // 2


def _told(took: Interval, history: History) -> str:
    rto = f"RTO {show(history.header.terms.recovery.rto)}"
    if took.hi is None:
        return f"service had not recovered when observation ended (more than {show(took.lo)}, {rto})"
    return f"service was back after {in_seconds(took.lo):.2f} to {in_seconds(took.hi):.2f} s ({rto})"
