"""Pods that are deleted, killed, crash or are not ready, in a real cluster."""

import pytest

from harness.errors import FaultError
from harness.faults.kubernetes import CrashLoop, DeletePod, FailReadiness, KillPod, ScaleToZero
from tests.faults.kubernetes.conftest import Broken, eventually

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

BACKEND = "deployment/backend"


async def test_a_deleted_pod_is_gone_and_its_controller_makes_another(broken: Broken) -> None:
    before = {pod.metadata.uid for pod in await broken.pods()}
    async with DeletePod(workload=BACKEND).applied_to(broken.stage) as injection:
        assert injection.felt
        assert injection.evidence["deleted"] == 1
    await broken.settled()
    assert len(before & {pod.metadata.uid for pod in await broken.pods()}) == 1


async def test_all_pods_that_are_killed_leave_nobody_to_serve(broken: Broken) -> None:
    before = {pod.metadata.uid for pod in await broken.pods()}
    async with KillPod(workload=BACKEND, which="all").applied_to(broken.stage) as injection:
        assert injection.felt
        assert injection.evidence["deleted"] == 2
    await broken.settled()
    assert not before & {pod.metadata.uid for pod in await broken.pods()}


async def test_pods_that_crash_go_on_crashing_until_the_fault_ends(broken: Broken) -> None:
    async with CrashLoop(workload=BACKEND).applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence["pods"] == 2
        assert not any(pod.ready for pod in await broken.pods())
    await broken.settled()


async def test_a_restart_cures_pods_that_crash_and_the_undo_leaves_it_alone(broken: Broken) -> None:
    async with CrashLoop(workload=BACKEND).applied_to(broken.stage):
        await broken.kubectl("rollout", "restart", BACKEND)
        await broken.settled()
        cured = {pod.metadata.uid for pod in await broken.pods()}
    await broken.settled()
    assert {pod.metadata.uid for pod in await broken.pods()} == cured


async def test_pods_that_fail_their_probe_are_not_ready_and_live(broken: Broken) -> None:
    before = {pod.metadata.uid for pod in await broken.pods()}
    async with FailReadiness(workload=BACKEND).applied_to(broken.stage) as injection:
        assert injection.felt
        assert injection.evidence == {"pods": 2, "not_ready": 2, "running": 2}
    await broken.settled()
    assert {pod.metadata.uid for pod in await broken.pods()} == before


async def test_what_is_scaled_to_zero_comes_back_as_it_was(broken: Broken) -> None:
    async with ScaleToZero(workload=BACKEND).applied_to(broken.stage) as injection:
        assert injection.felt
        assert injection.evidence == {"replicas_before": 2, "replicas": 0, "ready": 0}
    await broken.settled()
    assert (await broken.workload()).was.spec.replicas == 2


async def test_a_scale_of_the_operators_is_left_alone(broken: Broken) -> None:
    async with ScaleToZero(workload=BACKEND).applied_to(broken.stage):
        await broken.kubectl("scale", BACKEND, "--replicas=3")
    assert (await broken.workload()).was.spec.replicas == 3
    await broken.kubectl("scale", BACKEND, "--replicas=2")
    await broken.settled()


async def test_a_workload_that_is_not_there_is_an_error_that_names_those_that_are(broken: Broken) -> None:
    with pytest.raises(
        FaultError, match=r"deployment/backhand in the namespace storefront; its deployments are: .*backend"
    ):
        async with DeletePod(workload="deployment/backhand").applied_to(broken.stage):
            pass
    with pytest.raises(FaultError, match=r"expected a workload such as deployment/backend .* found 'backend'"):
        async with ScaleToZero(workload="backend").applied_to(broken.stage):
            pass


async def test_a_workload_without_switches_cannot_be_crashed(broken: Broken) -> None:
    with pytest.raises(FaultError, match=r"expected a workload with switches .* it answered 404"):
        async with CrashLoop(workload="deployment/razorpay").applied_to(broken.stage):
            pass
    await eventually(lambda: broken.well("deployment/razorpay"))
