"""Pods that need more memory, CPU or room than they have."""

import pytest

from harness.errors import FaultError
from harness.faults.kubernetes import CpuHog, FillDisk, LeakConnections, MemoryHog
from harness.faults.kubernetes.targets import ask_pod, decoded
from harness.model.units import seconds
from harness.testing import check_fault
from tests.faults.kubernetes.conftest import Broken, eventually

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

BACKEND = "deployment/backend"
SPOOL = "/var/spool/shop"


async def order(broken: Broken) -> int:
    pod = (await broken.pods())[0]
    return (await ask_pod(broken.api, pod, "/orders", {"customer": 3, "product": 5})).status


async def test_pods_that_need_more_than_their_limit_are_killed_for_it(broken: Broken) -> None:
    async with MemoryHog(workload=BACKEND, memory_mb=300).applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence["killed"] == 2
        assert "OOMKilled (137)" in str(injection.evidence["ended"])
    await broken.settled()


async def test_pods_with_a_higher_limit_hold_it_and_the_demand_follows_them(broken: Broken) -> None:
    async with MemoryHog(workload=BACKEND, memory_mb=300).applied_to(broken.stage):
        await broken.kubectl("set", "resources", BACKEND, "--limits=memory=1Gi")
        await broken.settled()

        async def holding() -> bool:
            said = [await ask_pod(broken.api, pod, "/debug/strain") for pod in await broken.pods()]
            return all('"memory_mb": 300' in each.text for each in said)

        await eventually(holding)
    await broken.kubectl("rollout", "undo", BACKEND)
    await broken.settled()


async def test_memory_within_the_limit_is_held_and_given_back(broken: Broken) -> None:
    before = {pod.metadata.uid for pod in await broken.pods()}
    async with MemoryHog(workload=BACKEND, memory_mb=40).applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence["holding"] == 2
    assert {pod.metadata.uid for pod in await broken.pods()} == before
    assert '"memory_mb": 0' in (await ask_pod(broken.api, (await broken.pods())[0], "/debug/strain")).text


async def test_a_runaway_ends_with_the_pods_that_it_is_in(broken: Broken) -> None:
    async with CpuHog(workload=BACKEND, processes=1, fresh=False).applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert '"burners": 1' in (await ask_pod(broken.api, (await broken.pods())[0], "/debug/strain")).text
        await broken.kubectl("rollout", "restart", BACKEND)
        await broken.settled()
        said = [await ask_pod(broken.api, pod, "/debug/strain") for pod in await broken.pods()]
        assert ['"burners": 0' in each.text for each in said] == [True, True]


async def test_burning_cpu_conforms(broken: Broken) -> None:
    async def intact() -> bool:
        said = [await ask_pod(broken.api, pod, "/debug/strain") for pod in await broken.pods()]
        return all('"burners": 0' in each.text for each in said)

    await check_fault(CpuHog(workload=BACKEND, processes=1), broken.stage, intact=intact, settling=seconds(10))


async def test_a_full_volume_fails_orders_until_the_fault_ends(broken: Broken) -> None:
    assert await order(broken) == 201
    async with FillDisk(workload=BACKEND, path=SPOOL).applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence == {"path": SPOOL, "pods": 2, "free_kb": 0}
        assert await order(broken) == 500
    assert await order(broken) == 201


async def test_what_is_no_volume_of_its_own_is_not_filled(broken: Broken) -> None:
    with pytest.raises(FaultError, match="/srv is not a volume of its own"):
        async with FillDisk(workload=BACKEND, path="/srv").applied_to(broken.stage):
            pass
    with pytest.raises(FaultError, match="more than a volume that is there to be filled"):
        async with FillDisk(workload=BACKEND, path="/var/run/shop").applied_to(broken.stage):
            pass


async def test_leaked_connections_are_let_go_when_the_fault_ends(broken: Broken) -> None:
    async def leaked() -> int:
        said = [decoded(await ask_pod(broken.api, pod, "/debug/strain")) for pod in await broken.pods()]
        return sum(int(each["connections"] or 0) for each in said)

    async with LeakConnections(workload=BACKEND, count=4).applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence == {"pods": 2, "connections": 8, "refused": False}
        assert await leaked() == 8
    assert await leaked() == 0
