"""Processes of containers, seen and signalled through Docker: no pid of the host's is needed, nor the right to signal it."""

import signal
from collections.abc import Sequence

from docker.models.containers import Container

from harness.measuring import procfs
from harness.ports import Seen
from harness.substrates.containers.daemon import GoneError, do, inside

_LIST = "echo $$; cat /proc/[0-9]*/stat 2>/dev/null"
INIT = 1


async def seen(container: Container) -> list[Seen]:
    """The process that the container was started with, and all below it, parents first; none if it is down."""
    if not await running(container):
        return []
    try:
        text = await inside(container, ("sh", "-c", _LIST), check=False)
    except GoneError:
        return []
    own, *lines = text.splitlines() or [""]
    everybody = [one for line in lines if (one := procfs.read(line, str(container.id))) and str(one.pid) != own]
    return list(procfs.below([one for one in everybody if one.pid == INIT], everybody))


async def send(container: Container, processes: Sequence[Seen], number: int) -> None:
    """Send a signal to those of them that are in it and still the same, in that order."""
    there = {(one.pid, one.started) for one in await seen(container)}
    wanted = [one for one in processes if one.space == container.id and (one.pid, one.started) in there]
    for one in wanted:
        if one.pid == INIT:  # its own namespace cannot kill it (pid_namespaces(7)); Docker can
            await do(f"{container.name}: signal {number}", lambda: container.kill(signal=number))
    others = [str(one.pid) for one in wanted if one.pid != INIT]
    if others:
        await inside(
            container, ("sh", "-c", f'kill -{signal.Signals(number).name[3:]} "$@"', "sh", *others), check=False
        )


async def running(container: Container) -> bool:
    """Whether it is up (paused is up), as the daemon knows it now."""
    try:
        await do(f"{container.name}", container.reload)
    except GoneError:
        return False
    return bool(container.attrs["State"]["Running"])
