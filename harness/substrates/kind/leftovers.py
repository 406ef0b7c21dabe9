"""What a drill leaves in a cluster, found by comparison with what was there when the cluster was made, and removed."""

import asyncio
from collections.abc import Iterable, Sequence

from harness import clock
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.ports import NodeState
from harness.substrates.kind import docker, nodes
from harness.substrates.kind.kubectl import Kubectl
from harness.substrates.kind.objects import Controller, Node, Some, lacking

CLUSTER_WIDE = (
    *("namespaces", "persistentvolumes", "clusterroles", "clusterrolebindings", "storageclasses", "priorityclasses"),
    *("customresourcedefinitions", "apiservices", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
    *("ingressclasses", "runtimeclasses", "csidrivers"),
)
IN_DEFAULT = (
    *("deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs", "pods", "services", "configmaps"),
    *("secrets", "persistentvolumeclaims", "ingresses", "networkpolicies", "serviceaccounts", "roles", "rolebindings"),
    *("horizontalpodautoscalers", "poddisruptionbudgets", "resourcequotas", "limitranges"),
)
"""What a runbook that names no namespace may leave in the one called default."""

SYSTEM = "kube-system"
CLEANING: Ns = 90 * SECOND
NODES: Ns = 120 * SECOND
POLL: Ns = SECOND // 2


async def survey(kubectl: Kubectl) -> Sequence[str]:
    """What is there, a line each: names of objects, and of each node its taints, labels and whether it is cordoned."""
    wide, default, found = await asyncio.gather(
        kubectl.done("get", ",".join(CLUSTER_WIDE), "-o", "name"),
        kubectl.done("get", ",".join(IN_DEFAULT), "-n", "default", "-o", "name"),
        kubectl.get(Some[Node], "nodes"),
    )
    return sorted((*wide.split(), *(f"default {name}" for name in default.split()), *_features(found.items)))


def _features(found: Iterable[Node]) -> Iterable[str]:
    for node in found:
        yield from (f"taint {node.metadata.name} {taint}" for taint in node.spec.taints)
        yield from (f"label {node.metadata.name} {key}={value}" for key, value in node.metadata.labels.items())
        if node.spec.unschedulable:
            yield f"cordon {node.metadata.name}"


def removal(line: str, kept: Sequence[str]) -> tuple[str, ...]:
    """The kubectl command that undoes one line of a survey, of which `kept` are those that stay."""
    match line.split(" "):
        case ["taint", node, taint]:
            return ("taint", "nodes", node, f"{taint}-")
        case ["label", node, label]:
            key = label.partition("=")[0]
            before = [each for each in kept if each.startswith(f"label {node} {key}=")]
            return ("label", "--overwrite", "nodes", node, before[0].split(" ")[2] if before else f"{key}-")
        case ["cordon", node]:
            return ("uncordon", node)
        case ["default", name]:
            return ("delete", "-n", "default", name, "--wait=false", "--ignore-not-found", "--grace-period=1")
        case _:
            return ("delete", line, "--wait=false", "--ignore-not-found")


def namespaces(lines: Iterable[str]) -> Sequence[str]:
    """The namespaces of a survey."""
    return [line.removeprefix("namespace/") for line in lines if line.startswith("namespace/")]


async def clean(kubectl: Kubectl, cluster: str, baseline: Sequence[str]) -> Sequence[str]:
    """Remove whatever the baseline does not have, and return what that was when all of it is gone and what the baseline has is
    there again and works. SubstrateError naming what does not go, or does not come back."""
    for container in await docker.nodes(cluster):
        await nodes.power(container.name, NodeState.UP)
    found: dict[str, None] = {}
    asked: set[str] = set()
    wrong: Sequence[str] = ()

    async def same() -> bool | None:
        nonlocal wrong
        lines = await survey(kubectl)
        extra = [line for line in lines if line not in baseline]
        found.update(dict.fromkeys(extra))
        for line in extra:
            if line not in asked:
                asked.add(line)
                await kubectl.run(*removal(line, baseline))
        await _hurry(kubectl, namespaces(extra))
        gone = [line for line in baseline if line not in lines]
        wrong = [*(f"{line}: still there" for line in extra), *(f"{line}: gone" for line in gone)]
        wrong = wrong or await _unwell(kubectl)
        return None if wrong else True

    if await clock.until(same, deadline=clock.now() + CLEANING, every=POLL) is None:
        raise SubstrateError(f"the kind cluster {cluster!r} is not as it was: {'; '.join(wrong[:10])}")
    return tuple(found)


async def _hurry(kubectl: Kubectl, dying: Sequence[str]) -> None:
    """A pod of a namespace that goes need not say goodbye."""
    for namespace in dying:
        await kubectl.run(
            "delete", "pods", "--all", "-n", namespace, "--grace-period=0", "--force", "--wait=false"
        )  # fmt: skip


async def _unwell(kubectl: Kubectl) -> Sequence[str]:
    """What of the cluster's own does not work."""
    found, own = await asyncio.gather(
        kubectl.get(Some[Node], "nodes"), kubectl.get(Some[Controller], "deployments,daemonsets", "-n", SYSTEM)
    )
    sick = [f"node {node.metadata.name}: not ready" for node in found.items if not node.ready]
    return [*sick, *lacking(own.items, (SYSTEM,))]


async def until_ready(kubectl: Kubectl, cluster: str) -> None:
    """Return when every node is ready, and what a cluster brings along works. SubstrateError with the node's log, or the pods."""
    wrong: Sequence[str] = ()

    async def well() -> bool | None:
        nonlocal wrong
        wrong = await _unwell(kubectl)
        return None if wrong else True

    if await clock.until(well, deadline=clock.now() + NODES, every=POLL) is None:
        sick = [line.split()[1].rstrip(":") for line in wrong if line.startswith("node ")]
        details = [await nodes.log(name) for name in sick[:1]]
        details = details or [await kubectl.done("get", "pods", "-n", SYSTEM, "-o", "wide")]
        raise SubstrateError(
            f"the kind cluster {cluster!r}: after {NODES // SECOND} s {'; '.join(wrong)}\n" + "\n".join(details)
        )
