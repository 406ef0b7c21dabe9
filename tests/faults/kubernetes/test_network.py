"""Traffic that a policy blocks, where the network enforces policies, and a provider that fails."""

import pytest

from harness.errors import FaultError
from harness.faults.kubernetes import BlockTraffic, BreakProvider
from harness.faults.kubernetes.targets import ask_pod
from harness.testing import check_fault
from tests.faults.kubernetes.conftest import Broken, eventually

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

BACKEND = "deployment/backend"
BLOCKED = BlockTraffic(workload=BACKEND, peer="razorpay:8080")


async def order(broken: Broken) -> tuple[int, str]:
    said = await ask_pod(broken.api, (await broken.pods())[0], "/orders", {"customer": 3, "product": 5})
    return said.status, said.text


@pytest.mark.parametrize("answer", ["error", "slow", "silent"])
async def test_a_provider_that_fails_fails_orders(broken: Broken, answer: str) -> None:
    assert (await order(broken))[0] == 201
    fault = BreakProvider(workload="deployment/razorpay", answer=answer)  # type: ignore[arg-type]
    async with fault.applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        status, text = await order(broken)
        assert status == 502
        assert "payment authorization failed" in text
    assert (await order(broken))[0] == 201


async def test_breaking_a_provider_conforms(broken: Broken) -> None:
    async def intact() -> bool:
        return (await order(broken))[0] == 201

    await check_fault(BreakProvider(workload="deployment/razorpay"), broken.stage, intact=intact)


async def test_blocked_traffic_does_not_pass_or_the_fault_says_that_nobody_enforces_it(broken: Broken) -> None:
    async with BLOCKED.applied_to(broken.stage) as injection:
        assert str(injection.evidence["policy"]) in await broken.kubectl("get", "networkpolicies", "-o", "name")
        assert injection.felt or "does not enforce it" in injection.why
        if injection.felt:
            assert (await order(broken))[0] != 201
    assert not await broken.kubectl("get", "networkpolicies", "-o", "name")
    await broken.settled()

    async def passes() -> bool:
        return (await order(broken))[0] == 201

    await eventually(passes)  # connections that hang have to be given up first


async def test_what_is_out_of_reach_already_cannot_be_blocked(broken: Broken) -> None:
    with pytest.raises(FaultError, match="expected nowhere:1 to be reached from backend-"):
        async with BlockTraffic(workload=BACKEND, peer="nowhere:1").applied_to(broken.stage):
            pass


async def test_a_workload_without_a_switch_is_no_provider(broken: Broken) -> None:
    with pytest.raises(FaultError, match=r"expected a provider with a switch .* it answered 404"):
        async with BreakProvider(workload=BACKEND).applied_to(broken.stage):
            pass
