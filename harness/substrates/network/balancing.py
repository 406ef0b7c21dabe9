"""Services, EndpointSlices, pods → which frontend leads to which endpoints: kube-proxy's decisions as a value. Nothing is led."""

import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from harness.model.units import SECOND
from harness.substrates.network import plan, rules
from harness.substrates.network.objects import Endpoint, EndpointSlice, Service, ServicePort, World
from harness.substrates.network.rules import Action, Rule
from harness.substrates.network.translation import Backend, Frontend, Target

PROTOCOLS: Mapping[str, int] = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP}
"""Those that are led. SCTP has a checksum over its ports that changing them in passing would break."""

_NODES = IPv4Network(plan.NODES)


def table(world: World) -> Mapping[Frontend, Target]:
    """Every frontend of every Service. One without endpoints is left out, so that whoever asks is refused."""
    slices: dict[str, list[EndpointSlice]] = defaultdict(list)
    for one in world.slices:
        if one.address_type == "IPv4":
            slices[one.service].append(one)
    nodes = [a.address for node in world.nodes for a in node.status.addresses if a.type == "InternalIP"]
    found: dict[Frontend, Target] = {}
    for service in world.services:
        if service.headless or service.spec.type == "ExternalName":
            continue
        for port in service.spec.ports:
            backends = tuple(_backends(slices[service.name], port))
            if backends and port.protocol in PROTOCOLS:
                found |= _led(service, port, nodes, backends)
    return found | dict(_host_ports(world))


def _host_ports(world: World) -> Iterator[tuple[Frontend, Target]]:
    """The ports that pods have on their nodes, which usual network plugins lead to them."""
    for pod in world.pods:
        for port in (port for container in pod.spec.containers for port in container.ports):
            if pod.address and port.host_port and port.protocol in PROTOCOLS and pod.status.host_ip:
                backend = (socket.inet_aton(pod.address), port.container_port)
                frontend = (PROTOCOLS[port.protocol], socket.inet_aton(pod.status.host_ip), port.host_port)
                yield frontend, Target(f"{pod.name}:{port.host_port}", (backend,))


def rules_for(table: Mapping[Frontend, Target]) -> frozenset[Rule]:
    """What is to be led that the standing rules do not know of: ports of nodes outside the range for Services."""
    return frozenset(
        Rule(
            rules.HOST_PORTS,
            Action.LOOKUP,
            rules.TRANSLATION_TABLE,
            target=IPv4Network((address, 32)),
            protocol=protocol,
            ports=range(port, port + 1),
        )
        for protocol, address, port in table
        if IPv4Address(address) in _NODES and port not in plan.NODE_PORTS
    )


def _led(
    service: Service, port: ServicePort, nodes: Sequence[str], backends: tuple[Backend, ...]
) -> Iterator[tuple[Frontend, Target]]:
    """The frontends of one port, each with where it leads: from outside to endpoints on the node that was asked, if so wished."""
    protocol, spec = PROTOCOLS[port.protocol], service.spec
    target = Target(f"{service.name}:{port.name}", backends, _affinity(service))
    inside = replace(target, near=spec.internal_traffic_policy == "Local")
    yield (protocol, socket.inet_aton(spec.cluster_ip), port.port), inside
    for address in map(socket.inet_aton, nodes if port.node_port else ()):
        near = tuple(one for one in backends if plan.node(one[0]) == plan.node(address))
        local = spec.external_traffic_policy == "Local"
        yield (protocol, address, port.node_port), replace(target, backends=near if local else backends)


def _affinity(service: Service) -> int:
    if service.spec.session_affinity != "ClientIP":
        return 0
    config = service.spec.session_affinity_config
    return (config.client_ip.timeout_seconds if config else 10800) * SECOND


def _backends(slices: Sequence[EndpointSlice], port: ServicePort) -> Iterator[Backend]:
    """The ready ones; where there are none, those that still serve while they are being terminated."""
    found = [
        (endpoint, number.port)
        for one in slices
        for number in one.ports or ()
        if (number.name or "") == port.name and (number.protocol or "TCP") == port.protocol and number.port
        for endpoint in one.endpoints or ()
    ]
    chosen = [one for one in found if ready(one[0])] or [one for one in found if _lingers(one[0])]
    seen: dict[Backend, None] = {}
    for endpoint, number in chosen:
        for address in endpoint.addresses[:1]:
            seen[socket.inet_aton(address), number] = None
    yield from seen


def ready(endpoint: Endpoint) -> bool:
    """Whether it is to be asked; not knowing counts as yes."""
    return endpoint.conditions.ready is not False


def _lingers(endpoint: Endpoint) -> bool:
    conditions = endpoint.conditions
    return bool(conditions.terminating) and conditions.serving is not False
