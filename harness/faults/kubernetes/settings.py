"""Faults that are settings: a value of a ConfigMap or Secret that is wrong, and a Service that looks for pods nobody has."""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness import clock
from harness.errors import FaultError
from harness.faults.kubernetes.api import STEP, Api, opened
from harness.faults.kubernetes.objects import Data, Pod, Service, Slices
from harness.faults.kubernetes.targets import SETTLING, InCluster, Workload, outcome, replaced, same, workload
from harness.faults.scope import undone
from harness.model.units import Ns, seconds
from harness.ports import Injection, Stage

_FOLLOWING: Ns = seconds(5)
"""How long endpoints may take to follow a selector."""

_SOURCES = {"configmap": "configmaps", "configmaps": "configmaps", "cm": "configmaps"} | {
    "secret": "secrets",
    "secrets": "secrets",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongConfig(InCluster):
    """`key` of `source` (`configmap/backend-config`, `secret/backend-secrets`) is `value`, and the pods of `restart` (a workload
    that reads it when it starts; "" where none has to) are replaced, so that they have it.

    When the fault ends it is what it was, or not there, and those pods that started with it are replaced again; unless somebody
    has changed it meanwhile. Felt: the API server shows the value, and all pods of `restart` are younger than it. A Secret's
    value is not shown in evidence.
    """

    source: str
    key: str
    value: str
    restart: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        then = f", and {self.restart} restarts with it" if self.restart else ""
        return f"{self.key} of {self.source} is wrong{then}"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Set it. FaultError without such an object or workload, or if it has this value already."""
        async with opened(stage, namespace=self.namespace) as api:
            path, secret = self._path(api)
            found = await api.find(path, Data)
            if found is None:
                raise FaultError(f"expected {self.source} in the namespace {api.namespace}; there is none")
            wrong = base64.b64encode(self.value.encode()).decode() if secret else self.value
            before = found.data.get(self.key)
            if before == wrong:
                raise FaultError(f"{self.source}: expected another value of {self.key} than the wrong one")
            target = await workload(api, self.restart) if self.restart else None
            old = await target.pods() if target else ()

            async def right_again() -> None:
                now = await api.find(path, Data)
                if now is not None and now.data.get(self.key) == wrong:
                    await api.patch(path, {"data": {self.key: before}})
                    if target is not None:
                        await replaced(target, await _others(target, old))

            async with undone(right_again, what=str(self)):
                await api.patch(path, {"data": {self.key: wrong}})
                started = await _restarted(target, old) if target else ()
                shown = (await api.get(path, Data)).data.get(self.key) == wrong
                left = await same(target, old) if target else ()
                why = "" if shown else "the value is not there"
                why = why or (f"{len(left)} pods are still those that started before" if left else "")
                yield outcome(
                    why,
                    before="set" if secret and before else before,
                    value="another" if secret else self.value,
                    restarted=len(started),
                    ready=sum(pod.ready for pod in started),
                )

    def _path(self, api: Api) -> tuple[str, bool]:
        kind, _, name = self.source.partition("/")
        plural = _SOURCES.get(kind.lower())
        if plural is None or not name:
            raise FaultError(f"expected configmap/<name> or secret/<name>; found {self.source!r}")
        return api.core(plural, name), plural == "secrets"


async def _restarted(target: Workload, old: Sequence[Pod]) -> Sequence[Pod]:
    """Have all of them replaced; who came instead, once their containers have begun: before that they have read nothing."""
    await replaced(target, old)

    async def begun() -> bool | None:
        run = [pod for pod in await _others(target, old) if pod.running or pod.trouble]
        return True if len(run) >= target.was.spec.replicas else None

    await clock.until(begun, deadline=clock.now() + SETTLING, every=STEP)
    return await _others(target, old)


async def _others(target: Workload, old: Sequence[Pod]) -> Sequence[Pod]:
    """Its pods that came after those."""
    known = {pod.metadata.uid for pod in old}
    return [pod for pod in await target.pods() if pod.metadata.uid not in known and not pod.going]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakSelector(InCluster):
    """The Service `service` selects pods by a label that none has, besides its own.

    When the fault ends its selector is what it was, unless somebody has changed it meanwhile. Felt: none of its endpoints is
    ready any more.
    """

    service: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"the Service {self.service} selects no pods"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Break it. FaultError without such a Service, or if it has no selector."""
        async with opened(stage, namespace=self.namespace) as api:
            path = api.core("services", self.service)
            found = await api.find(path, Service)
            if found is None or not found.spec.selector:
                raise FaultError(f"expected a Service {self.service} with a selector in {api.namespace}; there is none")
            wrong = {**found.spec.selector, "release": "next"}
            before = await self._ready(api)

            async def right_again() -> None:
                now = await api.find(path, Service)
                if now is not None and now.spec.selector == wrong:
                    await api.patch(path, {"spec": {"selector": {"release": found.spec.selector.get("release")}}})

            async with undone(right_again, what=str(self)):
                await api.patch(path, {"spec": {"selector": wrong}})

                async def empty() -> bool | None:
                    return True if await self._ready(api) == 0 else None

                seen = await clock.until(empty, deadline=clock.now() + _FOLLOWING, every=STEP)
                left = await self._ready(api)
                selector = ",".join(f"{key}={value}" for key, value in wrong.items())
                yield outcome(
                    "" if seen else f"{left} of its endpoints are still ready",
                    selector=selector,
                    endpoints_before=before,
                    endpoints=left,
                )

    async def _ready(self, api: Api) -> int:
        slices = api.grouped("discovery.k8s.io/v1", "endpointslices")
        return (await api.get(f"{slices}?labelSelector=kubernetes.io%2Fservice-name%3D{self.service}", Slices)).ready
