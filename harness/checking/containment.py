"""Did the trial keep within its bounds: nothing had to be aborted, and the fault was undone?"""

from collections.abc import Iterator

from harness.model.history import History, Name, Phase
from harness.model.verdict import Finding, Outcome

CHECK = "containment"


def check(history: History) -> Iterator[Finding]:
    """A failed finding for each abort, an invalid one for a fault that was not undone; else one that passed."""
    aborts = tuple(history.named(Name.ABORT))
    for event in aborts:
        why = f"the trial was aborted: {event.data.get('why', 'no reason given')}"
        yield Finding(CHECK, Outcome.FAILED, why, (event.index,))
    injected, healed = history.first(Name.FAULT, Phase.INVOKE), history.first(Name.HEAL, Phase.OK)
    if injected is not None and healed is None:
        yield Finding(CHECK, Outcome.INVALID, "the record does not say that the fault was undone", (injected.index,))
    elif not aborts:
        evidence = (healed.index,) if healed else ()
        yield Finding(
            CHECK, Outcome.PASSED, "nothing was aborted" + (", and the fault was undone" if healed else ""), evidence
        )
