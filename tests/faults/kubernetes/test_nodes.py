"""Nodes that are closed, emptied or off."""

import json

import pytest

from harness.errors import FaultError
from harness.faults.kubernetes import CordonNode, DrainNode, KillNode, RestartNode
from harness.model.units import seconds
from harness.testing import check_fault
from tests.faults.kubernetes.conftest import Broken, eventually

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def node(broken: Broken) -> str:
    """The last node: a worker, where there is one."""
    return broken.stage.environment.cluster.nodes[-1]


async def unschedulable(broken: Broken, node: str) -> bool:
    return bool(json.loads(await broken.kubectl("get", "node", node, "-o", "json"))["spec"].get("unschedulable"))


async def test_cordoning_conforms(broken: Broken, node: str) -> None:
    async def intact() -> bool:
        return not await unschedulable(broken, node)

    await check_fault(CordonNode(node=node), broken.stage, intact=intact)


async def test_a_node_that_the_operator_opened_is_left_open(broken: Broken, node: str) -> None:
    async with CordonNode(node=node).applied_to(broken.stage):
        await broken.kubectl("uncordon", node)
    assert not await unschedulable(broken, node)


async def test_a_drained_node_has_lost_its_pods_but_for_what_a_budget_keeps(broken: Broken, node: str) -> None:
    async with DrainNode(node=node).applied_to(broken.stage) as injection:
        assert await unschedulable(broken, node)
        assert int(injection.evidence["evicted"] or 0) >= 1
        assert injection.felt or "backend" in injection.why  # with one node there is nowhere to go
    assert not await unschedulable(broken, node)
    await broken.settled()
    await eventually(lambda: broken.well("deployment/razorpay"))


async def test_a_node_without_power_does_not_answer_until_it_has_it_again(broken: Broken, node: str) -> None:
    if node == broken.stage.environment.cluster.nodes[0]:
        pytest.skip("the only node is the control plane's: without it there is nobody to ask")
    async with KillNode(node=node).applied_to(broken.stage) as injection:
        assert injection.felt, injection.why

    async def answers() -> bool:
        return (await broken.api.reply("GET", f"/api/v1/nodes/{node}/proxy/healthz", within=seconds(1))).status == 200

    await eventually(answers)
    async with RestartNode(node=node).applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence["went_down"]
    await eventually(answers)
    # Nobody took the pid files away: with them the storefront's pods do not start again by themselves.
    await broken.kubectl("rollout", "restart", "deployment/backend")
    await broken.settled()


async def test_a_node_that_is_not_there_is_an_error_that_names_those_that_are(broken: Broken, node: str) -> None:
    with pytest.raises(FaultError, match=rf"expected one of the nodes .*{node}; found 'nowhere'"):
        async with CordonNode(node="nowhere").applied_to(broken.stage):
            pass
