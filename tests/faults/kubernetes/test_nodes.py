"""Nodes that are closed, emptied or off."""

import json

import pytest

from harness.errors import FaultError
from harness.faults.kubernetes import CordonNode
from tests.faults.kubernetes.conftest import Broken

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def node(broken: Broken) -> str:
    """The last node: a worker, where there is one."""
    return broken.stage.environment.cluster.nodes[-1]


async def unschedulable(broken: Broken, node: str) -> bool:
    return bool(json.loads(await broken.kubectl("get", "node", node, "-o", "json"))["spec"].get("unschedulable"))


async def test_a_node_that_the_operator_opened_is_left_open(broken: Broken, node: str) -> None:
    async with CordonNode(node=node).applied_to(broken.stage):
        await broken.kubectl("uncordon", node)
    assert not await unschedulable(broken, node)


async def test_a_node_that_is_not_there_is_an_error_that_names_those_that_are(broken: Broken, node: str) -> None:
    with pytest.raises(FaultError, match=rf"expected one of the nodes .*{node}; found 'nowhere'"):
        async with CordonNode(node="nowhere").applied_to(broken.stage):
            pass
