"""What faults of a cluster have in common: how a workload is named, which pods are its own, and what they are asked through
the API server's proxy. No fault itself."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

import msgspec

from harness import clock
from harness.errors import FaultError
from harness.faults.kubernetes.api import PATIENCE, STEP, Api, Reply
from harness.faults.kubernetes.objects import Controlled, Pod, Pods
from harness.model.history import Scalar
from harness.model.units import Ns, seconds
from harness.ports import Capability, Injection

Which = Literal["all", "one"]

SETTLING: Ns = seconds(20)
"""How long what a fault asks of a controller may take to show."""

_KINDS = {
    "deployment": "deployments",
    "deployments": "deployments",
    "deploy": "deployments",
    "statefulset": "statefulsets",
    "statefulsets": "statefulsets",
    "sts": "statefulsets",
}


class InCluster:
    """A fault done to a cluster: it needs one, and no faulty link."""

    __slots__ = ()

    @property
    def needs(self) -> frozenset[Capability]:
        """A cluster."""
        return frozenset({Capability.KUBERNETES})

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet as it was when the fault began; `kind` in the plural, as paths have it."""

    api: Api
    kind: str
    was: Controlled

    @property
    def name(self) -> str:
        """Its name without the kind."""
        return self.was.metadata.name

    @property
    def path(self) -> str:
        """Where it is in the API."""
        return self.api.grouped("apps/v1", self.kind, self.name)

    async def now(self) -> Controlled:
        """It, as it is."""
        return await self.api.get(self.path, Controlled)

    async def pods(self) -> tuple[Pod, ...]:
        """Its pods, by name; those that are being deleted too."""
        labels = ",".join(f"{key}={value}" for key, value in self.was.spec.selector.match_labels.items())
        found = await self.api.get(f"{self.api.core('pods')}?labelSelector={quote(labels)}", Pods)
        return tuple(sorted(found.items, key=lambda pod: pod.metadata.name))

    async def victims(self, which: Which = "all") -> tuple[Pod, ...]:
        """All pods of it that are there to stay, or the first of those; FaultError if there are none."""
        staying = tuple(pod for pod in await self.pods() if not pod.going)
        if not staying:
            raise FaultError(f"{self.name}: expected pods of {self.kind[:-1]}/{self.name} to break; it has none")
        return staying if which == "all" else staying[:1]

    def container(self, name: str) -> str:
        """The container of that name, its first for "", as its template has it; FaultError if there is none."""
        names = [each.name for each in self.was.spec.template.spec.containers]
        if name and name not in names:
            raise FaultError(f"{self.name}: expected one of its containers {', '.join(names)}; found {name!r}")
        return name or names[0]


async def workload(api: Api, reference: str) -> Workload:
    """The workload that `deployment/backend` names; FaultError if there is none, saying which there are."""
    kind, slash, name = reference.partition("/")
    plural = _KINDS.get(kind.lower())
    if plural is None or not slash or not name:
        raise FaultError(f"expected a workload such as deployment/backend or statefulset/kafka; found {reference!r}")
    found = await api.find(api.grouped("apps/v1", plural, name), Controlled)
    if found is None:
        raise FaultError(f"expected {reference} in the namespace {api.namespace}; {await _there_are(api, plural)}")
    return Workload(api, plural, found)


class _Name(msgspec.Struct, frozen=True):
    name: str


class _Named(msgspec.Struct, frozen=True):
    metadata: _Name


class _Names(msgspec.Struct, frozen=True):
    items: tuple[_Named, ...]


async def _there_are(api: Api, plural: str) -> str:
    found = await api.get(api.grouped("apps/v1", plural), _Names)
    return f"its {plural} are: {', '.join(each.metadata.name for each in found.items) or 'none'}"


async def ask_pod(
    api: Api, pod: Pod, path: str, body: Mapping[str, object] | None = None, *, within: Ns = PATIENCE
) -> Reply:
    """What the first port of `pod` answers at `path`, by the API server's proxy; a POST with a body, else a GET."""
    ports = [port.container_port for container in pod.spec.containers for port in container.ports]
    if not ports:
        raise FaultError(f"{pod.metadata.name}: expected a container with a port, to be asked there; it declares none")
    to = f"{api.core('pods', pod.metadata.name)}:{ports[0]}/proxy{path}"
    return await api.reply("GET" if body is None else "POST", to, body, within=within)


Said = dict[str, Scalar]


async def switch(api: Api, pod: Pod, **switches: bool | int | str) -> Said:
    """Set switches of a pod of ours (clusters/workloads/shop/shop/strain.py) and have its state. FaultError if it has none."""
    said = await ask_pod(api, pod, "/debug/strain", switches)
    if said.status != 200:
        raise FaultError(
            f"{pod.metadata.name}: expected a workload with switches (POST /debug/strain, STRAIN=on); "
            f"it answered {said.status or 'nothing'}: {said.text.strip()[:200]}"
        )
    return decoded(said)


def decoded(said: Reply) -> Said:
    """The flat JSON object of an answer."""
    found = json.loads(said.text)
    return found if isinstance(found, dict) else {}


async def switch_back(api: Api, pods: Iterable[Pod], **switches: bool | int | str) -> None:
    """The same to all that can still be asked; those that have gone, or are dying, need it no more."""
    await asyncio.gather(*(ask_pod(api, pod, "/debug/strain", switches, within=seconds(2)) for pod in pods))


async def same(target: Workload, pods: Sequence[Pod]) -> tuple[Pod, ...]:
    """Those of `pods` that are still there, as they are now."""
    known = {pod.metadata.uid for pod in pods}
    return tuple(pod for pod in await target.pods() if pod.metadata.uid in known and not pod.going)


async def replaced(target: Workload, pods: Sequence[Pod]) -> None:
    """Have the controller make fresh ones for those of `pods` that are still there."""
    for pod in await same(target, pods):
        await target.api.delete(target.api.core("pods", pod.metadata.name), grace_s=0)


def outcome(why: str, **evidence: Scalar) -> Injection:
    """An injection as of now: felt, unless there is a reason why not."""
    return Injection(felt=not why, at=clock.now(), evidence=evidence, why=why)


__all__ = [
    "SETTLING",
    "STEP",
    "InCluster",
    "Said",
    "Which",
    "Workload",
    "ask_pod",
    "decoded",
    "outcome",
    "replaced",
    "same",
    "switch",
    "switch_back",
    "workload",
]
