"""A small topology, and environments of it under either isolation."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from harness.model.topology import Postgres, Role, Topology
from harness.ports import Environment
from harness.substrates.local import Local
from harness.substrates.local.machine import namespaces_allowed

ORDERS = Postgres(
    name="orders",
    database="shop",
    owner=Role("shop", "pass:word"),
    roles=(Role("ops", "ops-secret", superuser=True),),
    hosts=("db.prod.internal", "orders-db.prod.svc"),
    schema="CREATE TABLE products (id int PRIMARY KEY); INSERT INTO products VALUES (1), (2);",
    volume_mb=256,
)
TOPOLOGY = Topology("test-shop", databases=(ORDERS,))

# looptime asks for the current loop in tests that have none, and Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)

Bring = Callable[..., AbstractAsyncContextManager[Environment]]


@pytest.fixture(params=["namespaces", "processes"])
def isolation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each isolation in turn."""
    return choose(str(request.param), monkeypatch)


@pytest.fixture
def namespaces(monkeypatch: pytest.MonkeyPatch) -> str:
    return choose("namespaces", monkeypatch)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> str:
    return choose("processes", monkeypatch)


def choose(isolation: str, monkeypatch: pytest.MonkeyPatch) -> str:
    if isolation == "namespaces" and not namespaces_allowed():
        pytest.skip("this machine does not allow namespaces")
    monkeypatch.setenv("RUNDRILL_ISOLATION", isolation)
    return isolation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture
def bring(folder: Path) -> Bring:
    """Brings up an environment of a topology."""

    def up(
        topology: Topology = TOPOLOGY, *, links: frozenset[str] = frozenset()
    ) -> AbstractAsyncContextManager[Environment]:
        return Local().environment(topology, run="test", folder=folder, links=links)

    return up
