"""A stack's manifests applied to a local cluster with kubectl, and waited for. What is in them is the stack's business."""

import http
import itertools
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from harness import clock
from harness.errors import SubstrateError
from harness.model.topology import Cluster
from harness.model.units import SECOND, Ns, seconds
from harness.ports import Completed
from harness.substrates import manifests, pulling
from harness.substrates.local.kubernetes import places
from harness.substrates.local.kubernetes.api import Api
from harness.substrates.local.kubernetes.identities import HARNESS
from harness.substrates.local.kubernetes.servers import EVERY, ROOT
from harness.substrates.local.site import Site
from harness.substrates.pods import Container, Pod, Pods

APPLYING: Ns = seconds(60)
PATIENCE: Ns = seconds(180)
TOLD_LINES = 15
TOLD_PODS = 5
FOLDER = f"{places.RUN}/stack"
_REMEDY = (
    "say what it is in an image.toml (clusters/workloads/*/image.toml: on `local` images are commands), or have the stack's "
    "manifests, or the cluster's variables, name another"
)
KINDS = ("deployments", "statefulsets", "daemonsets")


class Metadata(msgspec.Struct, frozen=True):
    """What an object is called, and which of its versions it is."""

    name: str
    generation: int = 0


class ControllerSpec(msgspec.Struct, frozen=True):
    """What is wanted of a controller."""

    replicas: int = 1


class ControllerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What a controller has: of a Deployment or StatefulSet, or of a DaemonSet."""

    observed_generation: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    replicas: int = 0
    desired_number_scheduled: int = -1
    updated_number_scheduled: int = 0
    number_ready: int = 0


class Controller(msgspec.Struct, frozen=True):
    """A Deployment, StatefulSet or DaemonSet."""

    metadata: Metadata
    spec: ControllerSpec = ControllerSpec()
    status: ControllerStatus = ControllerStatus()

    @property
    def ready(self) -> bool:
        """Whether all that is wanted of it is there, in its newest form, and ready."""
        status = self.status
        if status.observed_generation < self.metadata.generation:
            return False
        if status.desired_number_scheduled >= 0:
            return status.number_ready == status.updated_number_scheduled == status.desired_number_scheduled
        return status.ready_replicas == status.updated_replicas == status.replicas == self.spec.replicas


class Controllers(msgspec.Struct, frozen=True):
    """A list of them."""

    items: tuple[Controller, ...]


class Named(msgspec.Struct, frozen=True):
    """Any object."""

    metadata: Metadata


class Names(msgspec.Struct, frozen=True):
    """A list of any objects."""

    items: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Applying:
    """A way to apply what a cluster is to hold."""

    site: Site
    api: Api
    spec: Cluster

    async def kubectl(self, *words: str, stdin: str = "", config: str = HARNESS) -> Completed:
        """Run kubectl inside, as the harness or who else `config` is of; SubstrateError with what it says if it fails."""
        argv = (f"{places.PROGRAMS}/kubectl", "--kubeconfig", config, *words)
        done = await self.site.complete(
            argv, env=self.site.base_environment(), identity=self.site.users.ours, stdin=stdin, timeout=APPLYING
        )
        if not done.ok:
            raise SubstrateError(f"kubectl {' '.join(words)}: {(done.stderr or done.stdout).strip()}")
        return done

    async def namespace(self) -> None:
        """Make the cluster's namespace, unless it is there, and wait until pods may be made in it."""
        name = self.spec.namespace
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        answer = await self.api.ask("POST", "/api/v1/namespaces", body)
        if answer.status not in {201, 409}:
            raise SubstrateError(f"namespace {name}: {answer.text}")

        async def accounts() -> bool | None:
            path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            return (await self.api.ask("GET", path)).status == 200 or None

        if await clock.until(accounts, deadline=clock.now() + PATIENCE, every=EVERY) is None:
            raise SubstrateError(f"namespace {name}: no service account was made in it for {PATIENCE // SECOND} s")

    async def settled(self) -> bool:
        """Whether every namespace has the service account and the certificate that controllers give to each."""
        names = await self.api.read("/api/v1/namespaces", Names)
        for each in names.items if names else ():
            base = f"/api/v1/namespaces/{each.metadata.name}"
            for path in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
                if (await self.api.ask("GET", f"{base}/{path}")).status != http.HTTPStatus.OK:
                    return False
        return names is not None

    async def stack(self) -> None:
        """Apply the stack's manifests in the order of their names, and wait until all they ask for is ready.

        SubstrateError with kubectl's words, with the images that cannot be had, or with the pods that are not ready and the end
        of their logs.
        """
        paths: list[str] = []
        found = manifests.read(self.spec)
        namespaces = manifests.namespaces(self.spec, found)
        for manifest in found:
            path = f"{FOLDER}/{manifest.path.name}"
            self.site.own_file(path, manifest.text, ROOT)
            paths += ("-f", path)
        # The operator's own namespace is a default only: a stack may have things in others.
        await self.kubectl("apply", *paths, config=places.OPERATORS)
        watch = pulling.Watch()
        pods: Sequence[Pod] = ()

        async def ready() -> bool | None:
            nonlocal pods
            if await self._ready(namespaces):
                return True
            pods = await self._pods(namespaces)
            if missing := watch.given_up(pulling.unpulled(pods, namespaces), at=clock.now()):
                raise SubstrateError(pulling.told(self.spec.stack, missing, remedy=_REMEDY))
            return None

        if await clock.until(ready, deadline=clock.now() + PATIENCE, every=4 * EVERY) is None:
            raise SubstrateError(
                f"stack {self.spec.stack!r} is not ready after {PATIENCE // SECOND} s\n{await self._told(pods)}"
            )

    async def _ready(self, namespaces: Sequence[str]) -> bool | None:
        for namespace, kind in itertools.product(namespaces, KINDS):
            found = await self.api.read(f"/apis/apps/v1/namespaces/{namespace}/{kind}", Controllers)
            if found and not all(controller.ready for controller in found.items):
                return None
        return True

    async def _pods(self, namespaces: Sequence[str]) -> Sequence[Pod]:
        found = [await self.api.read(f"/api/v1/namespaces/{namespace}/pods", Pods) for namespace in namespaces]
        return [pod for each in found if each for pod in each.items]

    async def _told(self, pods: Sequence[Pod]) -> str:
        """Those of them that are not ready, and the end of their logs."""
        waiting = [pod for pod in pods if not pod.ready]
        lines = [line for pod in waiting[:TOLD_PODS] for line in await self._of(pod)]
        if len(waiting) > TOLD_PODS:
            lines.append(f"and {len(waiting) - TOLD_PODS} more")
        return "\n".join(lines or ["every pod there is, is ready: some are not made; see kubectl get events"])

    async def _of(self, pod: Pod) -> Sequence[str]:
        said = [condition.message for condition in pod.status.conditions if condition.message]
        lines = [f"pod {pod.metadata.name}: {pod.status.phase}; {'; '.join(dict.fromkeys(said))}"]
        for container in _containers(pod):
            lines.append(f"  {container.name}: {container.state}, {container.restart_count} restarts")
            lines += [f"    {line}" for line in await self._log(pod, container)]
        return lines

    async def _log(self, pod: Pod, container: Container) -> Sequence[str]:
        """The end of what it said; of one that has just started again, and says nothing yet, what it said before."""
        base = f"/api/v1/namespaces/{pod.metadata.namespace}/pods/{pod.metadata.name}/log"
        times = ("false", "true") if container.restart_count else ("false",)
        for previous in reversed(times) if container.state.waiting else times:
            query = {"container": container.name, "tailLines": str(TOLD_LINES), "previous": previous}
            answer = await self.api.ask("GET", f"{base}?{urllib.parse.urlencode(query)}")
            if answer.status == http.HTTPStatus.OK and answer.text.strip():
                return answer.text.splitlines()
        return ()


def _containers(pod: Pod) -> Iterator[Container]:
    for status in pod.containers:
        if not status.ready and not (status.state.terminated and not status.state.terminated.exit_code):
            yield status
