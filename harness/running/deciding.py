"""Runs several variants of one plan, each until it is decided whether it works: in randomised blocks, so that drift of the
machine hits all alike, and no longer than it takes. What follows from the answers is ablation's and mutation's."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.checking.evidence import HEALS, succeeded, violated
from harness.checking.gate import Decision, Gate, Tier
from harness.checking.judge import judge
from harness.checking.record import Place, Record, record_of
from harness.model.design import TREATED, Trial
from harness.model.verdict import Outcome
from harness.plan import Plan
from harness.running.pool import Runner, host

REPLACED: Final = 3
"""How many trials of a variant may be invalid; with one more it stays undecided."""

Listener = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Variant:
    """A plan under a name that is unique among those it is compared with, and fit for a folder."""

    name: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Decided:
    """A variant's trials, and whether it works (PASS), does not (FAIL), or is not known (INCONCLUSIVE)."""

    variant: Variant
    decision: Decision
    records: tuple[Record, ...]

    @property
    def counted(self) -> tuple[Record, ...]:
        """Those from which something follows."""
        return tuple(r for r in self.records if r.verdict.outcome is not Outcome.INVALID)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is spent on each variant. `tier`: when it is decided; `jobs`: trials at a time; `seed`: of their order."""

    tier: Tier = HEALS
    jobs: int = 1
    seed: int = 1


async def decide(
    variants: Sequence[Variant], runner: Runner, folder: Path, *, effort: Effort, listener: Listener | None = None
) -> tuple[Decided, ...]:
    """Try every variant until it is decided. At most `n_max + REPLACED` trials each."""
    records: dict[str, list[Record]] = {variant.name: [] for variant in variants}
    order = random.Random(effort.seed)  # noqa: S311 - an order of trials, no secret
    places = asyncio.Semaphore(effort.jobs)
    for block in range(1, effort.tier.n_max + REPLACED + 1):
        open_ = [v for v in variants if _state(records[v.name], v.plan, effort.tier) is Decision.OPEN]
        if not open_:
            break
        order.shuffle(open_)
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(_try(v, Trial(TREATED, block, order.randrange(2**31)), runner, folder, places))
                for v in open_
            ]
            for variant, task in zip(open_, running, strict=True):
                record = await task
                records[variant.name].append(record)
                if listener is not None:
                    listener(record)
    return tuple(_decided(v, records[v.name], effort.tier) for v in variants)


async def _try(variant: Variant, trial: Trial, runner: Runner, folder: Path, places: asyncio.Semaphore) -> Record:
    async with places:
        history = await runner(variant.plan, trial, folder / variant.name / trial.id)
    place = Place("", *host(), trial.number)
    return record_of(history, judge(history), cell=variant.name, block=trial.number, place=place)


def _state(records: Sequence[Record], plan: Plan, tier: Tier) -> Decision:
    gate = Gate(tier)
    for record in records:
        if record.verdict.outcome is not Outcome.INVALID:
            gate = gate.update(ok=succeeded(record.verdict), violated=violated(record.verdict, plan.terms.recovery.rpo))
    invalid = len(records) - gate.n
    return Decision.INCONCLUSIVE if gate.decision is Decision.OPEN and invalid > REPLACED else gate.decision


def _decided(variant: Variant, records: Sequence[Record], tier: Tier) -> Decided:
    state = _state(records, variant.plan, tier)
    return Decided(variant, Decision.INCONCLUSIVE if state is Decision.OPEN else state, tuple(records))
