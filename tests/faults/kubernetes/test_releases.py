"""Releases that are bad, or cannot be had: real rollouts, which kubectl can undo."""

import json

import pytest

from harness.errors import FaultError
from harness.faults.kubernetes import BadImage, BadRelease
from harness.faults.kubernetes.targets import ask_pod
from tests.faults.kubernetes.conftest import Broken

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

BACKEND = "deployment/backend"


async def image(broken: Broken) -> str:
    return (await broken.workload()).was.spec.template.spec.containers[0].image


async def statuses(broken: Broken, path: str) -> set[int]:
    return {(await ask_pod(broken.api, pod, path)).status for pod in await broken.pods() if pod.ready}


async def test_a_release_that_answers_500_is_rolled_out_and_taken_back(broken: Broken) -> None:
    assert await statuses(broken, "/products?limit=1") == {200}
    async with BadRelease(workload=BACKEND, image="shop:2.0-errors").applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence == {
            "rollout": "complete", "new_pods": 2, "new_ready": 2, "old_ready": 0, "state": "running",
        }  # fmt: skip
        assert await statuses(broken, "/products?limit=1") == {500}
        assert await statuses(broken, "/live") == {200}
    await broken.settled()
    assert await statuses(broken, "/products?limit=1") == {200}


async def test_rollout_undo_returns_from_it_and_the_faults_undo_has_nothing_to_do(broken: Broken) -> None:
    async with BadRelease(workload=BACKEND, image="shop:2.0-errors").applied_to(broken.stage):
        await broken.kubectl("rollout", "undo", BACKEND)
        await broken.settled()
        assert await image(broken) == "shop:1.0"
        generation = (await broken.workload()).was.metadata.generation
    assert (await broken.workload()).was.metadata.generation == generation


async def test_a_release_that_crashes_is_stuck_beside_the_old_one(broken: Broken) -> None:
    async with BadRelease(workload=BACKEND, image="shop:2.0-crash").applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence["rollout"] == "stuck"
        assert injection.evidence["old_ready"] == 2
    await broken.settled()


async def test_an_image_that_cannot_be_had_is_an_image_pull_error(broken: Broken) -> None:
    async with BadImage(workload=BACKEND, image="registry.invalid/shop:9.9").applied_to(broken.stage) as injection:
        assert injection.felt, injection.why
        assert injection.evidence["state"] in {"ErrImagePull", "ImagePullBackOff"}
    await broken.settled()
    assert await image(broken) == "shop:1.0"


async def test_history_has_the_bad_release_and_the_good_ones(broken: Broken) -> None:
    async with BadRelease(workload=BACKEND, image="shop:1.1").applied_to(broken.stage):
        sets = json.loads(await broken.kubectl("get", "replicasets", "-l", "app=backend", "-o", "json"))["items"]
        images = {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in sets}
        assert {"shop:1.0", "shop:1.1"} <= images
        assert len((await broken.kubectl("rollout", "history", BACKEND)).splitlines()) >= 4
    await broken.settled()


async def test_the_image_that_is_there_is_no_bad_release(broken: Broken) -> None:
    with pytest.raises(FaultError, match=r"expected another image than shop:1\.0"):
        async with BadRelease(workload=BACKEND, image="shop:1.0").applied_to(broken.stage):
            pass
    with pytest.raises(FaultError, match="expected one of its containers backend; found 'sidecar'"):
        async with BadRelease(workload=BACKEND, image="shop:1.1", container="sidecar").applied_to(broken.stage):
            pass
