"""What faults read of Kubernetes' objects, by the API's own names in snake case; everything else of them is left alone."""

import msgspec


class Object(msgspec.Struct, frozen=True, rename="camel"):
    """Something of the API, with what we read of it."""


class Owner(Object, frozen=True, rename="camel"):
    """metadata.ownerReferences."""

    kind: str
    name: str


class Meta(Object, frozen=True, rename="camel"):
    """metadata."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()


class Reason(Object, frozen=True, rename="camel"):
    """A container's state, waiting or terminated."""

    reason: str = ""
    exit_code: int = 0


class State(Object, frozen=True, rename="camel"):
    """status.containerStatuses[].state and .lastState: at most one of them is there."""

    waiting: Reason | None = None
    terminated: Reason | None = None


class ContainerStatus(Object, frozen=True, rename="camel"):
    """status.containerStatuses."""

    name: str
    ready: bool = False
    restart_count: int = 0
    state: State = State()
    last_state: State = State()
    container_id: str = msgspec.field(default="", name="containerID")


class Port(Object, frozen=True, rename="camel"):
    """A container's port."""

    container_port: int


class Container(Object, frozen=True, rename="camel"):
    """spec.containers."""

    name: str
    image: str = ""
    ports: tuple[Port, ...] = ()


class PodSpec(Object, frozen=True, rename="camel"):
    """A pod's spec, its own or a template's."""

    containers: tuple[Container, ...]
    node_name: str = ""


class Condition(Object, frozen=True, rename="camel"):
    """status.conditions."""

    type: str
    status: str


class PodStatus(Object, frozen=True, rename="camel"):
    """A pod's status."""

    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Object, frozen=True, rename="camel"):
    """A pod."""

    metadata: Meta
    spec: PodSpec
    status: PodStatus = PodStatus()

    @property
    def going(self) -> bool:
        """Whether it is being deleted."""
        return self.metadata.deletion_timestamp is not None

    @property
    def ready(self) -> bool:
        """Whether it takes traffic."""
        return not self.going and any(each.type == "Ready" and each.status == "True" for each in self.status.conditions)

    @property
    def running(self) -> tuple[str, ...]:
        """The identities of its containers that run."""
        alive = [
            each for each in self.status.container_statuses if not each.state.waiting and not each.state.terminated
        ]
        return tuple(each.container_id for each in alive if each.container_id)

    @property
    def restarts(self) -> int:
        """How often its containers were restarted."""
        return sum(each.restart_count for each in self.status.container_statuses)

    @property
    def trouble(self) -> str:
        """Why a container of it does not run, as `kubectl get pods` has it; "" if all do, or are on their way."""
        for each in self.status.container_statuses:
            waiting = each.state.waiting
            if waiting and waiting.reason not in {"", "ContainerCreating", "PodInitializing"}:
                return waiting.reason
            if ended := each.state.terminated:
                return ended.reason or f"exit {ended.exit_code}"
        return ""

    @property
    def died_of(self) -> str:
        """How a container of it ended last, with its exit code; "" if none has."""
        for each in self.status.container_statuses:
            if ended := each.state.terminated or each.last_state.terminated:
                return f"{ended.reason or 'ended'} ({ended.exit_code})"
        return ""


class Pods(Object, frozen=True, rename="camel"):
    """A list of pods."""

    items: tuple[Pod, ...]


class Selector(Object, frozen=True, rename="camel"):
    """A label selector; those with expressions are not read."""

    match_labels: dict[str, str] = {}


class Template(Object, frozen=True, rename="camel"):
    """spec.template."""

    spec: PodSpec


class WorkloadSpec(Object, frozen=True, rename="camel"):
    """spec of a Deployment or StatefulSet."""

    selector: Selector
    template: Template
    replicas: int = 1


class WorkloadStatus(Object, frozen=True, rename="camel"):
    """status of a Deployment or StatefulSet."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0


class Controlled(Object, frozen=True, rename="camel"):
    """A Deployment or StatefulSet."""

    metadata: Meta
    spec: WorkloadSpec
    status: WorkloadStatus = WorkloadStatus()

    @property
    def complete(self) -> bool:
        """Whether all its pods are of its present template, and available; as `kubectl rollout status` has it."""
        wanted, status = self.spec.replicas, self.status
        return (
            status.observed_generation >= self.metadata.generation
            and status.updated_replicas == wanted == status.replicas
            and (status.available_replicas == wanted or (wanted == 0 and status.available_replicas == 0))
        )


class Data(Object, frozen=True, rename="camel"):
    """A ConfigMap, or a Secret with its values in base64."""

    metadata: Meta
    data: dict[str, str] = {}


class ServiceSpec(Object, frozen=True, rename="camel"):
    """spec of a Service."""

    selector: dict[str, str] = {}


class Service(Object, frozen=True, rename="camel"):
    """A Service."""

    metadata: Meta
    spec: ServiceSpec


class EndpointConditions(Object, frozen=True, rename="camel"):
    """endpoints[].conditions."""

    ready: bool | None = None


class Endpoint(Object, frozen=True, rename="camel"):
    """endpoints of an EndpointSlice."""

    conditions: EndpointConditions = EndpointConditions()


class Slice(Object, frozen=True, rename="camel"):
    """An EndpointSlice."""

    endpoints: tuple[Endpoint, ...] | None = ()


class Slices(Object, frozen=True, rename="camel"):
    """A list of EndpointSlices."""

    items: tuple[Slice, ...]

    @property
    def ready(self) -> int:
        """How many endpoints take traffic."""
        return sum(each.conditions.ready is not False for one in self.items for each in one.endpoints or ())


class NodeSpec(Object, frozen=True, rename="camel"):
    """spec of a Node."""

    unschedulable: bool = False


class Node(Object, frozen=True, rename="camel"):
    """A Node."""

    metadata: Meta
    spec: NodeSpec = NodeSpec()
