"""What NetworkPolicies allow: policies, pods and namespaces → who may ask whom. Pure; how it is enforced is `enforcement`.

https://kubernetes.io/docs/concepts/services-networking/network-policies/: a pod is isolated for a direction as soon as one policy
of that direction selects it, and then only what some such policy allows is possible; both ends must allow. A node may always ask,
and a pod may always ask its own node. What policies say nothing about (ICMP) is not judged.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Literal

from harness.substrates.network import plan
from harness.substrates.network.objects import (
    Block,
    Container,
    ContainerPort,
    EgressRule,
    IngressRule,
    Metadata,
    NetworkPolicy,
    Peer,
    Pod,
    PodSpec,
    PodStatus,
    PolicyPort,
    Requirement,
    Selector,
    World,
)

PROTOCOLS: Mapping[str, int] = {
    "TCP": socket.IPPROTO_TCP,
    "UDP": socket.IPPROTO_UDP,
    "SCTP": socket.IPPROTO_SCTP,
}
EVERYWHERE = IPv4Network("0.0.0.0/0")
_NODES = IPv4Network(plan.NODES)


@dataclass(frozen=True, slots=True)
class Allowed:
    """One thing that is allowed: to or from a network, by a protocol ("": any) at ports (an empty range: any)."""

    network: IPv4Network
    protocol: str = ""
    ports: range = range(0)

    def covers(self, other: IPv4Address, protocol: str, port: int) -> bool:
        """Whether it allows that."""
        return other in self.network and self.protocol in {"", protocol} and (not self.ports or port in self.ports)


Direction = Literal["Ingress", "Egress"]


@dataclass(frozen=True, slots=True)
class Isolation:
    """A pod that is isolated for a direction, and all that is allowed it nevertheless."""

    address: str
    direction: Direction
    allowed: frozenset[Allowed]


def isolations(world: World, *, dns: str) -> Iterator[Isolation]:
    """Every pod that is isolated, by direction. `dns` is the address of the cluster's name server, which counts as a pod."""
    reader = _Reader(world, dns)
    for pod in world.pods:
        if pod.address:
            yield from reader.of(pod)


def is_allowed(  # noqa: PLR0913 - a question has as many parts
    world: World, *, client: str, server: str, port: int, protocol: str = "TCP", dns: str
) -> bool:
    """Whether who has the address `client` may ask who has `server`."""
    found = {(one.address, one.direction): one for one in isolations(world, dns=dns)}
    sending, getting = found.get((client, "Egress")), found.get((server, "Ingress"))
    asked, asking = IPv4Address(server), IPv4Address(client)
    goes = sending is None or client == server or any(one.covers(asked, protocol, port) for one in sending.allowed)
    comes = getting is None or asking in _NODES or client == server
    return goes and (comes or any(one.covers(asking, protocol, port) for one in (getting.allowed if getting else ())))


class _Reader:
    """Reads the policies of one state of the cluster."""

    def __init__(self, world: World, dns: str) -> None:
        self._policies = world.policies
        self._spaces = {one.metadata.name: one.metadata.labels for one in world.namespaces}
        self._pods = (*(pod for pod in world.pods if pod.address), name_server(dns))
        self._nodes = {
            node.metadata.name: address.address
            for node in world.nodes
            for address in node.status.addresses
            if address.type == "InternalIP"
        }

    def of(self, pod: Pod) -> Iterator[Isolation]:
        mine = [one for one in self._policies if one.metadata.namespace == pod.metadata.namespace]
        mine = [one for one in mine if selects(one.spec.pod_selector or Selector(), pod.metadata.labels)]
        direction: Direction
        for direction in ("Ingress", "Egress"):
            policies = [one for one in mine if direction in types(one)]
            if policies:
                allowed = {found for one in policies for found in self._allowed(one, direction, pod)}
                if direction == "Egress" and (node := self._nodes.get(pod.spec.node_name)):
                    allowed.add(Allowed(IPv4Network(f"{node}/32")))
                yield Isolation(pod.address, direction, frozenset(allowed))

    def _allowed(self, policy: NetworkPolicy, direction: Direction, pod: Pod) -> Iterator[Allowed]:
        rules: Sequence[IngressRule | EgressRule]
        rules = (policy.spec.ingress if direction == "Ingress" else policy.spec.egress) or ()
        for rule in rules:
            for network, other in self._others(policy, rule):
                for protocol, ports in _ports(rule.ports, pod if direction == "Ingress" else other):
                    yield Allowed(network, protocol, ports)

    def _others(
        self, policy: NetworkPolicy, rule: IngressRule | EgressRule
    ) -> Iterator[tuple[IPv4Network, Pod | None]]:
        """Whom a rule is about; with the pod, where it is one."""
        peers = rule.from_ if isinstance(rule, IngressRule) else rule.to
        if not peers:
            yield EVERYWHERE, None
            if any(isinstance(port.port, str) for port in rule.ports or ()):
                yield from ((IPv4Network(f"{pod.address}/32"), pod) for pod in self._pods)
        for peer in peers or ():
            if peer.ip_block:
                yield from ((network, None) for network in networks(peer.ip_block))
            else:
                yield from (
                    (IPv4Network(f"{pod.address}/32"), pod)
                    for pod in self._pods
                    if self._is(peer, pod, policy.metadata.namespace)
                )

    def _is(self, peer: Peer, pod: Pod, namespace: str) -> bool:
        space = pod.metadata.namespace
        if peer.namespace_selector is None:
            there = space == namespace
        else:
            there = space in self._spaces and selects(peer.namespace_selector, self._spaces[space])
        return there and selects(peer.pod_selector or Selector(), pod.metadata.labels)


def name_server(address: str) -> Pod:
    """The cluster's name server as policies see it: as if it were CoreDNS's pod."""
    ports = (
        ContainerPort(name="dns", container_port=53, protocol="UDP"),
        ContainerPort(name="dns-tcp", container_port=53, protocol="TCP"),
    )
    return Pod(
        metadata=Metadata(name="coredns", namespace="kube-system", labels={"k8s-app": "kube-dns"}),
        spec=PodSpec(containers=(Container(name="coredns", ports=ports),)),
        status=PodStatus(phase="Running", pod_ip=address),
    )


def types(policy: NetworkPolicy) -> frozenset[str]:
    """The directions a policy is about: where it does not say, ingress, and egress where it has rules for that."""
    said = policy.spec.policy_types
    return frozenset(said or (("Ingress", "Egress") if policy.spec.egress else ("Ingress",)))


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects something with these labels."""
    return all(labels.get(key) == value for key, value in (selector.match_labels or {}).items()) and all(
        _meets(labels, one) for one in selector.match_expressions or ()
    )


def _meets(labels: Mapping[str, str], one: Requirement) -> bool:
    match one.operator:
        case "In":
            return labels.get(one.key) in (one.values or ())
        case "NotIn":
            return labels.get(one.key) not in (one.values or ())
        case "Exists":
            return one.key in labels
        case "DoesNotExist":
            return one.key not in labels
        case _:
            return False


def networks(block: Block) -> Iterable[IPv4Network]:
    """The networks that make up a block without its exceptions; none for IPv6, which there is none of."""
    whole = ip_network(block.cidr, strict=False)
    if not isinstance(whole, IPv4Network):
        return
    left = [whole]
    for text in block.except_ or ():
        gone = ip_network(text, strict=False)
        if isinstance(gone, IPv4Network):
            left = [part for one in left for part in _without(one, gone)]
    yield from left


def _without(one: IPv4Network, gone: IPv4Network) -> Iterable[IPv4Network]:
    if not one.overlaps(gone):
        return (one,)
    return one.address_exclude(gone) if gone.subnet_of(one) and gone != one else ()


def _ports(ports: Sequence[PolicyPort] | None, server: Pod | None) -> Iterator[tuple[str, range]]:
    """Protocols and ports that a rule names; a port's name is one of the server's containers'."""
    if not ports:
        yield "", range(0)
    for one in ports or ():
        protocol = one.protocol or "TCP"
        match one.port:
            case None:
                yield protocol, range(0)
            case int(number):
                yield protocol, range(number, (one.end_port or number) + 1)
            case str(name):
                yield from ((protocol, range(n, n + 1)) for n in _named(name, protocol, server))


def _named(name: str, protocol: str, server: Pod | None) -> Iterator[int]:
    if server is not None:
        sidecars = (one for one in server.spec.init_containers if one.restart_policy == "Always")
        for container in (*server.spec.containers, *sidecars):
            for port in container.ports:
                if (port.name, port.protocol) == (name, protocol):
                    yield port.container_port
