"""Faults done to nodes: closed to new pods, emptied, powered off. What a node is made of is the substrate's business."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness import clock
from harness.errors import FaultError
from harness.faults.kubernetes.api import STEP, Api, ApiError, cluster, opened, uninterrupted
from harness.faults.kubernetes.objects import Node, Pod, Pods
from harness.faults.kubernetes.targets import InCluster, outcome
from harness.faults.scope import undone
from harness.model.units import Ns, seconds
from harness.ports import Cluster, Injection, NodeState, Stage

_DRAINING: Ns = seconds(25)
_LOOK: Ns = seconds(1)
"""How long a kubelet may take to answer: a node that is off says nothing at all."""

_LEAVING: Ns = seconds(5)
_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True, kw_only=True)
class CordonNode(InCluster):
    """No new pod is placed on `node`; those that are there stay.

    When the fault ends it is open again, unless somebody has opened it. Felt: the API server shows it unschedulable.
    """

    node: str

    def __str__(self) -> str:
        return f"the node {self.node} is cordoned"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Close it. FaultError without such a node, or if it is closed already."""
        async with opened(stage) as api, _cordoned(api, cluster(stage), self.node, what=str(self)):
            closed = (await api.get(_path(self.node), Node)).spec.unschedulable
            yield outcome("" if closed else "it is open", unschedulable=closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainNode(InCluster):
    """`node` is closed and its pods are evicted, as `kubectl drain --ignore-daemonsets --delete-emptydir-data` does: disruption
    budgets are honoured, one that never allows it is left alone after 25 s.

    When the fault ends the node is open again; pods do not come back by themselves. Felt: none of the evicted pods is on it.
    """

    node: str

    def __str__(self) -> str:
        return f"the node {self.node} is drained"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Drain it. FaultError without such a node, if it is closed already, or if there is nothing on it to evict."""
        async with opened(stage) as api, _cordoned(api, cluster(stage), self.node, what=str(self)):
            there = await _evictable(api, self.node)
            if not there:
                raise FaultError(f"{self.node}: expected pods to evict; there are none but those of DaemonSets")
            refused: set[str] = set()

            async def empty() -> bool | None:
                left = [pod for pod in await _evictable(api, self.node) if not pod.going]
                refused.clear()
                refused.update([pod.metadata.name for pod in left if not await _evicted(api, pod)])
                return None if left else True

            done = await clock.until(empty, deadline=clock.now() + _DRAINING, every=STEP)
            why = "" if done else f"a disruption budget does not let go of {', '.join(sorted(refused))}"
            yield outcome(why, evicted=len(there) - len(refused), refused=len(refused))


@dataclass(frozen=True, slots=True, kw_only=True)
class KillNode(InCluster):
    """The power of `node` is cut, with its kubelet and all its pods.

    When the fault ends it is up. Felt: its kubelet does not answer the API server any more. That the cluster notices takes
    most of a minute, and to start its pods elsewhere five more.
    """

    node: str

    def __str__(self) -> str:
        return f"the node {self.node} loses its power"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Cut it; afterwards it is up. FaultError without such a node, or if it does not answer in the first place."""
        async with _without_power(stage, self.node, what=str(self)) as (answers, pods):
            yield outcome("its kubelet still answers" if answers else "", kubelet_answers=answers, pods=pods)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartNode(InCluster):
    """`node` loses its power and gets it back at once: all its pods start again.

    Felt: its kubelet did not answer in between. When the fault ends it is up.
    """

    node: str

    def __str__(self) -> str:
        return f"the node {self.node} restarts"

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Restart it. FaultError without such a node, or if it does not answer in the first place."""
        async with _without_power(stage, self.node, what=str(self)) as (answers, pods):
            await uninterrupted(cluster(stage).set_node(self.node, NodeState.UP))
            yield outcome("its kubelet answered all the time" if answers else "", went_down=not answers, pods=pods)


@asynccontextmanager
async def _without_power(stage: Stage, node: str, *, what: str) -> AsyncIterator[tuple[bool, int]]:
    """The power of a node that is on duty is cut, at the end of the scope it is up; whether its kubelet still answered, and how
    many pods of the namespace it had."""
    target = cluster(stage)
    async with opened(stage) as api:
        pods = await _on_duty(api, target, node)

        async def up() -> None:
            await target.set_node(node, NodeState.UP)

        async with undone(up, what=what):
            await uninterrupted(target.set_node(node, NodeState.DOWN))
            yield await _answers(api, node), pods


@asynccontextmanager
async def _cordoned(api: Api, target: Cluster, node: str, *, what: str) -> AsyncIterator[None]:
    """Within the scope the node is closed; at its end it is open, unless somebody has removed it."""
    if (await _node(api, target, node)).spec.unschedulable:
        raise FaultError(f"{node}: expected a node that takes pods; it is cordoned already")

    async def opened_again() -> None:
        now = await api.find(_path(node), Node)
        if now is not None and now.spec.unschedulable:
            await api.patch(_path(node), {"spec": {"unschedulable": None}})

    async with undone(opened_again, what=what):
        await api.patch(_path(node), {"spec": {"unschedulable": True}})
        yield


async def _node(api: Api, target: Cluster, name: str) -> Node:
    found = await api.find(_path(name), Node)
    if found is None:
        raise FaultError(f"expected one of the nodes {', '.join(target.nodes)}; found {name!r}")
    return found


async def _on_duty(api: Api, target: Cluster, node: str) -> int:
    """How many pods of the namespace are on the node, which must be there and answer."""
    await _node(api, target, node)
    if not await _answers(api, node):
        raise FaultError(f"{node}: expected a node whose kubelet answers; it does not")
    return sum(pod.metadata.namespace == api.namespace for pod in await _evictable(api, node))


async def _answers(api: Api, node: str) -> bool:
    return (await api.reply("GET", f"{_path(node)}/proxy/healthz", within=_LOOK)).status == 200


async def _evictable(api: Api, node: str) -> list[Pod]:
    """The pods on the node, of all namespaces, but those of DaemonSets, of the node's own manifests, and those that are over."""
    found = await api.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}", Pods)
    return [
        pod
        for pod in found.items
        if _MIRROR not in pod.metadata.annotations
        and not any(owner.kind == "DaemonSet" for owner in pod.metadata.owner_references)
        and pod.status.phase not in {"Succeeded", "Failed"}
    ]


async def _evicted(api: Api, pod: Pod) -> bool:
    """Ask for its eviction; False where its disruption budget does not allow it at present (429)."""
    meta = pod.metadata
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": meta.name, "namespace": meta.namespace},
    }
    try:
        await api.post(f"{api.core('pods', meta.name, namespace=meta.namespace)}/eviction", body)
    except ApiError as error:
        if error.status in {404, 409}:
            return True
        if error.status == 429:
            return False
        raise
    return True


def _path(node: str) -> str:
    return f"/api/v1/nodes/{node}"
