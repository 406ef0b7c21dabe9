"""Runs two versions of a procedure side by side, in blocks of one trial each in random order. What the times say is
checking.comparison's."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from harness.checking.evidence import Evidence, gather
from harness.checking.gate import BRONZE
from harness.checking.judge import judge
from harness.checking.record import Place, Record, record_of
from harness.checking.words import INVALID_CAP
from harness.model.design import TREATED, Trial
from harness.model.units import Ns
from harness.model.verdict import Outcome
from harness.plan import Plan
from harness.running.deciding import Listener, Variant
from harness.running.pool import Runner, host

Pair = tuple[Record, Record]


@dataclass(frozen=True, slots=True)
class Compared:
    """The blocks (old, new) that count; `spoilt` blocks were replaced because a trial in them was invalid. `evidence` is the
    gate's on the new version."""

    blocks: tuple[Pair, ...]
    spoilt: int
    evidence: Evidence

    @property
    def fair(self) -> bool:
        """Whether few enough blocks had to be replaced."""
        return self.spoilt <= max(1, INVALID_CAP * (self.spoilt + len(self.blocks)))

    def times(self, horizon: Ns) -> tuple[tuple[Ns, Ns], ...]:
        """The recovery times by block, ns; `horizon` where recovery was not seen."""
        return tuple((_time(old, horizon), _time(new, horizon)) for old, new in self.blocks)

    @property
    def unseen(self) -> int:
        """How many recoveries were not seen."""
        return sum(_seen(record) is None for block in self.blocks for record in block)


async def compare(  # noqa: PLR0913 - what is run, where, and how often
    old: Plan,
    new: Plan,
    runner: Runner,
    folder: Path,
    *,
    blocks: int,
    jobs: int = 1,
    seed: int = 1,
    listener: Listener | None = None,
) -> Compared:
    """Run blocks until `blocks` of them count, or too many do not. At most `jobs` trials at a time."""
    order = random.Random(seed)  # noqa: S311 - an order of trials, no secret
    kept: list[Pair] = []
    spoilt = 0
    places = asyncio.Semaphore(jobs)
    while len(kept) < blocks and spoilt <= max(1, INVALID_CAP * (spoilt + blocks)):
        number = len(kept) + spoilt + 1
        block = [Variant("old", old), Variant("new", new)]
        order.shuffle(block)
        trial = Trial(TREATED, number, order.randrange(2**31))
        async with asyncio.TaskGroup() as group:
            tasks = {v.name: group.create_task(_try(v, trial, runner, folder, places)) for v in block}
        pair = tasks["old"].result(), tasks["new"].result()
        for record in pair:
            if listener is not None:
                listener(record)
        if any(record.verdict.outcome is Outcome.INVALID for record in pair):
            spoilt += 1
        else:
            kept.append(pair)
    records = [record for _, record in kept]
    evidence = gather("new", BRONZE, new.terms.recovery, cells=1, records=records)
    return Compared(tuple(kept), spoilt, evidence)


async def _try(version: Variant, trial: Trial, runner: Runner, folder: Path, places: asyncio.Semaphore) -> Record:
    async with places:
        history = await runner(version.plan, trial, folder / version.name / trial.id)
    place = Place("", *host(), trial.number)
    return record_of(history, judge(history), cell=version.name, block=trial.number, place=place)


def _seen(record: Record) -> Ns | None:
    return record.verdict.rta.fault.hi if record.verdict.rta else None


def _time(record: Record, horizon: Ns) -> Ns:
    seen = _seen(record)
    return max(1, horizon if seen is None else seen)
