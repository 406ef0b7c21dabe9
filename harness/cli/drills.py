"""The commands that drill (`plan`, `run`), that look at what was drilled (`judge`, `report`), and that clear up after killed runs
(`reap`). They decide nothing but what to call."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness import extensions, runbooks
from harness.cli.setting import HARNESS_ERROR, Runs, Scenarios, SubstrateName, console, named, worst
from harness.errors import InputError, Problem, UnableError
from harness.model.design import ARMS, Arm
from harness.model.history import History, Name
from harness.plan import Plan
from harness.planning import compile_plan
from harness.ports import Substrate
from harness.reporting import files, planned, terminal
from harness.reporting.drill import Drill
from harness.running import store
from harness.running.experiment import assess_stored, run_experiment, schedule
from harness.running.loading import find
from harness.running.trial import Bench
from harness.substrates import journal
from harness.substrates.kind import lease

app = typer.Typer()

OtherRunbook = Annotated[Path | None, typer.Option("--runbook", help="Drill this text instead of the scenario's own.")]

StoredRun = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or id, or `latest`.")]


@app.command()
def plan(scenario: Scenarios, *, substrate: SubstrateName = "local", runbook: OtherRunbook = None) -> None:
    """Show what a drill would do, resolved to the last command, without starting anything.

    Example: `rundrill plan scenarios/inventory/slow_queries.py`
    """
    _, plans, _ = _prepared(scenario, substrate, runbook)
    for compiled in plans:
        console().print(planned.render(compiled))


@app.command()
def run(  # noqa: PLR0913 - one parameter an option
    scenario: Scenarios,
    *,
    substrate: SubstrateName = "local",
    runbook: OtherRunbook = None,
    arms: Annotated[
        str, typer.Option(help="Comma-separated: baseline, control, treated, sham; `all`; default: the scenario's own.")
    ] = "",
    repetitions: Annotated[int, typer.Option(min=1, help="Trials of each arm.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Seed of the schedule; default: the scenario's own.")] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Trials at a time. A trial whose instrument starves is invalid.")
    ] = 1,
    replace: Annotated[
        bool,
        typer.Option(
            help="Run one trial of each arm once more if its instrument starved or its system was not steady. Both are kept, and"
            " the report tells of both."
        ),
    ] = True,
    ahead: Annotated[
        bool,
        typer.Option(
            "--ahead",
            help="Bring the next trial's environment up while one runs: for machines with two CPUs more than a trial needs."
            " A trial whose instrument starves is invalid.",
        ),
    ] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Keep the environment as it is at the end of a trial's observation until Ctrl-C, and say how to enter it;"
            " that trial does not count. Choose the arm with --arms.",
        ),
    ] = False,
    keep_cluster: Annotated[
        bool,
        typer.Option(
            "--keep-cluster",
            help="Leave clusters of `kind` up for the next run, which removes what this one left in them.",
        ),
    ] = False,
    skip_unable: Annotated[
        bool, typer.Option("--skip-unable", help="Leave out, and name, the scenarios that this machine cannot drill.")
    ] = False,
    runs: Runs = Path("runs"),
) -> None:
    """Run drills and judge them; write report.html, junit.xml and assessment.json.

    Example: `rundrill run scenarios/inventory --arms control,treated --repetitions 3`
    """
    if keep_cluster:
        extensions.keep_clusters()
    ground, plans, chosen = _prepared(scenario, substrate, runbook, arms, skip_unable=skip_unable)
    folder = store.new_run(runs)
    journal.reap(runs)
    screen = console()
    watcher = terminal.Terminal(
        screen, live=screen.is_terminal and not keep, terms={each.name: each.terms for each in plans}
    )
    bench = Bench(ground, folder.name, (watcher,), keep=keep, ahead=ahead, replace=replace and not keep)

    async def all_of_them() -> list[Drill]:
        places = asyncio.Semaphore(jobs)
        drills: list[Drill] = []
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    run_experiment(
                        each,
                        schedule(
                            chosen or each.scenario.arms, repetitions, each.scenario.seed if seed is None else seed
                        ),
                        bench,
                        folder,
                        places=places,
                    )
                )
                for each in plans
            ]
        drills.extend(Drill(*task.result()) for task in tasks)
        return drills

    with watcher:
        drills = asyncio.run(all_of_them())
    _report(screen, drills, folder)
    raise typer.Exit(_status(drills))


@app.command()
def judge(
    run_: StoredRun = "latest",
    *,
    runs: Runs = Path("runs"),
) -> None:
    """Judge a stored run again from its histories: the same histories give the same result.

    Example: `rundrill judge latest`
    """
    drills = _stored(store.find_run(runs, run_))
    console().print(terminal.render_assessments(drills))
    raise typer.Exit(_status(drills))


@app.command()
def report(
    run_: StoredRun = "latest",
    *,
    runs: Runs = Path("runs"),
) -> None:
    """Write a stored run's reports again.

    Example: `rundrill report latest`
    """
    folder = store.find_run(runs, run_)
    for path in files.write(_stored(folder), folder):
        console().print(f"wrote {path}")


@app.command()
def reap(*, runs: Runs = Path("runs")) -> None:
    """Undo what killed runs have left behind: processes, folders, containers, clusters. Runs that still live are not touched,
    nor are clusters that were to be kept.

    Example: `rundrill reap`
    """
    done = [*journal.reap(runs), *asyncio.run(lease.reap())]
    for line in done or ["nothing was left behind"]:
        console().print(line, markup=False)


@contextmanager
def _noting(problems: list[Problem]) -> Iterator[None]:
    """What is wrong with the input within is noted, so that the rest is looked at as well."""
    try:
        yield
    except InputError as error:
        problems.extend(error.problems)


def _prepared(
    scenarios: Sequence[str], substrate: str, other: Path | None, arms: str = "", *, skip_unable: bool = False
) -> tuple[Substrate, list[Plan], tuple[Arm, ...]]:
    """Everything that a run needs, or every problem with the input at once. Nothing is started or written.

    `skip_unable`: what this machine cannot drill is told and left out, unless that is everything.
    """
    unable: dict[str, UnableError] = {}
    problems: list[Problem] = []
    grounds: list[Substrate] = []
    chosen: tuple[Arm, ...] = ()
    plans: list[Plan] = []
    with _noting(problems):
        grounds.append(extensions.substrate(substrate))
    with _noting(problems):
        chosen = _arms(arms)
    loaded, wrong = find(scenarios)
    problems.extend(wrong)
    for one in loaded:
        with _noting(problems):
            book = runbooks.read(other or one.runbook)
            ground = grounds[0] if grounds else extensions.Anywhere()
            try:
                plans.append(compile_plan(one.scenario, book, ground, name=one.name, own_text=other is None))
            except UnableError as error:
                unable[one.name] = error
    if not skip_unable or not plans:
        problems.extend(problem for each in unable.values() for problem in each.problems)
    if problems:
        raise InputError(dict.fromkeys(problems))
    for name, lack in unable.items():
        console().print(f"skipped {name}: {lack}", markup=False, highlight=False, style="yellow", soft_wrap=True)
    return grounds[0], plans, chosen


def _arms(text: str) -> tuple[Arm, ...]:
    return ARMS if text == "all" else named(text, {arm.name: arm for arm in ARMS}, what="arm")


def _stored(folder: Path) -> list[Drill]:
    drills: list[Drill] = []
    for stored, histories in store.scenarios(folder):
        drills.append(Drill(assess_stored(stored, histories), histories))
    return drills


def _report(screen: Console, drills: Sequence[Drill], folder: Path) -> None:
    screen.print(terminal.render_assessments(drills))
    for path in files.write(drills, folder):
        screen.print(f"wrote {path}", highlight=False)


def _status(drills: Sequence[Drill]) -> int:
    """The exit status: the harness's own trouble first, then failed, then not conclusive."""
    if any(_harness_failed(history) for drill in drills for history in drill.histories):
        return HARNESS_ERROR
    return worst(drill.assessment.outcome for drill in drills)


def _harness_failed(history: History) -> bool:
    return history.first(Name.HARNESS) is not None
