"""The commands of `rundrill kubernetes`: a cluster by hand, and the programs that it needs. They only decide what to call."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from harness.substrates.local.kubernetes import byhand

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
    status = asyncio.run(byhand.run(argv, images=tuple(images or ()), nodes=nodes))
    raise typer.Exit(status if status >= 0 else 128 - status)
