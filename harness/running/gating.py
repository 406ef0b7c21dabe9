"""Runs a gate: trials of every open cell in randomised blocks, each written down before and after, until all have decided, the
budget is spent, or too many do not count. What follows from the records is evidence's."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import __version__, clock
from harness.checking.evidence import Evidence, Interrupted, gather
from harness.checking.gate import Decision, Tier, operating_characteristics
from harness.checking.judge import judge
from harness.checking.record import Place, Record, record_of
from harness.model.design import CONTROL, TREATED, Arm, Trial
from harness.model.history import History
from harness.model.units import Ns, seconds
from harness.plan import Plan
from harness.ports import Substrate
from harness.running.pool import Runner, host
from harness.running.triallog import Begun, Cell, Opened, TrialLog

BRINGING_UP: Final = seconds(8)
"""What a trial takes beside its steady window and its observation, on the local substrate; for estimates only."""

Listener = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Ask:
    """One trial of one cell that is to be run."""

    plan: Plan
    trial: Trial
    block: int


def opening(plans: Sequence[Plan], substrate: Substrate, tier: Tier, seed: int) -> Opened:
    """What a gate on these plans binds itself to."""
    return Opened(__version__, tier, tuple(Cell(plan.name, digest(plan, substrate)) for plan in plans), seed)


def digest(plan: Plan, substrate: Substrate) -> str:
    """The SHA-256 of all that could change an outcome, as far as it is known: plan, substrate, isolation, class of host."""
    parts = (plan.digest, substrate.name, substrate.isolation, host()[1])
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def evidence(plan: Plan, log: TrialLog) -> Evidence:
    """What the log says of one cell so far."""
    return gather(
        plan.name,
        log.opened.tier,
        plan.terms.recovery,
        cells=len(log.opened.cells),
        records=log.records,
        interrupted=[Interrupted(b.arm, b.block) for b in log.interrupted() if b.cell == plan.name],
    )


@dataclass(frozen=True, slots=True)
class Effort:
    """What a gate will cost at most likely: `trials` of both arms and `wall` ns, where every treated trial succeeds with
    probability `p`."""

    p: float
    trials: float
    wall: Ns


def effort(found: Evidence, plan: Plan, p: float, *, jobs: int) -> Effort:
    """The expected effort from here on: by the mean of the trials there are, else by what a trial may take."""
    ahead = operating_characteristics(found.gate, p).expected_n
    control = operating_characteristics(found.control, 0.0).expected_n
    took = [r.took for r in found.records]
    each = sum(took) / len(took) if took else longest(plan)
    return Effort(p, ahead + control, round((ahead + control) * each / jobs))


def longest(plan: Plan) -> Ns:
    """About how long a trial takes that is watched to its horizon, ns."""
    prepared = sum(min(step.timeout, seconds(5)) for step in plan.prepare)
    return BRINGING_UP + prepared + plan.terms.recovery.window + plan.terms.recovery.horizon


async def run_gate(  # noqa: PLR0913 - what is gated, where it is kept and run, and for how long
    plans: Sequence[Plan],
    log: TrialLog,
    runner: Runner,
    folder: Path,
    *,
    jobs: int = 1,
    budget: Ns | None = None,
    listener: Listener | None = None,
) -> tuple[Evidence, ...]:
    """Run trials until nothing is open, and return the evidence by plan. At most `jobs` at a time; no trial is begun after
    `budget` ns. Outcomes count in the order in which trials were drawn, never in that in which they ended."""
    began = clock.now()
    batch = max((r.place.batch for r in log.records), default=0)
    waiting: list[Ask] = []
    while True:
        found = {plan.name: evidence(plan, log) for plan in plans}
        waiting = [ask for ask in waiting if _wanted(found[ask.plan.name], ask.trial.arm)]
        while len(waiting) < jobs and (block := _block(plans, found, log, waiting)):
            waiting.extend(block)
        if not waiting or (budget is not None and clock.now() - began >= budget):
            return tuple(found[plan.name] for plan in plans)
        wave, waiting = waiting[:jobs], waiting[jobs:]
        batch += 1
        await _run(wave, log, runner, folder, batch=batch, listener=listener)


def _block(plans: Sequence[Plan], found: dict[str, Evidence], log: TrialLog, waiting: Sequence[Ask]) -> tuple[Ask, ...]:
    """The next block: each arm that is still wanted of each cell once, in an order drawn from the seed and its number. An arm
    of which so many are waiting that they could decide is left out."""
    number = 1 + max((*(begun.block for begun in log.begun), *(ask.block for ask in waiting)), default=0)
    order = random.Random(f"{log.opened.seed}/{number}")  # noqa: S311 - an order of trials, no secret
    ahead = Counter((ask.plan.name, ask.trial.arm) for ask in waiting)
    block = [
        (plan, arm)
        for plan in plans
        for arm in (CONTROL, TREATED)
        if _wanted(found[plan.name], arm) and ahead[plan.name, arm] < _enough(found[plan.name], arm)
    ]
    order.shuffle(block)
    return tuple(Ask(plan, Trial(arm, number, order.randrange(2**31)), number) for plan, arm in block)


def _wanted(found: Evidence, arm: Arm) -> bool:
    """Whether a trial of that arm could still change what is concluded."""
    undecided = found.gate if arm == TREATED else found.control
    return found.open and undecided.decision is Decision.OPEN


def _enough(found: Evidence, arm: Arm) -> int:
    """How many trials of that arm decide if all come out as is hoped: successes with the procedure, failures without."""
    return max(1, found.gate.to_pass if arm == TREATED else found.control.to_fail)


async def _run(  # noqa: PLR0913 - one wave and where it goes
    wave: Sequence[Ask], log: TrialLog, runner: Runner, folder: Path, *, batch: int, listener: Listener | None
) -> None:
    """Run a wave side by side, and write down what became of it in the order it was drawn in, as far as it is whole."""
    for ask in wave:
        log.begin(Begun(ask.plan.name, ask.trial.id, ask.trial.arm, ask.block))
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_history(ask, runner, folder)) for ask in wave]
        for ask, task in zip(wave, running, strict=True):
            history = await task
            place = Place("", *host(), batch)
            record = record_of(history, judge(history), cell=ask.plan.name, block=ask.block, place=place)
            log.end(record)
            if listener is not None:
                listener(record)


async def _history(ask: Ask, runner: Runner, folder: Path) -> History:
    return await runner(ask.plan, ask.trial, folder / ask.plan.name.replace("/", "__") / ask.trial.id)
