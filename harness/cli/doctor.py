"""The command `rundrill doctor`: what this machine can run. It only decides what to call."""

import sys
from typing import Annotated

import typer

from harness import extensions
from harness.cli.setting import console
from harness.reporting import doctor as told
from harness.substrates import survey

app = typer.Typer()


@app.command()
def doctor(*, json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Say what this machine can drill, what it lacks, and the remedy for each thing it lacks.

    Nothing is installed or started. The exit status is 0 whatever is found.

    Example: `rundrill doctor`
    """
    things, abilities = survey.things(), survey.abilities(extensions.known())
    if json:
        sys.stdout.buffer.write(told.encode(things, abilities) + b"\n")
    else:
        console().print(told.render(things, abilities))
