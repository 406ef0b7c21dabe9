"""What the network reads of Kubernetes' objects, as values. Fields it has no use for are not read; nothing is judged here."""

from collections.abc import Mapping

import msgspec


class Read(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Decoded from the API's JSON; what is not known is passed over."""


class Metadata(Read, frozen=True):
    """Of any object."""

    name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    creation_timestamp: str | None = None


class Object(Read, frozen=True):
    """What all have."""

    metadata: Metadata = Metadata()

    @property
    def name(self) -> str:
        """Its name, with the namespace where it has one."""
        space = self.metadata.namespace
        return f"{space}/{self.metadata.name}" if space else self.metadata.name


class Namespace(Object, frozen=True):
    """v1 Namespace."""


class NodeAddress(Read, frozen=True):
    """One address of a node."""

    type: str = ""
    address: str = ""


class NodeStatus(Read, frozen=True):
    """What the kubelet says of its node."""

    addresses: tuple[NodeAddress, ...] = ()


class Node(Object, frozen=True):
    """v1 Node."""

    status: NodeStatus = NodeStatus()


class ContainerPort(Read, frozen=True):
    """A port that a container names."""

    name: str = ""
    container_port: int = 0
    host_port: int = 0
    protocol: str = "TCP"


class Container(Read, frozen=True):
    """A container of a pod."""

    name: str = ""
    ports: tuple[ContainerPort, ...] = ()
    restart_policy: str | None = None


class PodSpec(Read, frozen=True):
    """What a pod consists of."""

    node_name: str = ""
    host_network: bool = False
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()


class PodStatus(Read, frozen=True):
    """Where it is, and how far it has come."""

    phase: str = ""
    host_ip: str = msgspec.field(name="hostIP", default="")
    pod_ip: str = msgspec.field(name="podIP", default="")


class Pod(Object, frozen=True):
    """v1 Pod."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def address(self) -> str:
        """The address that is its own; "" while it has none, after it has ended, and in the network of its node."""
        return "" if self.spec.host_network or self.status.phase in {"Succeeded", "Failed"} else self.status.pod_ip


class ServicePort(Read, frozen=True):
    """A port of a Service."""

    name: str = ""
    protocol: str = "TCP"
    port: int = 0
    node_port: int = 0


class ClientAffinity(Read, frozen=True):
    """For how many seconds a client keeps its endpoint."""

    timeout_seconds: int = 10800


class AffinityConfig(Read, frozen=True):
    """How a Service's affinity is set."""

    client_ip: ClientAffinity = msgspec.field(name="clientIP", default=ClientAffinity())


class ServiceSpec(Read, frozen=True):
    """What a Service is reached by."""

    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    external_name: str = ""
    ports: tuple[ServicePort, ...] = ()
    session_affinity: str = "None"
    session_affinity_config: AffinityConfig | None = None
    external_traffic_policy: str = "Cluster"
    internal_traffic_policy: str = "Cluster"


class Service(Object, frozen=True):
    """v1 Service."""

    spec: ServiceSpec = ServiceSpec()

    @property
    def headless(self) -> bool:
        """Whether its name leads to its endpoints, with no address of its own."""
        return self.spec.cluster_ip in {"None", ""}


class Conditions(Read, frozen=True):
    """What is known of an endpoint; None is unknown."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Read, frozen=True):
    """One that stands behind a Service."""

    addresses: tuple[str, ...] = ()
    conditions: Conditions = Conditions()
    hostname: str | None = None


class EndpointPort(Read, frozen=True):
    """A port of all endpoints of a slice."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class EndpointSlice(Object, frozen=True):
    """discovery.k8s.io/v1 EndpointSlice."""

    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None

    @property
    def service(self) -> str:
        """The Service it is of, as Object.name has it; "" if it is of none."""
        name = self.metadata.labels.get("kubernetes.io/service-name", "")
        return f"{self.metadata.namespace}/{name}" if name else ""


class Requirement(Read, frozen=True):
    """One of a selector's expressions."""

    key: str
    operator: str
    values: tuple[str, ...] | None = None


class Selector(Read, frozen=True):
    """A label selector; an empty one selects everything."""

    match_labels: Mapping[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None


class Block(Read, frozen=True):
    """Addresses, but for some of them."""

    cidr: str
    except_: tuple[str, ...] | None = msgspec.field(name="except", default=None)


class Peer(Read, frozen=True):
    """Whom a policy's rule is about."""

    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: Block | None = None


class PolicyPort(Read, frozen=True):
    """A port, by number, name or range, of a protocol; without a port all of them."""

    protocol: str | None = None
    port: int | str | None = None
    end_port: int | None = None


class IngressRule(Read, frozen=True):
    """What may come from whom; nothing said means all."""

    from_: tuple[Peer, ...] | None = msgspec.field(name="from", default=None)
    ports: tuple[PolicyPort, ...] | None = None


class EgressRule(Read, frozen=True):
    """What may go to whom; nothing said means all."""

    to: tuple[Peer, ...] | None = None
    ports: tuple[PolicyPort, ...] | None = None


class PolicySpec(Read, frozen=True):
    """What a policy says."""

    pod_selector: Selector | None = None
    policy_types: tuple[str, ...] | None = None
    ingress: tuple[IngressRule, ...] | None = None
    egress: tuple[EgressRule, ...] | None = None


class NetworkPolicy(Object, frozen=True):
    """networking.k8s.io/v1 NetworkPolicy."""

    spec: PolicySpec = PolicySpec()


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All of a cluster that its network depends on, as last seen."""

    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    pods: tuple[Pod, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    nodes: tuple[Node, ...] = ()
