"""The command `rundrill parity`: the same scenarios on two substrates, held against each other. It only decides what to call."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.checking.parity import Parity, Side, compare
from harness.cli.setting import Runs, Scenarios, Setting, console, done, worst
from harness.errors import InputError, Problem
from harness.plan import Plan
from harness.ports import Substrate
from harness.reporting import files, terminal
from harness.reporting import parity as told
from harness.reporting.drill import Drill
from harness.running import store
from harness.running.experiment import run_experiment, schedule
from harness.running.trial import Bench
from harness.substrates import journal

app = typer.Typer()

REPORT = "parity.json"


@app.command()
def parity(
    scenario: Scenarios,
    *,
    other: Annotated[str, typer.Option("--with", metavar="SUBSTRATE", help="The reference.")] = "kind",
    substrate: Annotated[str, typer.Option("--substrate", help="What is held against it.")] = "local",
    repetitions: Annotated[int, typer.Option("--repetitions", "-n", min=1, help="Trials of each arm on each.")] = 5,
    runs: Runs = Path("runs"),
) -> None:
    """Run scenarios on two substrates and say whether they come to the same verdicts: RTA, RPA, steps and times side by side.

    Exit status 1 if a verdict differs, 3 if one of them is no verdict.

    Example: `rundrill parity scenarios/storefront --with kind -n 5`
    """
    if other == substrate:
        raise InputError(Problem(f"{other} is held against itself", None, "choose another: --with"))
    problems: list[Problem] = []
    settings: list[Setting] = []
    for name in (substrate, other):
        try:
            settings.append(Setting.of(scenario, name))
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(dict.fromkeys(problems))
    folder = store.new_run(runs)
    journal.reap(runs)
    for name in (substrate, other):
        (folder / name).mkdir()
    found = done(_compared(settings, folder, repetitions))
    (folder / REPORT).write_bytes(told.encode(found) + b"\n")
    console().print(f"wrote {folder / REPORT}", highlight=False)
    raise typer.Exit(worst(each.outcome for each in found))


async def _compared(settings: Sequence[Setting], folder: Path, repetitions: int) -> Sequence[Parity]:
    """Each scenario on the one, then on the other; reports of each lie in a folder of its substrate's name."""
    found: list[Parity] = []
    drills: dict[str, list[Drill]] = {}
    for plans in zip(*(setting.plans for setting in settings), strict=True):
        sides: list[Side] = []
        for plan, setting in zip(plans, settings, strict=True):
            drill = await _drilled(plan, setting.substrate, folder / setting.substrate.name, repetitions)
            drills.setdefault(setting.substrate.name, []).append(drill)
            sides.append(Side(setting.substrate.name, drill.assessment, drill.histories))
        found.append(compare(*sides))
        console().print(told.render(found[-1]), "")
    for name, each in drills.items():
        files.write(each, folder / name)
    return found


async def _drilled(plan: Plan, substrate: Substrate, folder: Path, repetitions: int) -> Drill:
    watcher = terminal.Terminal(console(), live=False, terms={plan.name: plan.terms})
    bench = Bench(substrate, folder.parent.name, (watcher,))
    trials = schedule(plan.scenario.arms, repetitions, plan.scenario.seed)
    return Drill(*await run_experiment(plan, trials, bench, folder, places=asyncio.Semaphore(1)))
