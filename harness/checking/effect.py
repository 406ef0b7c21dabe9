"""Was the fault felt: by the target (evidence) and by the users (onset)? A fault that was not is no test of a runbook."""

from collections.abc import Iterator

from harness.checking.moments import Moments
from harness.checking.recovery import Outage
from harness.model.history import History, Name, Phase, Scalar
from harness.model.units import show
from harness.model.verdict import Finding, Outcome

CHECK = "effect"


def check(history: History, moments: Moments, outage: Outage | None) -> Iterator[Finding]:
    """One finding in arms with a fault, none in the others."""
    if not history.header.arm.fault:
        return
    injected, felt = history.first(Name.FAULT, Phase.INVOKE), history.first(Name.FAULT, Phase.OK)
    unfelt = history.first(Name.FAULT, Phase.FAIL)
    evidence = tuple(e.index for e in (injected, felt, unfelt) if e is not None)
    if injected is None:
        why = "the fault was not injected"
    elif unfelt is not None:
        why = f"the fault was not felt: {unfelt.data.get('why', 'no reason given')}"
    elif felt is None:
        why = "the history ends while the fault is injected"
    elif outage is None:
        why = "the target felt the fault, and the users' probes never noticed: " + _told(felt.data)
    else:
        onset = (outage.onset.hi or outage.onset.lo) - moments.since
        told = f"{_told(felt.data)}; users' probes failed from {show(max(0, onset))} after the call"
        yield Finding(CHECK, Outcome.PASSED, told, evidence)
        return
    yield Finding(CHECK, Outcome.INVALID, why, evidence)


def _told(evidence: dict[str, Scalar]) -> str:
    told = ", ".join(f"{key} {value}" for key, value in evidence.items() if key != "felt_at")
    return f"felt ({told})" if told else "felt"
