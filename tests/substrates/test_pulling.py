"""Images that cannot be had are told from those that are late."""

import msgspec
import pytest

from harness.model.units import seconds
from harness.substrates import pulling
from harness.substrates.pods import Pod
from harness.substrates.pulling import PATIENCE, Watch, unpulled

NOT_FOUND = 'failed to pull and unpack image "docker.io/library/shop:9": docker.io/library/shop:9: not found'
BUSY = 'failed to pull image "shop:9": unexpected status: 503 Service Unavailable'


def pod(name: str = "web-1", *, reason: str, message: str = "", namespace: str = "prod", init: bool = False) -> Pod:
    status = {"name": "web", "image": "shop:9", "state": {"waiting": {"reason": reason, "message": message}}}
    key = "initContainerStatuses" if init else "containerStatuses"
    return msgspec.convert({"metadata": {"name": name, "namespace": namespace}, "status": {key: [status]}}, Pod)


def given_up(watch: Watch, one: Pod, *, at: int = 0) -> bool:
    return bool(watch.given_up(unpulled([one], ["prod"]), at=at))


@pytest.mark.parametrize("init", [False, True])
def test_an_image_that_is_nowhere_is_told_at_once_with_its_name_pod_reason_and_cause(init: bool) -> None:
    (found,) = Watch().given_up(unpulled([pod(reason="ErrImagePull", message=NOT_FOUND, init=init)], ["prod"]), at=0)
    assert str(found) == f"the image shop:9 of pod web-1 cannot be had (ErrImagePull: {NOT_FOUND})"


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_what_the_kubelet_does_not_even_try_is_told_at_once(reason: str) -> None:
    assert given_up(Watch(), pod(reason=reason))


def test_a_registry_that_is_busy_is_given_a_second_try_and_no_more() -> None:
    watch = Watch()
    assert not given_up(watch, pod(reason="ErrImagePull", message=BUSY), at=seconds(100))
    assert not given_up(watch, pod(reason="ImagePullBackOff"), at=seconds(100) + PATIENCE - 1)
    assert given_up(watch, pod(reason="ErrImagePull", message=BUSY), at=seconds(100) + PATIENCE)


def test_an_image_that_came_meanwhile_starts_afresh() -> None:
    watch = Watch()
    assert not given_up(watch, pod(reason="ErrImagePull", message=BUSY))
    assert not given_up(watch, pod(reason="ContainerCreating"), at=PATIENCE - 1)
    assert not given_up(watch, pod(reason="ErrImagePull", message=BUSY), at=PATIENCE + 1)


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "CrashLoopBackOff", ""])
def test_other_reasons_to_wait_are_no_images(reason: str) -> None:
    assert not unpulled([pod(reason=reason, message=NOT_FOUND)], ["prod"])


def test_pods_of_others_do_not_count() -> None:
    assert not unpulled([pod(reason="ErrImagePull", message=NOT_FOUND, namespace="somebody")], ["prod"])


def test_each_image_is_told_once_by_the_pod_that_says_most() -> None:
    backing_off = pod("web-1", reason="ImagePullBackOff", message='Back-off pulling image "shop:9"')
    (found,) = unpulled([backing_off, pod("web-2", reason="ErrImagePull", message=NOT_FOUND)], ["prod"])
    assert found.pod == "web-2"
    assert pulling.told("shop", [found], remedy="build it").splitlines()[-1] == "    build it"
