"""A small real system to break, in a local environment of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.topology import Postgres, Role, Topology, Workload
from harness.ports import Capability, Fault, Stage
from harness.substrates.local import Local

# looptime asks for the current loop in tests that have none, and Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)

SHOP = Path(__file__).parents[2] / "clusters" / "workloads" / "shop"

DATABASE = Postgres(
    name="main",
    database="store",
    owner=Role("store_app", "secret-of-app"),
    roles=(Role("reader", "secret-of-reader"),),
    hosts=("db.store.internal",),
    settings=(("max_connections", "20"), ("superuser_reserved_connections", "3")),
    schema="SET shop.orders = '4000';\n" + (SHOP / "schema.sql").read_text(encoding="utf-8"),
    volume_mb=192,
    movable_clock=True,
)

API = Workload(
    name="api",
    image="shop",
    port=8000,
    processes=2,
    env=(
        ("DATABASE_POOL_SIZE", "2"),
        ("DATABASE_URL", "postgresql://store_app:secret-of-app@db.store.internal:5432/store"),
    ),
)

Staged = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def staged(tmp_path: Path) -> Staged:
    """Brings the system up for a fault; skips, with the reason, what this machine cannot do."""

    @asynccontextmanager
    async def up(fault: Fault, *, api: bool = False, database: Postgres = DATABASE) -> AsyncIterator[Stage]:
        local = Local()
        wanted = replace(database, movable_clock=Capability.CLOCK in fault.needs)
        if problems := local.lacks(fault.needs):
            pytest.skip("; ".join(str(problem) for problem in problems))
        topology = Topology("store", databases=(wanted,), workloads=(API,) if api else ())
        async with local.environment(topology, run="faults", folder=tmp_path, links=fault.links) as environment:
            yield Stage(environment, folder=tmp_path, seed=7)

    return up
