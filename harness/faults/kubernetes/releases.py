"""Faults that are releases: a real rollout, with a new ReplicaSet and a revision that `kubectl rollout undo` can return from."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness import clock
from harness.errors import FaultError
from harness.faults.kubernetes.api import STEP, STRATEGIC, Api, opened
from harness.faults.kubernetes.objects import Controlled, Pod
from harness.faults.kubernetes.targets import InCluster, Workload, outcome, workload
from harness.faults.scope import undone
from harness.model.units import Ns, seconds
from harness.ports import Injection, Stage

_ROLLING: Ns = seconds(40)
"""How long a rollout may take until it is complete, or evidently stuck."""

_UNPULLED = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRelease(InCluster):
    """A release of `workload` is rolled out that starts, or fails to start, from `image`; `container` is its first where "".

    When the fault ends the image is the one before, unless somebody has rolled it back, or on, meanwhile. Felt: the rollout is
    complete, or its pods crash; evidence says which, and how many pods are ready.
    """

    workload: str
    image: str
    container: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.image} is released to {self.workload}"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Release it. FaultError without such a workload or container, or if it has this image already."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            async with _released(target, self.image, container=self.container, what=str(self)):
                seen = await _rolled_out(target, self.image)
                pulled = not any(pod.trouble in _UNPULLED for pod in seen.fresh)
                why = "" if (seen.complete or seen.crashing) and pulled else f"after all this time: {seen}"
                yield _evidence(seen, why)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadImage(InCluster):
    """A release of `workload` is rolled out whose `image` cannot be had.

    When the fault ends the image is the one before, unless somebody has seen to it meanwhile. Felt: a pod of it waits in
    ErrImagePull or ImagePullBackOff. As long as the strategy keeps the old pods, users notice nothing.
    """

    workload: str
    image: str
    container: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.image}, which cannot be had, is released to {self.workload}"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Release it. FaultError without such a workload or container, or if it has this image already."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            async with _released(target, self.image, container=self.container, what=str(self)):
                seen = await _rolled_out(target, self.image)
                unpulled = any(pod.trouble in _UNPULLED for pod in seen.fresh)
                yield _evidence(seen, "" if unpulled else f"the image was not refused: {seen}")


@dataclass(frozen=True, slots=True)
class _Rollout:
    """How far a rollout has come: the workload, and its pods of the new image and of others."""

    now: Controlled
    fresh: tuple[Pod, ...]
    old: tuple[Pod, ...]

    @property
    def complete(self) -> bool:
        """Nothing is left of the release before that takes traffic."""
        return self.now.complete and bool(self.fresh) and not any(pod.ready for pod in self.old)

    @property
    def crashing(self) -> bool:
        """A pod of it has ended, or cannot begin."""
        return any(pod.trouble or pod.restarts for pod in self.fresh)

    def __str__(self) -> str:
        states = ", ".join(pod.trouble or ("ready" if pod.ready else "not ready") for pod in self.fresh)
        return f"new pods: {states or 'none'}; old ones ready: {sum(pod.ready for pod in self.old)}"


@asynccontextmanager
async def _released(target: Workload, image: str, *, container: str, what: str) -> AsyncIterator[None]:
    """Within the scope the image is released; at its end the one before, if this one still is."""
    name = target.container(container)
    before = _image(target.was, name)
    if before == image:
        raise FaultError(f"{target.name}: expected another image than {image}; it is there already")
    if not target.was.complete:
        raise FaultError(f"{target.name}: expected it to be rolled out before a bad release; it is not: {target.was}")

    async def before_again() -> None:
        if _image(await target.now(), name) == image:
            await _set_image(target.api, target, {"name": name, "image": before})

    async with undone(before_again, what=what):
        await _set_image(target.api, target, {"name": name, "image": image})
        yield


async def _set_image(api: Api, target: Workload, container: dict[str, str]) -> None:
    await api.patch(target.path, {"spec": {"template": {"spec": {"containers": [container]}}}}, how=STRATEGIC)


def _image(one: Controlled, container: str) -> str:
    return next((each.image for each in one.spec.template.spec.containers if each.name == container), "")


async def _rolled_out(target: Workload, image: str) -> _Rollout:
    """How far it is when it is complete, or crashes, or time is up."""

    async def looked() -> _Rollout:
        pods: Sequence[Pod] = await target.pods()
        fresh = tuple(pod for pod in pods if any(each.image == image for each in pod.spec.containers))
        return _Rollout(await target.now(), fresh, tuple(pod for pod in pods if pod not in fresh))

    async def settled() -> _Rollout | None:
        seen = await looked()
        return seen if seen.complete or seen.crashing else None

    return await clock.until(settled, deadline=clock.now() + _ROLLING, every=STEP) or await looked()


def _evidence(seen: _Rollout, why: str) -> Injection:
    troubles = {pod.trouble or pod.died_of for pod in seen.fresh}
    return outcome(
        why,
        rollout="complete" if seen.complete else "stuck",
        new_pods=len(seen.fresh),
        new_ready=sum(pod.ready for pod in seen.fresh),
        old_ready=sum(pod.ready for pod in seen.old),
        state=", ".join(sorted(filter(None, troubles))) or "running",
    )
