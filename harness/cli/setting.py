"""What the commands that run many trials share: their scenarios compiled, what runs trials, how they are told of."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console

from harness import extensions, runbooks
from harness.checking.record import Record
from harness.errors import InputError, Problem
from harness.model.verdict import Outcome
from harness.plan import Plan
from harness.planning import compile_plan
from harness.ports import Substrate
from harness.reporting import gate as told
from harness.running import store
from harness.running.loading import Loaded, load
from harness.running.pool import Ground, Runner, here, processes, spread
from harness.running.trial import Bench
from harness.substrates import journal

T = TypeVar("T")

STATUS: Final = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.INCONCLUSIVE: 3, Outcome.INVALID: 3}
"""The exit status of each outcome."""
BAD_INPUT, HARNESS_ERROR, INTERRUPTED = 2, 4, 130

Runs = Annotated[Path, typer.Option("--runs", help="Where runs are kept.")]
SubstrateName = Annotated[
    str,
    typer.Option(
        "--substrate", help="What brings the system up: `local`, `containers`, `kind`, or one added by an extension."
    ),
]
Scenarios = Annotated[
    list[str],
    typer.Argument(
        metavar="SCENARIO...", help="Scenario files, folders of them, or file.py:variable.", show_default=False
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        min=1, help="Trials at a time, each in a process of its own. One whose instrument starves is invalid."
    ),
]


def worst(outcomes: Iterable[Outcome]) -> int:
    """The exit status of several: failed if one has, else not conclusive if one is not, or if there is none."""
    return max((STATUS[each] for each in outcomes), key=(0, 3, 1).index, default=3)


@dataclass(frozen=True, slots=True)
class Setting:
    """The scenarios of a command, compiled, and what they run on."""

    loaded: tuple[Loaded, ...]
    plans: tuple[Plan, ...]
    substrate: Substrate
    ground: Ground

    @staticmethod
    def of(scenarios: Sequence[str], substrate: str, *, one: bool = False) -> "Setting":
        """InputError with every problem of all of them; also where `one` is wanted and there are several."""
        ground = partial(extensions.substrate, substrate)
        there, loaded = ground(), load(scenarios)
        if one and len(loaded) != 1:
            names = ", ".join(f"{each.path}:{each.variable}" for each in loaded)
            raise InputError(Problem(f"expected one scenario, found {len(loaded)}", None, f"choose one of: {names}"))
        plans: list[Plan] = []
        problems: list[Problem] = []
        for each in loaded:
            try:
                plans.append(compile_plan(each.scenario, runbooks.read(each.runbook), there, name=each.name))
            except InputError as error:
                problems.extend(error.problems)
        if problems:
            raise InputError(dict.fromkeys(problems))
        return Setting(loaded, tuple(plans), there, ground)


@contextlib.contextmanager
def running(setting: Setting, runs: Path, jobs: int) -> Iterator[tuple[Runner, Path]]:
    """A new run's folder, and what runs trials in it: this process, or with more than one job a pool of them."""
    folder = store.new_run(runs)
    journal.reap(runs)
    if jobs == 1:
        yield here(Bench(setting.substrate, folder.name)), folder
        return
    sources = tuple(dict.fromkeys(str(one.path) for one in setting.loaded))
    with processes(jobs) as executor:
        yield spread(executor, setting.ground, run=folder.name, sources=sources), folder


def named(text: str, names: Mapping[str, T], *, what: str) -> tuple[T, ...]:
    """What comma-separated names stand for, each once; InputError with every name that stands for nothing."""
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [
        Problem(f"there is no {what} `{name}`", None, f"choose from: {', '.join(names)}")
        for name in wanted
        if name not in names
    ]
    if unknown:
        raise InputError(unknown)
    return tuple(dict.fromkeys(names[name] for name in wanted))


def done(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end. What the tasks of a group raise for one reason comes out as that reason."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def tell(record: Record) -> None:
    """Say what became of one trial."""
    console().print(told.render_trial(record), soft_wrap=True)


def console() -> Console:
    """The terminal; a log that nobody looks at gets lines that hold a whole sentence."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 160))
