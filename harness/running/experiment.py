"""All trials of a scenario: the randomised schedule, several at a time where asked, each judged as it ends."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.checking import hygiene, steady_state
from harness.checking.assess import assess
from harness.checking.judge import judge
from harness.model.design import Arm, Trial
from harness.model.history import History, Name
from harness.model.verdict import Assessment, Outcome, Verdict
from harness.plan import Plan
from harness.running import store
from harness.running.ahead import Ahead
from harness.running.trial import Bench, run_trial


def schedule(arms: Sequence[Arm], repetitions: int, seed: int) -> tuple[Trial, ...]:
    """Blocks in which every arm stands once, in an order drawn from `seed`, so that drift of the machine hits all alike."""
    order = random.Random(seed)  # noqa: S311 - an order of trials, no secret
    trials: list[Trial] = []
    for number in range(1, repetitions + 1):
        block = list(arms)
        order.shuffle(block)
        trials.extend(Trial(arm, number, order.randrange(2**31)) for arm in block)
    return tuple(trials)


async def run_experiment(
    plan: Plan, trials: Sequence[Trial], bench: Bench, run: Path, *, places: asyncio.Semaphore
) -> tuple[Assessment, tuple[History, ...]]:
    """Run `trials`, as many at a time as there are `places`, and judge them. One folder each below `run`. With `bench.ahead`
    the environment of the next trial is brought up while one runs. With `bench.replace` one trial of each arm that was
    not fit to be counted is run once more, before anybody has looked at what came of it; both are kept, and told of."""
    folder = prepared(plan, run)
    ahead = Ahead(bench.substrate, [folder / trial.id for trial in trials])
    ground = replace(bench, substrate=ahead) if bench.ahead else bench

    again = {trial.arm: _one_more(trial.arm, trials) for trial in trials} if bench.replace else {}

    async def one(trial: Trial) -> tuple[History, ...]:
        async with places:
            place = folder / trial.id
            place.mkdir(exist_ok=bench.ahead)
            history = await run_trial(plan, trial, ground, place)
            verdict = judge(history)
            for reporter in bench.reporters:
                reporter.verdict(f"{plan.name} {trial.id}", verdict)
        replacement = again.pop(trial.arm, None) if _unfit(history, verdict) else None
        return (history, *(await one(replacement))) if replacement else (history,)

    async with ahead, asyncio.TaskGroup() as group:
        running = [group.create_task(one(trial)) for trial in trials]
    histories = in_order(history for task in running for history in task.result())
    assessment = assess_stored(stored(plan), histories)
    for reporter in bench.reporters:
        reporter.assessment(assessment)
    return assessment, histories


def _one_more(arm: Arm, trials: Sequence[Trial]) -> Trial:
    """A trial of `arm` beside those: its seed follows from theirs."""
    last = max((trial for trial in trials if trial.arm == arm), key=lambda trial: trial.number)
    return Trial(arm, last.number + 1, random.Random(last.seed).randrange(2**31))  # noqa: S311 - no secret


def _unfit(history: History, verdict: Verdict) -> bool:
    """Whether the instrument did not keep up, or the system was not steady to begin with, as on a machine that is busy for a
    while. Trouble of the harness with bringing a system up, and faults that nobody felt, would only come again."""
    checks = {hygiene.CHECK, steady_state.CHECK}
    unfit = any(f.check in checks and f.outcome is Outcome.INVALID for f in verdict.findings)
    return unfit and history.first(Name.HARNESS) is None


def in_order(histories: Iterable[History]) -> tuple[History, ...]:
    """Histories by their trials' names: the order in which a stored run is read, whatever order they were run in."""
    return tuple(sorted(histories, key=lambda history: history.header.trial))


def prepared(plan: Plan, run: Path) -> Path:
    """The new folder of the plan's scenario in a run. InputError where the run has one of that name."""
    return store.new_scenario(run, stored(plan))


def assess_stored(kept: store.Stored, histories: Sequence[History]) -> Assessment:
    """The assessment of a stored scenario: the same whether it was just run or is judged again."""
    ordered = in_order(histories)
    verdicts: tuple[Verdict, ...] = tuple(judge(history) for history in ordered)
    return assess(kept.name, verdicts, ordered, expect=kept.expect, because=kept.because, caveats=kept.caveats)


def stored(plan: Plan) -> store.Stored:
    """What of a plan is kept beside its trials."""
    known = plan.scenario.expect
    return store.Stored(
        name=plan.name,
        title=plan.scenario.title,
        caveats=plan.scenario.caveats,
        expect=known.word if known else None,
        because=known.because if known else "",
    )
