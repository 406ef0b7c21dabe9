"""The commands that vary a procedure, to see what follows: ablate, mutate, compare. They decide nothing but what to call."""

import asyncio
import os
import random
from pathlib import Path
from typing import Annotated

import typer

from harness import execution, runbooks
from harness.checking import comparison
from harness.checking.ablation import Effect
from harness.checking.comparison import MARGIN
from harness.checking.evidence import HEALS, claim
from harness.checking.gate import QUICK, Decision, Gate, operating_characteristics
from harness.cli.setting import STATUS, Jobs, Runs, Setting, SubstrateName, console, done, named, running, tell
from harness.errors import InputError, Problem
from harness.model.runbook import Runbook
from harness.model.units import seconds, show
from harness.model.verdict import Outcome
from harness.plan import Plan
from harness.planning import compile_plan
from harness.ports import Substrate
from harness.reporting import gate as told
from harness.reporting import trying
from harness.runbooks import mutants
from harness.runbooks.mutants import Kind, executed
from harness.running import ablating, comparing, gating, mutating
from harness.running.deciding import Effort
from harness.running.loading import Loaded

app = typer.Typer()

GIT = seconds(20)
"""How long git may take to show a file."""

OneScenario = Annotated[str, typer.Argument(metavar="SCENARIO", help="One scenario: its file, or file.py:variable.")]
Quick = Annotated[
    bool, typer.Option("--quick", help="Let one trial decide on each variant instead of two in a row: wrong in 5%.")
]


@app.command()
def ablate(  # noqa: PLR0913 - one parameter an option
    scenario: OneScenario,
    *,
    quick: Quick = False,
    seed: Annotated[int, typer.Option(help="Seed of the order of trials.")] = 1,
    jobs: Jobs = 1,
    substrate: SubstrateName = "local",
    runs: Runs = Path("runs"),
) -> None:
    """Leave out each step of the procedure, and see which are necessary, which change nothing, and which do harm.

    Beside success it looks at the time to recover, at the data and at redundancy. Those that seem to change nothing are then
    left out together, and in pairs if together they are missed.

    Example: `rundrill ablate scenarios/inventory/slow_queries.py --jobs 2`
    """
    setting = Setting.of([scenario], substrate, one=True)
    (plan,) = setting.plans
    effort = Effort(tier=QUICK if quick else HEALS, jobs=jobs, seed=seed)
    _expect(plan, len(executed(plan)) + 1, effort)
    with running(setting, runs, jobs) as (runner, folder):
        found = done(ablating.ablate(plan, runner, folder, effort=effort, listener=tell))
    lines = {step.terms.index: str(step.terms.source) for step in plan.steps}
    groups = (*found.singles, *((found.together,) if found.together else ()), *found.pairs)
    tried = [
        trying.Tried(
            steps=tuple((str(s.terms.source), s.terms.text) for s in each.steps),
            effect=each.call.effect,
            why=each.call.why,
            trials=each.trials,
            confounded=tuple(lines[number] for number in each.call.confounded if number in lines),
        )
        for each in groups
    ]
    whole = f"{found.whole.share} trials succeed"
    console().print(trying.render_ablation(whole, tried, [str(step.terms.source) for step in found.removable]))
    unknown = any(each.effect is Effect.UNKNOWN for each in tried) or not tried
    raise typer.Exit(STATUS[Outcome.INCONCLUSIVE] if unknown else STATUS[Outcome.PASSED])


@app.command()
def mutate(  # noqa: PLR0913 - one parameter an option
    scenario: OneScenario,
    *,
    kinds: Annotated[
        str, typer.Option(help=f"Comma-separated: {', '.join(k.name.lower() for k in Kind)}; default: all.")
    ] = "",
    most: Annotated[int, typer.Option(min=1, help="Run at most so many, drawn by the seed.")] = 24,
    quick: Quick = False,
    seed: Annotated[int, typer.Option(help="Seed of the order of trials, and of which are drawn.")] = 1,
    jobs: Jobs = 1,
    substrate: SubstrateName = "local",
    runs: Runs = Path("runs"),
) -> None:
    """Break the procedure on purpose (a step dropped, two swapped, a wrong host, a stale flag, a wrong threshold): no broken
    twin may pass. Prints the kill rate, and every survivor.

    Example: `rundrill mutate scenarios/inventory/slow_queries.py --kinds dropped,swapped`
    """
    setting = Setting.of([scenario], substrate, one=True)
    (plan,) = setting.plans
    made = mutants.mutants(plan, _kinds(kinds))
    if not made:
        raise InputError(
            Problem("no broken twin of these kinds can be made of this procedure", None, "leave out --kinds")
        )
    chosen = made
    if len(made) > most:
        drawn = set(random.Random(seed).sample(range(len(made)), most))  # noqa: S311 - a sample, no secret
        chosen = tuple(mutant for number, mutant in enumerate(made) if number in drawn)
        console().print(f"{most} of {len(made)} broken twins, drawn by seed {seed}")
    effort = Effort(tier=QUICK if quick else HEALS, jobs=jobs, seed=seed)
    _expect(plan, len(chosen) + 1, effort)
    with running(setting, runs, jobs) as (runner, folder):
        found = done(mutating.mutate(plan, chosen, runner, folder, effort=effort, listener=tell))
    twins = [
        trying.Twin(str(f.mutant.kind), f.mutant.what, str(f.mutant.source), f.decision, f.trials, f.why)
        for f in found.fates
    ]
    console().print(trying.render_mutation(found.original, twins, found.rate))
    raise typer.Exit(STATUS[found.outcome])


@app.command()
def compare(  # noqa: PLR0913 - one parameter an option
    old: Annotated[str, typer.Argument(metavar="OLD", help="A runbook: a path, or REV:path of git.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The other version of it, likewise.")],
    *,
    scenario: Annotated[str, typer.Option("--scenario", help="The scenario that both are drilled in.")],
    blocks: Annotated[int, typer.Option(min=1, help="Trials of each.")] = 10,
    margin: Annotated[float, typer.Option(help="By what factor the new one may be slower.")] = MARGIN,
    seed: Annotated[int, typer.Option(help="Seed of the order of trials.")] = 1,
    jobs: Jobs = 1,
    substrate: SubstrateName = "local",
    runs: Runs = Path("runs"),
) -> None:
    """Is the new version slower than the old? Both run side by side, in blocks of one trial each in random order.

    It passes if the one-sided 95% upper limit of the ratio of recovery times is within the margin, and every trial of the new
    version succeeds as far as a bronze gate asks. Under four blocks nothing is concluded.

    Example: `rundrill compare HEAD~1:docs/runbook.md docs/runbook.md --scenario scenarios/slow.py`
    """
    if not margin > 1:
        raise InputError(Problem(f"a margin of {margin:g} cannot be kept", None, "a factor above 1, such as 1.25"))
    setting = Setting.of([scenario], substrate, one=True)
    (one,) = setting.loaded
    plans = _versions(one, (old, new), setting.substrate)
    console().print(f"about {show(gating.longest(plans[0]) * 2 * blocks // min(jobs, 2))} at most")
    with running(setting, runs, jobs) as (runner, folder):
        found = done(comparing.compare(*plans, runner, folder, blocks=blocks, jobs=jobs, seed=seed, listener=tell))
    horizon = plans[0].terms.recovery.horizon
    times = found.times(horizon)
    if not times:
        console().print("no block counts: nothing can be said")
        raise typer.Exit(STATUS[Outcome.INCONCLUSIVE])
    result = comparison.compare(times, margin=margin, seed=seed)
    console().print(trying.render_comparison(result, times, horizon=horizon, unseen=found.unseen))
    if not found.fair:
        console().print(f"{found.spoilt} blocks had an invalid trial: too many to conclude anything")
    console().print(told.render_evidence(found.evidence, claim(found.evidence)))
    raise typer.Exit(STATUS[_compared(result.outcome, found)])


def _compared(speed: Outcome, found: comparing.Compared) -> Outcome:
    """Not slower, and a new version that works, from blocks that are a fair sample."""
    if found.evidence.decision is Decision.FAIL:
        return Outcome.FAILED
    if not found.fair:
        return Outcome.INCONCLUSIVE
    if speed is Outcome.PASSED and found.evidence.decision is not Decision.PASS:
        return Outcome.INCONCLUSIVE
    return speed


def _versions(one: Loaded, texts: tuple[str, str], ground: Substrate) -> tuple[Plan, Plan]:
    """Both versions, compiled in the one scenario. InputError with the problems of both."""
    plans: list[Plan] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            book = runbooks.read(Path(text)) if Path(text).is_file() or ":" not in text else _of_git(text)
            plans.append(compile_plan(one.scenario, book, ground, name=one.name, own_text=False))
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(dict.fromkeys(problems))
    first, second = plans
    return first, second


def _of_git(revision: str) -> Runbook:
    """The runbook as git has it at `REV:path`."""
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    shown = asyncio.run(execution.run(("git", "show", "--no-textconv", revision), env=env, timeout=GIT))
    if not shown.ok:
        said = shown.stderr.strip().splitlines()
        raise InputError(
            Problem(f"git has no `{revision}`: {said[0] if said else 'it said nothing'}", None, "a path, or REV:path")
        )
    return runbooks.parse(shown.stdout, revision)


def _kinds(text: str) -> tuple[Kind, ...]:
    return named(text, {kind.name.lower(): kind for kind in Kind}, what="kind") or tuple(Kind)


def _expect(plan: Plan, variants: int, effort: Effort) -> None:
    """Say how long it will take, before the first trial."""
    each = operating_characteristics(Gate(effort.tier), 1.0).expected_n
    trials = round(variants * each)
    wall = trials * gating.longest(plan) // effort.jobs
    console().print(f"{variants} variants, about {trials} trials if each is clear, {show(wall)} at most for those")
