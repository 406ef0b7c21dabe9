"""Leaves out each step of a procedure, to see what it is good for; then all that seem good for nothing at once, since two steps
may stand in for each other; and where that shows, pairs of them. What a result means is checking.ablation's."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from harness.checking.ablation import REMOVABLE, Call, Effect, Side, call
from harness.plan import Plan, PlannedStep
from harness.runbooks.mutants import executed, without
from harness.running.deciding import Decided, Effort, Listener, Variant, decide
from harness.running.pool import Runner

PAIRS: Final = 15
"""At most so many pairs are tried: of six steps."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One experiment: the steps that were left out, what that shows, and from how many trials that count."""

    steps: tuple[PlannedStep, ...]
    call: Call
    trials: int


@dataclass(frozen=True, slots=True)
class Ablation:
    """A procedure taken apart. `together` leaves out all removable steps at once; None where there are fewer than two. `pairs`
    are those that were tried because together they are missed."""

    whole: Side
    singles: tuple[LeftOut, ...]
    together: LeftOut | None = None
    pairs: tuple[LeftOut, ...] = ()

    @property
    def removable(self) -> tuple[PlannedStep, ...]:
        """The steps that can go, all of them together: shown, not inferred from one at a time."""
        alone = tuple(each.steps[0] for each in self.singles if each.call.effect in REMOVABLE)
        if self.together is None:
            return alone
        return alone if self.together.call.effect in REMOVABLE else ()


async def ablate(
    plan: Plan, runner: Runner, folder: Path, *, effort: Effort, listener: Listener | None = None
) -> Ablation:
    """Take the procedure apart, sequentially: two trials decide on a step that plainly is or is not needed."""
    steps = executed(plan)
    variants = [Variant("whole", plan), *(_left_out(plan, (step,)) for step in steps)]
    whole, *tried = await decide(variants, runner, folder, effort=effort, listener=listener)
    reference = _side(whole)
    singles = tuple(_shown(reference, (step,), found) for step, found in zip(steps, tried, strict=True))
    idle = [each.steps[0] for each in singles if each.call.effect in REMOVABLE]
    if len(idle) < 2:
        return Ablation(reference, singles)
    (all_,) = await decide([_left_out(plan, idle)], runner, folder, effort=effort, listener=listener)
    together = _shown(reference, tuple(idle), all_)
    if together.call.effect in REMOVABLE or len(idle) == 2:
        return Ablation(reference, singles, together)
    pairs = list(combinations(idle, 2))[:PAIRS]
    found = await decide([_left_out(plan, p) for p in pairs], runner, folder, effort=effort, listener=listener)
    shown = tuple(_shown(reference, pair, each) for pair, each in zip(pairs, found, strict=True))
    return Ablation(reference, singles, together, shown)


def _left_out(plan: Plan, steps: Sequence[PlannedStep]) -> Variant:
    numbers = [step.terms.index for step in steps]
    return Variant("without-" + "-".join(map(str, numbers)), without(plan, numbers))


def _side(found: Decided) -> Side:
    return Side(found.decision, found.counted)


def _shown(reference: Side, steps: tuple[PlannedStep, ...], found: Decided) -> LeftOut:
    return LeftOut(steps, call(reference, _side(found)), len(found.counted))


__all__ = ["Ablation", "Effect", "LeftOut", "ablate"]
