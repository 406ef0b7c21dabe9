"""The cluster's scheduler, started as in kubeadm's clusters: before there is an API server. Not what it schedules.

One that finds no API server writes its events as all others in the cluster do, with a source, a count and the times that
operators sort by; one that finds one writes those of events.k8s.io, which have none of these.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from harness import clock
from harness.model.units import SECOND, Ns, milliseconds
from harness.substrates.local.kubernetes import control_plane
from harness.substrates.local.kubernetes.servers import Servers, log
from harness.substrates.local.site import Site

NAME = "kube-scheduler"
PATIENCE: Ns = 5 * SECOND
"""How long it may take to look around. It takes some tenths of a second; without having looked it is a scheduler all the same."""

_EVERY: Ns = milliseconds(20)
_FOUND_NOBODY = "Failed to watch"
_TOLD = 40


@asynccontextmanager
async def alone(site: Site, servers: Servers) -> AsyncIterator[None]:
    """Start it, and go on when it has found nobody. It stands still in the scope: by itself it would ask ever more rarely, and
    so it asks at once when it goes on. SubstrateError if it cannot be executed."""
    await servers.start(NAME, control_plane.scheduler())

    async def looked() -> bool | None:
        return _FOUND_NOBODY in site.tail(log(NAME), _TOLD) or None

    await clock.until(looked, deadline=clock.now() + PATIENCE, every=_EVERY)
    pids = servers.pids(NAME)
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: tuple[int, ...], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
