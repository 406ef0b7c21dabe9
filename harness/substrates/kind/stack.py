"""A drill's stack in a kind cluster: its namespace, its manifests applied, and the wait until all of it runs."""

import asyncio
import re
from collections.abc import Mapping, Sequence

import msgspec

from harness import clock
from harness.errors import SubstrateError
from harness.model.topology import Cluster
from harness.model.units import SECOND, Ns
from harness.substrates import labels
from harness.substrates.kind import leftovers
from harness.substrates.kind.kubectl import Kubectl
from harness.substrates.kind.objects import Some, lacking, parted
from harness.substrates.manifests import Manifest
from harness.substrates.pulling import Watch, told, unpulled
from harness.telling import tell

RUNNING: Ns = 180 * SECOND
POLL: Ns = SECOND // 4
TELLING: Ns = 5 * SECOND
TAIL = 20
VALUE_MAX = 63

_REMEDY = (
    "docker pull it: what Docker has is loaded into the nodes; or build it from clusters/workloads, or have the stack's "
    "manifests, or the cluster's variables, name another"
)


def marks(run: str, environment: str) -> Mapping[str, str]:
    """The labels of what is made for an environment, as Kubernetes allows them (letters, digits, `-`, `_`, `.`; 63 of them)."""
    given = {labels.RUN: run, labels.ENVIRONMENT: environment}
    return {key: re.sub(r"[^A-Za-z0-9_.-]", "-", value)[:VALUE_MAX].strip("-_.") for key, value in given.items()}


async def bring_up(
    kubectl: Kubectl,
    spec: Cluster,
    manifests: Sequence[Manifest],
    *,
    marked: Mapping[str, str],
    baseline: Sequence[str],
) -> None:
    """Make the namespace, apply the manifests in order, and mark every namespace that is new. SubstrateError with Kubernetes'
    own words where it refuses one."""
    if f"namespace/{spec.namespace}" not in baseline:
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": spec.namespace, "labels": dict(marked)},
        }
        await kubectl.done("create", "-f", "-", stdin=msgspec.json.encode(namespace).decode())
    for manifest in manifests:
        try:
            await kubectl.apply(manifest.text)
        except SubstrateError as error:
            raise SubstrateError(f"{manifest.path}: {error}") from error
    own = await own_namespaces(kubectl, baseline)
    if own:
        words = [f"{key}={value}" for key, value in marked.items()]
        await kubectl.done("label", "--overwrite", "namespaces", *own, *words)


async def own_namespaces(kubectl: Kubectl, baseline: Sequence[str]) -> Sequence[str]:
    """The namespaces that the cluster did not have before."""
    names = (await kubectl.done("get", "namespaces", "-o", "name")).split()
    return [name for name in leftovers.namespaces(names) if f"namespace/{name}" not in baseline]


async def until_running(kubectl: Kubectl, spec: Cluster, baseline: Sequence[str]) -> None:
    """Return when every Deployment, StatefulSet and DaemonSet of the drill has all that it wants. SubstrateError with what does
    not run, and what its pods say; within seconds with the images that cannot be had."""
    own = sorted({spec.namespace, *await own_namespaces(kubectl, baseline)})
    lack: Sequence[str] = ()
    watch = Watch()
    told_at = clock.now() + TELLING

    async def running() -> bool | None:
        nonlocal lack, told_at
        found = await kubectl.get(Some[msgspec.Raw], "deployments,statefulsets,daemonsets,pods", "-A")
        controllers, pods = parted(found.items)
        lack = lacking(controllers, own)
        if lack and (missing := watch.given_up(unpulled(pods, own), at=clock.now())):
            raise SubstrateError(told(spec.stack, missing, remedy=_REMEDY))
        if lack and clock.now() > told_at:
            told_at += TELLING
            tell(f"waiting for the stack: {'; '.join(lack)}")
        return None if lack else True

    if await clock.until(running, deadline=clock.now() + RUNNING, every=POLL) is None:
        raise SubstrateError(
            f"stack {spec.stack!r}: after {RUNNING // SECOND} s {'; '.join(lack)}\n{await _story(kubectl, own)}"
        )


async def _story(kubectl: Kubectl, namespaces: Sequence[str]) -> str:
    """Pods, the last events, and the last words of a pod that is not ready."""
    told: list[str] = []
    for namespace in namespaces:
        place = ("-n", namespace)
        events = ("get", "events", *place, "--sort-by=.lastTimestamp", "--no-headers")
        pods, events_ = await asyncio.gather(kubectl.run("get", "pods", *place, "-o", "wide"), kubectl.run(*events))
        told += [pods.stdout.strip(), *events_.stdout.splitlines()[-TAIL // 2 :]]
        for line in pods.stdout.splitlines()[1:]:
            name, ready, *_ = line.split()
            if ready.partition("/")[0] != ready.partition("/")[2]:
                said = await kubectl.run("logs", name, *place, "--all-containers", f"--tail={TAIL}")
                told += [f"{name}:", (said.stdout + said.stderr).strip()]
                break
    return "\n".join(each for each in told if each)
