"""The command line. The only place that exits; it decides nothing but what to call."""

import asyncio
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness import __version__, cli_doctor, cli_gate, cli_kubernetes, cli_parity, extensions, runbooks
from harness.errors import HarnessError, InputError, Problem, UnableError
from harness.model.design import ARMS, Arm
from harness.model.history import History, Name
from harness.model.verdict import Assessment, Outcome
from harness.plan import Plan
from harness.planning import compile_plan
from harness.ports import Substrate
from harness.reporting import files, planned, reading, terminal
from harness.reporting.drill import Drill
from harness.runbooks import score
from harness.running import store
from harness.running.experiment import assess_stored, run_experiment, schedule
from harness.running.loading import find
from harness.running.trial import Bench
from harness.substrates import journal
from harness.substrates.kind import lease

PASSED, FAILED, BAD_INPUT, INCONCLUSIVE, HARNESS_ERROR, INTERRUPTED = 0, 1, 2, 3, 4, 130

app = typer.Typer(
    name="rundrill",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Proves, by running them, that operations runbooks work.

    A drill brings up a replica of the system, breaks it, follows the runbook's own commands, and measures whether service
    came back within the RTO with no more loss than the RPO; a control arm shows what happens without the runbook.

    Start with what is read of your text: `rundrill show docs/runbook.md`. Then look at a scenario of ours
    (`scenarios/inventory/slow_queries.py`), and run it: `rundrill run scenarios/inventory/slow_queries.py`.

    Exit status: 0 passed, 1 failed, 2 bad input, 3 inconclusive, 4 trouble of the harness itself, 130 interrupted.""",
)

Runs = Annotated[Path, typer.Option("--runs", help="Where runs are kept.")]
SubstrateName = Annotated[
    str,
    typer.Option(
        "--substrate", help="What brings the system up: `local`, `containers`, `kind`, or one added by an extension."
    ),
]
OtherRunbook = Annotated[Path | None, typer.Option("--runbook", help="Drill this text instead of the scenario's own.")]
Scenarios = Annotated[
    list[str],
    typer.Argument(
        metavar="SCENARIO...", help="Scenario files, folders of them, or file.py:variable.", show_default=False
    ),
]


@app.command()
def show(
    runbook: Annotated[Path, typer.Argument(help="The runbook, Markdown as people write it.", show_default=False)],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the reading as JSON (docs/reading.md).")] = False,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="TRUTH.json", help="Score the reading against ground truth.")
    ] = None,
) -> None:
    """Show what is read of a runbook: procedures, sections, branches, commands with line and language, placeholders, targets.

    Example: `rundrill show scenarios/inventory/runbook.md`
    """
    book = runbooks.read(runbook)
    if check is not None:
        _console().print(reading.render_scores(score.check(book, score.load_truth(check))))
    elif json:
        sys.stdout.buffer.write(runbooks.encode(book) + b"\n")
    else:
        _console().print(reading.render(book))


@app.command()
def plan(scenario: Scenarios, *, substrate: SubstrateName = "local", runbook: OtherRunbook = None) -> None:
    """Show what a drill would do, resolved to the last command, without starting anything.

    Example: `rundrill plan scenarios/inventory/slow_queries.py`
    """
    _, plans, _ = _prepared(scenario, substrate, runbook)
    for compiled in plans:
        _console().print(planned.render(compiled))


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
    console = _console()
    watcher = terminal.Terminal(
        console, live=console.is_terminal and not keep, terms={each.name: each.terms for each in plans}
    )
    bench = Bench(ground, folder.name, (watcher,), keep=keep)

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
    _report(console, drills, folder)
    raise typer.Exit(_status(drills))


@app.command()
def judge(
    run_: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or id, or `latest`.")] = "latest",
    *,
    runs: Runs = Path("runs"),
) -> None:
    """Judge a stored run again from its histories: the same histories give the same result.

    Example: `rundrill judge latest`
    """
    drills = _stored(store.find_run(runs, run_))
    console = _console()
    console.print(terminal.render_assessments(drills))
    raise typer.Exit(_status(drills))


@app.command()
def report(
    run_: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or id, or `latest`.")] = "latest",
    *,
    runs: Runs = Path("runs"),
) -> None:
    """Write a stored run's reports again.

    Example: `rundrill report latest`
    """
    folder = store.find_run(runs, run_)
    for path in files.write(_stored(folder), folder):
        _console().print(f"wrote {path}")


@app.command()
def reap(*, runs: Runs = Path("runs")) -> None:
    """Undo what killed runs have left behind: processes, folders, containers, clusters. Runs that still live are not touched,
    nor are clusters that were to be kept.

    Example: `rundrill reap`
    """
    done = [*journal.reap(runs), *asyncio.run(lease.reap())]
    for line in done or ["nothing was left behind"]:
        _console().print(line, markup=False)


app.add_typer(cli_gate.app)
app.add_typer(cli_doctor.app)
app.add_typer(cli_parity.app)
app.add_typer(cli_kubernetes.app, name="kubernetes")


def main(arguments: Sequence[str] | None = None) -> None:
    """The program `rundrill`."""
    try:
        try:
            app(arguments)
        finally:
            extensions.close()
    except InputError as error:
        _complain(error)
        sys.exit(BAD_INPUT)
    except HarnessError as error:
        Console(stderr=True).print(f"[bold red]the harness failed:[/] {error}", highlight=False)
        sys.exit(HARNESS_ERROR)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            Console(stderr=True).print("interrupted; everything that was brought up is gone", style="bold")
        raise
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave with the status of a failed runbook
        inputs, rest = _parted(error)
        if rest is None and inputs:
            _complain(InputError(dict.fromkeys(problem for each in inputs for problem in each.problems)))
            sys.exit(BAD_INPUT)
        traceback.print_exception(error)
        sys.exit(HARNESS_ERROR)


def _version(value: bool) -> None:
    if value:
        _console().print(f"rundrill {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


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
        _console().print(f"skipped {name}: {lack}", markup=False, highlight=False, style="yellow", soft_wrap=True)
    return grounds[0], plans, chosen


def _arms(text: str) -> tuple[Arm, ...]:
    if text == "all":
        return ARMS
    names = {arm.name: arm for arm in ARMS}
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [
        Problem(f"there is no arm `{name}`", None, f"choose from: {', '.join(names)}")
        for name in wanted
        if name not in names
    ]
    if unknown:
        raise InputError(unknown)
    return tuple(dict.fromkeys(names[name] for name in wanted))


def _stored(folder: Path) -> list[Drill]:
    drills: list[Drill] = []
    for stored, histories in store.scenarios(folder):
        drills.append(Drill(assess_stored(stored, histories), histories))
    return drills


def _report(console: Console, drills: Sequence[Drill], folder: Path) -> None:
    console.print(terminal.render_assessments(drills))
    for path in files.write(drills, folder):
        console.print(f"wrote {path}", highlight=False)


def _status(drills: Sequence[Drill]) -> int:
    """The exit status: the harness's own trouble first, then failed, then not conclusive."""
    if any(_harness_failed(history) for drill in drills for history in drill.histories):
        return HARNESS_ERROR
    outcomes = [_outcome(drill.assessment) for drill in drills]
    return max(outcomes, key=(PASSED, INCONCLUSIVE, FAILED).index, default=INCONCLUSIVE)


def _outcome(assessment: Assessment) -> int:
    match assessment.outcome:
        case Outcome.PASSED:
            return PASSED
        case Outcome.FAILED:
            return FAILED
        case Outcome.INCONCLUSIVE | Outcome.INVALID:
            return INCONCLUSIVE


def _harness_failed(history: History) -> bool:
    return history.first(Name.HARNESS) is not None


def _complain(error: InputError) -> None:
    console = Console(stderr=True)
    for problem in error.problems:
        console.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    count = len(error.problems)
    console.print(f"{count} problem{'s' if count > 1 else ''}; nothing was started", style="bold red")


def _parted(error: Exception) -> tuple[list[InputError], Exception | None]:
    """The InputErrors of a group (trials run side by side), and what else is in it."""
    if not isinstance(error, ExceptionGroup):
        return [], error
    inputs, rest = error.split(InputError)
    return _flat(inputs) if inputs else [], rest


def _flat(group: ExceptionGroup[InputError]) -> list[InputError]:
    return [e for each in group.exceptions for e in (_flat(each) if isinstance(each, ExceptionGroup) else [each])]


def _console() -> Console:
    """The terminal; a log that nobody looks at gets lines that hold a whole sentence."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 160))


if __name__ == "__main__":
    main()
