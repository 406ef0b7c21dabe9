"""Faults done to pods: deleted, killed, crashing again and again, not ready, or gone because nobody wants any."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness import clock
from harness.faults.kubernetes.api import STEP, Api, opened
from harness.faults.kubernetes.objects import Pod
from harness.faults.kubernetes.targets import (
    SETTLING,
    InCluster,
    Which,
    Workload,
    ask_pod,
    outcome,
    replaced,
    same,
    switch,
    switch_back,
    workload,
)
from harness.faults.scope import undone
from harness.model.units import Ns, milliseconds, seconds
from harness.ports import Injection, Stage

_GOING: Ns = seconds(5)
_CRASHING: Ns = milliseconds(200)
"""How long a process that was told to crash may still answer."""

_UNHEALTHY: Ns = seconds(10)
"""How long a probe of the kubelet's may take to fail often enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePod(InCluster):
    """Pods of `workload` (`deployment/backend`) are deleted and end in their own time: "all" of them, or the first "one".

    Their controller makes others; there is nothing to undo. Felt: they are on their way out, or gone.
    """

    workload: str
    which: Which = "one"
    namespace: str = ""

    def __str__(self) -> str:
        return f"{_who(self.which)} of {self.workload} {_is(self.which)} deleted"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Delete them. FaultError without such a workload, or if it has no pods."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            yield await _deleted(target, await target.victims(self.which), grace_s=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillPod(InCluster):
    """Pods of `workload` are killed: deleted without any grace, so that nothing of them ends in order.

    Otherwise as DeletePod.
    """

    workload: str
    which: Which = "one"
    namespace: str = ""

    def __str__(self) -> str:
        return f"{_who(self.which)} of {self.workload} {_is(self.which)} killed"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Kill them. FaultError without such a workload, or if it has no pods."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            yield await _deleted(target, await target.victims(self.which), grace_s=0)


async def _deleted(target: Workload, victims: Sequence[Pod], *, grace_s: int | None) -> Injection:
    for pod in victims:
        await target.api.delete(target.api.core("pods", pod.metadata.name), grace_s=grace_s)

    async def gone() -> bool | None:
        return None if await same(target, victims) else True

    done = await clock.until(gone, deadline=clock.now() + _GOING, every=STEP)
    ready = sum(pod.ready for pod in await target.pods())
    names = ", ".join(pod.metadata.name for pod in victims)
    return outcome("" if done else "they are still there", pods=names, deleted=len(victims), ready_left=ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashLoop(InCluster):
    """The processes of `workload`'s pods crash, and what they leave behind in the pod makes each one after them crash at once:
    the pod restarts its container and never gets well, while a fresh pod would be.

    The workload must be one that crashes when it is told to, and does not survive a crash in the same pod: as the shop with
    STRAIN and PIDFILE. When the fault ends, those pods that still crash are replaced. Felt: the containers have ended, been
    restarted and ended again.
    """

    workload: str
    which: Which = "all"
    namespace: str = ""

    def __str__(self) -> str:
        return f"{_who(self.which)} of {self.workload} {_verb(self.which, 'crash')} and cannot start again"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Crash them; afterwards none of them crashes. FaultError without such a workload, pods or switches."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            victims = await target.victims(self.which)
            before = {pod.metadata.uid: pod.restarts for pod in victims}
            told: list[Pod] = []

            async def well() -> None:
                # The API server shows a pod ready for a while after its process has died: hence they are asked themselves.
                await clock.sleep_until(clock.now() + _CRASHING)
                crashing = [pod for pod in await same(target, told) if not await _answers(api, pod)]
                await replaced(target, crashing)

            async with undone(well, what=str(self)):
                for pod in victims:
                    told.append(pod)
                    await switch(api, pod, crash=True)

                async def looping() -> Sequence[Pod] | None:
                    there = await same(target, victims)
                    again = [pod for pod in there if pod.trouble and pod.restarts > before[pod.metadata.uid]]
                    return there if len(again) == len(there) else None

                seen = await clock.until(looping, deadline=clock.now() + SETTLING, every=STEP)
                there = seen if seen is not None else await same(target, victims)
                yield outcome(
                    "" if seen else "not all of them crash again after their first crash",
                    pods=len(there),
                    state=_said(pod.trouble or "running" for pod in there),
                    ended=_said(pod.died_of for pod in there),
                    restarts=sum(pod.restarts for pod in there) - sum(before.values()),
                )


async def _answers(api: Api, pod: Pod) -> bool:
    return (await ask_pod(api, pod, "/debug/strain", within=seconds(1))).status == 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FailReadiness(InCluster):
    """The pods of `workload` live, and say that they are not ready; fresh ones would be.

    The workload must have switches, as the shop with STRAIN. When the fault ends, those that are still there are ready again.
    Felt: the API server shows them not ready while they run.
    """

    workload: str
    which: Which = "all"
    namespace: str = ""

    def __str__(self) -> str:
        return f"{_who(self.which)} of {self.workload} {_verb(self.which, 'fail')} the readiness probe"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Have them fail it. FaultError without such a workload, pods or switches."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            victims = await target.victims(self.which)

            async def ready_again() -> None:
                await switch_back(api, await same(target, victims), ready=True)

            async with undone(ready_again, what=str(self)):
                for pod in victims:
                    await switch(api, pod, ready=False)

                async def unready() -> bool | None:
                    return None if any(pod.ready for pod in await same(target, victims)) else True

                seen = await clock.until(unready, deadline=clock.now() + _UNHEALTHY, every=STEP)
                there = await same(target, victims)
                yield outcome(
                    "" if seen else "some of them are still ready",
                    pods=len(there),
                    not_ready=sum(not pod.ready for pod in there),
                    running=sum(bool(pod.running) for pod in there),
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleToZero(InCluster):
    """`workload` is scaled to no pods at all.

    When the fault ends it has as many replicas as before, unless somebody has scaled it meanwhile. Felt: no pod is ready.
    """

    workload: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.workload} is scaled to zero"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Scale it. FaultError without such a workload, or if it has no pods."""
        async with opened(stage, namespace=self.namespace) as api:
            target = await workload(api, self.workload)
            await target.victims()
            before = target.was.spec.replicas

            async def scaled_back() -> None:
                if (await target.now()).spec.replicas == 0:
                    await _scale(api, target, before)

            async with undone(scaled_back, what=str(self)):
                await _scale(api, target, 0)

                async def none() -> bool | None:
                    return None if any(pod.ready for pod in await target.pods()) else True

                seen = await clock.until(none, deadline=clock.now() + SETTLING, every=STEP)
                now = await target.now()
                yield outcome(
                    "" if seen else "some of its pods are still ready",
                    replicas_before=before,
                    replicas=now.spec.replicas,
                    ready=sum(pod.ready for pod in await target.pods()),
                )


async def _scale(api: Api, target: Workload, replicas: int) -> None:
    await api.patch(f"{target.path}/scale", {"spec": {"replicas": replicas}})


def _who(which: Which) -> str:
    return "all pods" if which == "all" else "one pod"


def _is(which: Which) -> str:
    return "are" if which == "all" else "is"


def _verb(which: Which, verb: str) -> str:
    ending = "es" if verb.endswith("sh") else "s"
    return verb if which == "all" else verb + ending


def _said(words: Iterable[str]) -> str:
    return ", ".join(sorted({word for word in words if word}))
