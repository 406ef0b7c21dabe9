"""Wrong values of ConfigMaps and Secrets, and a Service that looks for pods nobody has."""

import base64
import json

import pytest

from harness.errors import FaultError
from harness.faults.kubernetes import BreakSelector, WrongConfig
from harness.faults.kubernetes.targets import ask_pod
from harness.testing import check_fault
from tests.faults.kubernetes.conftest import Broken, eventually

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

BACKEND = "deployment/backend"
SECRET = WrongConfig(
    source="secret/backend-secrets", key="RAZORPAY_WEBHOOK_SECRET", value="whsec_rotated", restart=BACKEND
)


async def secret(broken: Broken) -> str:
    found = json.loads(await broken.kubectl("get", "secret", "backend-secrets", "-o", "json"))
    return base64.b64decode(found["data"]["RAZORPAY_WEBHOOK_SECRET"]).decode()


async def order(broken: Broken) -> int:
    pod = (await broken.pods())[0]
    return (await ask_pod(broken.api, pod, "/orders", {"customer": 3, "product": 5})).status


async def becomes(broken: Broken, status: int) -> None:
    """Pods that are on their way out still take webhooks on connections that are open."""

    async def answered() -> bool:
        return await order(broken) == status

    await broken.settled()
    await eventually(answered)


async def test_a_wrong_webhook_secret_leaves_orders_pending(broken: Broken) -> None:
    assert await order(broken) == 201
    async with SECRET.applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence["restarted"] == 2
        assert "whsec" not in str(injection.evidence)
        await becomes(broken, 202)
        assert await secret(broken) == "whsec_rotated"
    await becomes(broken, 201)


async def test_a_value_that_somebody_corrected_is_left_alone_with_its_pods(broken: Broken) -> None:
    async with SECRET.applied_to(broken.stage):
        await broken.settled()
        right = json.dumps({"stringData": {"RAZORPAY_WEBHOOK_SECRET": "whsec_1"}})
        await broken.kubectl("patch", "secret", "backend-secrets", "-p", right)
        await broken.kubectl("rollout", "restart", BACKEND)
        await broken.settled()
        corrected = {pod.metadata.uid for pod in await broken.pods()}
    assert {pod.metadata.uid for pod in await broken.pods()} == corrected
    assert await order(broken) == 201


async def test_a_key_that_was_not_there_is_gone_afterwards(broken: Broken) -> None:
    fault = WrongConfig(source="configmap/backend-config", key="FEATURE_NEW", value="maybe")
    async with fault.applied_to(broken.stage) as injection:
        assert injection.felt
        assert injection.evidence["before"] is None
    assert "FEATURE_NEW" not in await broken.kubectl("get", "configmap", "backend-config", "-o", "yaml")


async def test_a_service_without_endpoints_has_them_again(broken: Broken) -> None:
    async with BreakSelector(service="backend").applied_to(broken.stage) as injection:
        assert injection.felt
        assert injection.evidence["endpoints_before"] == 2
        assert injection.evidence["endpoints"] == 0
    assert "release" not in await broken.kubectl("get", "service", "backend", "-o", "jsonpath={.spec.selector}")


async def test_a_broken_selector_conforms(broken: Broken) -> None:
    async def intact() -> bool:
        selector = await broken.kubectl("get", "service", "backend", "-o", "jsonpath={.spec.selector}")
        return json.loads(selector) == {"app": "backend"}

    await check_fault(BreakSelector(service="backend"), broken.stage, intact=intact)


async def test_what_is_not_there_cannot_be_set_wrong(broken: Broken) -> None:
    with pytest.raises(FaultError, match="expected configmap/none in the namespace storefront; there is none"):
        async with WrongConfig(source="configmap/none", key="A", value="b").applied_to(broken.stage):
            pass
    with pytest.raises(FaultError, match="expected configmap/<name> or secret/<name>; found 'backend-config'"):
        async with WrongConfig(source="backend-config", key="A", value="b").applied_to(broken.stage):
            pass
    with pytest.raises(FaultError, match="expected a Service none with a selector"):
        async with BreakSelector(service="none").applied_to(broken.stage):
            pass
