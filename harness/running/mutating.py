"""Runs broken twins of a procedure: one that passes shows that the drill does not see its mistake."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.checking import timeliness
from harness.checking.gate import Decision
from harness.model.verdict import Outcome
from harness.plan import Plan
from harness.runbooks.mutants import Mutant
from harness.running.deciding import Decided, Effort, Listener, Variant, decide
from harness.running.pool import Runner


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mutant: FAIL is a kill, PASS survives; `trials` count, and `why` is what the last of them said."""

    mutant: Mutant
    decision: Decision
    trials: int
    why: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """All mutants of one procedure. `original`: whether the text as it is passes; if not, a kill means nothing."""

    original: Decision
    fates: tuple[Fate, ...]

    def of(self, decision: Decision) -> tuple[Fate, ...]:
        """Those of that fate."""
        return tuple(fate for fate in self.fates if fate.decision is decision)

    @property
    def rate(self) -> float | None:
        """The share of decided mutants that were killed; None where none was decided, or the text itself does not pass."""
        killed, survived = len(self.of(Decision.FAIL)), len(self.of(Decision.PASS))
        decided = killed + survived
        return killed / decided if decided and self.original is Decision.PASS else None

    @property
    def outcome(self) -> Outcome:
        """Passed if the text passes and every twin is killed; a survivor fails; the rest is not conclusive."""
        if self.original is not Decision.PASS:
            return Outcome.INCONCLUSIVE
        if self.of(Decision.PASS):
            return Outcome.FAILED
        return (
            Outcome.PASSED
            if self.fates and self.rate == 1 and not self.of(Decision.INCONCLUSIVE)
            else Outcome.INCONCLUSIVE
        )


async def mutate(  # noqa: PLR0913 - what is run, where, and how
    plan: Plan,
    mutants: Sequence[Mutant],
    runner: Runner,
    folder: Path,
    *,
    effort: Effort,
    listener: Listener | None = None,
) -> Mutation:
    """Run the text as it is, and every mutant, until each is decided."""
    variants = [Variant("as-written", plan)]
    variants += [Variant(f"mutant-{number}", mutant.plan) for number, mutant in enumerate(mutants, 1)]
    original, *found = await decide(variants, runner, folder, effort=effort, listener=listener)
    fates = []
    for mutant, each in zip(mutants, found, strict=True):
        fates.append(Fate(mutant, each.decision, len(each.counted), _said(each)))
    return Mutation(original.decision, tuple(fates))


def _said(found: Decided) -> str:
    """What the last trial that counts says of its outcome: of recovery, where it says something of it."""
    verdicts = [r.verdict for r in found.counted[-1:]]
    told = [f for v in verdicts for f in v.findings if f.outcome is v.outcome]
    return min(told, key=lambda f: f.check != timeliness.CHECK).why if told else ""
