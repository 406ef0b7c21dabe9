"""The containers substrate keeps to its port, and every fault is felt and undone there however it ends."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults import LoseData
from harness.ports import Capability, Fault, Stage
from harness.substrates.containers import Containers
from harness.testing import check_fault, check_substrate
from tests.faults.conftest import DATABASE
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


@pytest.mark.parametrize(("fault", "intact"), FAULTS, ids=[str(fault) for fault, _ in FAULTS])
async def test_a_fault_is_felt_in_containers_and_undone_however_it_ends(
    fault: Fault, intact: Intact, containers: Containers, tmp_path: Path
) -> None:
    if problems := containers.lacks(fault.needs):
        pytest.skip("; ".join(str(problem) for problem in problems))
    topology = replace(TOPOLOGY, databases=(replace(DATABASE, movable_clock=Capability.CLOCK in fault.needs),))
    async with containers.environment(topology, run="faults", folder=tmp_path, links=fault.links) as environment:

        async def asked() -> bool:
            return await intact(environment)

        assert await asked()
        injection = await check_fault(fault, Stage(environment, folder=tmp_path), intact=asked)
        assert injection.felt


async def test_data_that_are_lost_in_a_container_stay_lost(containers: Containers, tmp_path: Path) -> None:
    topology = replace(TOPOLOGY, workloads=())
    async with containers.environment(topology, run="faults", folder=tmp_path) as environment:
        await check_fault(LoseData(database="main", tables=("orders",)), Stage(environment), reversible=False)
