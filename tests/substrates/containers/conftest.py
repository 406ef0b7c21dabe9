"""A small system in containers, and what Docker has before and after; skipped, with the reason, where there is no Docker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.topology import Topology
from harness.ports import Capability, Environment
from harness.substrates.containers import Containers
from tests.faults.conftest import API, DATABASE

# looptime asks for the current loop in tests that have none, and Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)

TOPOLOGY = Topology("store", databases=(DATABASE,), workloads=(API,))

Bring = Callable[..., AbstractAsyncContextManager[Environment]]


@pytest.fixture(scope="session")
def containers() -> Containers:
    """The substrate, where it can be had."""
    found = Containers()
    if problems := found.lacks(frozenset({Capability.POSTGRES, Capability.CLOCK})):
        pytest.skip("; ".join(str(problem) for problem in problems))
    return found


@pytest.fixture
def bring(containers: Containers, tmp_path: Path) -> Bring:
    """Brings the system, or another topology, up."""

    @asynccontextmanager
    async def up(
        topology: Topology = TOPOLOGY, *, links: frozenset[str] = frozenset(), clock: bool = False
    ) -> AsyncIterator[Environment]:
        databases = tuple(replace(each, movable_clock=clock) for each in topology.databases)
        wanted = replace(topology, databases=databases)
        async with containers.environment(wanted, run="containers", folder=tmp_path, links=links) as environment:
            yield environment

    return up


def there(environment: str = "") -> set[str]:
    """Every container, network and volume that Docker has of ours, or of that environment."""
    from harness.substrates import labels
    from harness.substrates.containers import daemon

    docker = daemon.client()
    label = f"{labels.ENVIRONMENT}={environment}" if environment else labels.ENVIRONMENT
    wanted: dict[str, str | list[str] | bool] = {"label": label}
    found = {f"container {one.name}" for one in docker.containers.list(all=True, filters=wanted, ignore_removed=True)}
    found |= {f"network {one.name}" for one in docker.networks.list(filters={"label": label})}
    found |= {f"volume {one.name}" for one in docker.volumes.list(filters={"label": label})}
    docker.close()
    return found
