"""The command line. The only place that exits; it decides nothing but what to call."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness import __version__, extensions, runbooks
from harness.cli import doctor, drills, gate, kubernetes, parity
from harness.cli.setting import BAD_INPUT, HARNESS_ERROR, INTERRUPTED, console
from harness.errors import HarnessError, InputError
from harness.reporting import reading
from harness.runbooks import score

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
        console().print(reading.render_scores(score.check(book, score.load_truth(check))))
    elif json:
        sys.stdout.buffer.write(runbooks.encode(book) + b"\n")
    else:
        console().print(reading.render(book))


app.add_typer(drills.app)
app.add_typer(gate.app)
app.add_typer(doctor.app)
app.add_typer(parity.app)
app.add_typer(kubernetes.app, name="kubernetes")


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
        console().print(f"rundrill {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


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
