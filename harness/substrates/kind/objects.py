"""What of Kubernetes' objects is read here, and what is concluded from it. No effects."""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from harness.substrates.pods import Pod

Item = TypeVar("Item")


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """An object's metadata."""

    name: str
    namespace: str = ""
    generation: int = 0
    labels: dict[str, str] = {}


class Some(msgspec.Struct, Generic[Item]):
    """A list of objects, as `kubectl get -o json` gives it."""

    items: tuple[Item, ...]


class Taint(msgspec.Struct, frozen=True):
    """What keeps pods from a node."""

    key: str
    effect: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


class NodeSpec(msgspec.Struct, frozen=True):
    """A node's specification."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class Condition(msgspec.Struct, frozen=True):
    """One of an object's conditions."""

    type: str
    status: str


class NodeStatus(msgspec.Struct, frozen=True):
    """What a node says of itself."""

    conditions: tuple[Condition, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A node."""

    metadata: Meta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def ready(self) -> bool:
        """Whether its kubelet says that it is."""
        return Condition("Ready", "True") in self.status.conditions


class Counts(msgspec.Struct, frozen=True, rename="camel"):
    """A Deployment's, StatefulSet's or DaemonSet's status."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    desired_number_scheduled: int | None = None
    number_ready: int = 0
    updated_number_scheduled: int = 0


class Wanted(msgspec.Struct, frozen=True):
    """Its specification."""

    replicas: int = 1


class Controller(msgspec.Struct, frozen=True):
    """A Deployment, StatefulSet or DaemonSet."""

    kind: str
    metadata: Meta
    spec: Wanted = Wanted()
    status: Counts = Counts()

    def lack(self) -> str:
        """What it has not reached yet; "" if it has all it wants, of its present version, and nothing else."""
        counts = self.status
        name = f"{self.kind.lower()}/{self.metadata.name} in {self.metadata.namespace}"
        if counts.observed_generation < self.metadata.generation:
            return f"{name}: not looked at yet"
        if counts.desired_number_scheduled is not None:
            want, ready, updated = counts.desired_number_scheduled, counts.number_ready, counts.updated_number_scheduled
            return "" if ready >= want and updated >= want else f"{name}: {ready} of {want} ready"
        want, ready = self.spec.replicas, counts.ready_replicas
        settled = counts.replicas == want and (counts.updated_replicas == want or not want)
        return "" if ready == want and settled else f"{name}: {ready} of {want} ready"


class Kinded(msgspec.Struct, frozen=True):
    """Any object: what it is."""

    kind: str


def parted(items: Iterable[msgspec.Raw]) -> tuple[Sequence[Controller], Sequence[Pod]]:
    """The controllers and the pods of a list of both."""
    controllers: list[Controller] = []
    pods: list[Pod] = []
    for item in items:
        if msgspec.json.decode(item, type=Kinded).kind == "Pod":
            pods.append(msgspec.json.decode(item, type=Pod))
        else:
            controllers.append(msgspec.json.decode(item, type=Controller))
    return controllers, pods


class Port(msgspec.Struct, frozen=True, rename="camel"):
    """A Service's port."""

    port: int
    target_port: int | str = 0
    name: str = ""
    node_port: int = 0
    protocol: str = "TCP"


class ServiceSpec(msgspec.Struct, frozen=True):
    """A Service's specification."""

    selector: dict[str, str] = {}
    ports: tuple[Port, ...] = ()


class Service(msgspec.Struct, frozen=True):
    """A Service."""

    metadata: Meta
    spec: ServiceSpec = ServiceSpec()


def lacking(controllers: Iterable[Controller], namespaces: Sequence[str]) -> Sequence[str]:
    """What those in these namespaces have not reached yet."""
    return [lack for each in controllers if each.metadata.namespace in namespaces for lack in (each.lack(),) if lack]
