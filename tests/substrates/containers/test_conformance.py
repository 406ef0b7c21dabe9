"""The containers substrate keeps to its port, and every fault is felt and undone there however it ends."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from harness.faults import (
    ExhaustConnections,
    FillDisk,
    Kill,
    KillContainer,
    Latency,
    LoseData,
    PauseContainer,
    Reset,
)
from harness.model.units import milliseconds, minutes
from harness.ports import Fault, Stage
from harness.substrates.containers import Containers
from harness.testing import check_fault, check_substrate
from tests.faults.conftest import DATABASE
from tests.full import FULL
from tests.substrates.containers.conftest import TOPOLOGY, there
from tests.testing.test_conformance import OF_CONTAINERS, REVERSIBLE, Intact

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    # Programs that end with their environment leave the socket of their input to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"),
]


async def test_the_containers_substrate_keeps_to_its_port(containers: Containers, tmp_path: Path) -> None:
    skipped = await check_substrate(containers, TOPOLOGY, tmp_path)
    assert skipped == ()
    assert not [one for one in there() if "check-" in one]


FAULTS = [*REVERSIBLE, *OF_CONTAINERS]
DEFAULT = {
    str(fault)
    for fault in (
        ExhaustConnections(database="main", count=3, state="active", age=minutes(6)),
        FillDisk(database="main", leave_kb=64),
        Kill(target="api"),
        KillContainer(target="main"),
        Latency(database="main", delay=milliseconds(80)),
        PauseContainer(target="api"),
        Reset(database="main", refuse=True),
    )
}
"""Those that ask most of containers; the others take minutes more."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def up(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One environment for all of them: a fault that is undone leaves nothing for the next."""
    folder = tmp_path_factory.mktemp("faults")
    topology = replace(TOPOLOGY, databases=(replace(DATABASE, movable_clock=True),))
    async with containers.environment(topology, run="faults", folder=folder, links=frozenset({"main"})) as environment:
        yield Stage(environment, folder=folder)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("fault", "intact"), FAULTS, ids=[str(fault) for fault, _ in FAULTS])
async def test_a_fault_is_felt_in_containers_and_undone_however_it_ends(
    fault: Fault, intact: Intact, containers: Containers, up: Stage
) -> None:
    if str(fault) not in DEFAULT and not FULL:
        pytest.skip("set RUNDRILL_PROOF=full to hold every fault to its port in containers")

    async def asked() -> bool:
        return await intact(up.environment)

    assert await asked()
    injection = await check_fault(fault, up, intact=asked)
    assert injection.felt


async def test_data_that_are_lost_in_a_container_stay_lost(containers: Containers, tmp_path: Path) -> None:
    topology = replace(TOPOLOGY, workloads=())
    async with containers.environment(topology, run="faults", folder=tmp_path) as environment:
        await check_fault(LoseData(database="main", tables=("orders",)), Stage(environment), reversible=False)
