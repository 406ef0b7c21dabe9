"""A cluster for somebody's own command, from nothing to nothing. Not what a drill does."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from harness import execution
from harness.errors import UnableError
from harness.model.topology import Cluster, Topology
from harness.ports import Capability
from harness.substrates import journal
from harness.substrates.cri import images as tables
from harness.substrates.local import machine
from harness.substrates.local.bringing_up import environment
from harness.substrates.local.kubernetes import binaries
from harness.substrates.local.layout import SYSTEM_PATH

ENDING = (signal.SIGTERM, signal.SIGHUP)
PREFIX = "rundrill-kubernetes-"
WHEN_ALONE = 'read -r _; exec "$@"'
"""A shell waits, since it takes less memory than what it becomes."""


async def run(argv: Sequence[str], *, images: Sequence[Path], nodes: int) -> int:
    """Bring a cluster up, run the command in it, take it down; its exit status, -n for signal n.

    SIGTERM and SIGHUP cancel it, so that nothing is left then either. UnableError where this machine cannot, InputError with
    what is wrong with the tables of images; SubstrateError with the end of the logs if the cluster does not come up.
    """
    if Capability.KUBERNETES not in machine.provides():
        raise UnableError(machine.problem(Capability.KUBERNETES))
    tables.load(images)
    if task := asyncio.current_task():
        for number in ENDING:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    _sweep()
    topology = Topology("kubernetes", cluster=Cluster(stack="", namespace="default", nodes=nodes))
    async with _own_folder() as folder, environment(topology, run="by-hand", folder=folder, tables=images) as up:
        return await up.cluster.visit(argv, folder=Path(tempfile.mkdtemp(dir=folder)))


def found(program: str) -> bool:
    """Whether that program is there for a command to be: asked before the cluster that it is to run in."""
    return execution.find(program) is not None or (program == "kubectl" and binaries.kubectl() is not None)


@asynccontextmanager
async def _own_folder() -> AsyncIterator[Path]:
    """A folder that is removed however we end: by an heir that waits for that."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    removes = (sys.executable, "-I", "-S", str(Path(__file__).with_name("heir.py")), str(folder))
    heir = execution.start(("/bin/sh", "-c", WHEN_ALONE, "heir", *removes), env={"PATH": SYSTEM_PATH})
    try:
        yield folder
    finally:
        await heir.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Remove the folders of those that were killed, and whose shell was as well."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        file = folder / journal.NAME
        entries = list(journal.read(file)) if file.is_file() else []
        if entries and not any(isinstance(entry, journal.Mortal) and entry.alive for entry in entries):
            shutil.rmtree(folder, ignore_errors=True)
