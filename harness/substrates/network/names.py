"""What a cluster's names lead to, as CoreDNS's plugin `kubernetes` answers (pods insecure, ttl 30), and those of a hosts file.

https://github.com/kubernetes/dns/blob/master/docs/specification.md says what must be; where it leaves it open, this does as
CoreDNS. Names are lower case, without the last dot. Not the protocol.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.substrates.network.balancing import ready
from harness.substrates.network.objects import Endpoint, EndpointSlice, Service, World

Missing = Literal["no such name"]
"""NXDOMAIN, as against a name that has nothing of the kind that was asked for."""


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name that this one stands for (CNAME)."""

    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """An address, and for those who ask for servers (SRV) the port and the name that has that address alone."""

    address: str
    port: int
    name: str


Found = tuple[Place, ...] | Alias | Missing
"""What a name leads to; an empty tuple is a name with nothing behind it."""

MISSING: Missing = "no such name"


def hosts(text: str) -> Mapping[str, tuple[str, ...]]:
    """The IPv4 addresses of each name of a hosts file; not those of a loopback, which is another one for everybody."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        try:
            loopback = ipaddress.IPv4Address(address).is_loopback
        except ValueError:
            continue
        for name in names:
            if not loopback and address not in found[name.lower()]:
                found[name.lower()].append(address)
    return {name: tuple(addresses) for name, addresses in found.items() if addresses}


@dataclass(frozen=True, slots=True)
class Names:
    """All names there are, made once for each state of the cluster. `server` is the name server's own address."""

    domain: str
    server: str
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    namespaces: frozenset[str] = frozenset()
    services: Mapping[str, Service] = field(default_factory=dict)
    slices: Mapping[str, Sequence[EndpointSlice]] = field(default_factory=dict)

    def find(self, name: str) -> Found:
        """What a name leads to."""
        if name in self.hosts:
            return tuple(Place(address, 0, name) for address in self.hosts[name])
        if name == self.domain:
            return ()
        if not name.endswith(f".{self.domain}"):
            return MISSING
        labels = name.removesuffix(f".{self.domain}").split(".")
        match labels:
            case ["ns", "dns"]:
                return (Place(self.server, 53, name),)
            case ["svc"] | ["pod"]:
                return ()
            case [space, "svc" | "pod"] if space in self.namespaces:
                return ()
            case [*rest, dashed, space, "pod"] if space in self.namespaces and len(rest) <= 2:
                return _pod(dashed, name)
            case [*rest, service, space, "svc"] if space in self.namespaces:
                return self._service(f"{space}/{service}", rest)
            case _:
                return MISSING

    def _service(self, key: str, rest: Sequence[str]) -> Found:
        service = self.services.get(key)
        if service is None or len(rest) > 2:
            return MISSING
        if service.spec.type == "ExternalName":
            return MISSING if rest else Alias(service.spec.external_name.lower().rstrip("."))
        endpoint = rest[0] if len(rest) == 1 else ""
        port, protocol = (part.removeprefix("_") for part in rest) if len(rest) == 2 else ("", "")
        if service.headless or endpoint:
            places = [place for host, place in self._endpoints(key, port, protocol) if not endpoint or host == endpoint]
        else:
            own = self._own(key)
            places = [
                Place(service.spec.cluster_ip, one.port, own)
                for one in service.spec.ports
                if _is(port, one.name) and _is(protocol, one.protocol.lower())
            ]
        return tuple(dict.fromkeys(places)) or MISSING

    def _own(self, key: str) -> str:
        space, _, service = key.partition("/")
        return f"{service}.{space}.svc.{self.domain}"

    def _endpoints(self, key: str, port: str = "", protocol: str = "") -> Iterator[tuple[str, Place]]:
        """Each ready endpoint with what it is called in its Service's name, once for each of its ports."""
        for one in self.slices.get(key, ()):
            ports = [(p.name or "", (p.protocol or "TCP").lower(), p.port or 0) for p in one.ports or ()] or [
                ("", "", 0)
            ]
            for endpoint in one.endpoints or ():
                host = _host(endpoint)
                for name, spoken, number in ports:
                    if ready(endpoint) and _is(port, name) and _is(protocol, spoken):
                        yield host, Place(endpoint.addresses[0], number, f"{host}.{self._own(key)}")

    def reverse(self, address: str) -> tuple[str, ...]:
        """The names that an address is known by (PTR): a Service's, else an endpoint's, else those of the hosts file."""
        if not address:
            return ()
        services = [self._own(key) for key, one in self.services.items() if one.spec.cluster_ip == address]
        endpoints = [place.name for key in self.slices for _, place in self._endpoints(key) if place.address == address]
        others = [name for name, addresses in self.hosts.items() if address in addresses]
        return tuple(dict.fromkeys(services or endpoints or others))


def of(world: World, *, domain: str, server: str, hosts: Mapping[str, tuple[str, ...]]) -> Names:
    """The names of a cluster."""
    slices: dict[str, list[EndpointSlice]] = defaultdict(list)
    for one in world.slices:
        if one.address_type == "IPv4" and one.service:
            slices[one.service].append(one)
    return Names(
        domain=domain,
        server=server,
        hosts=hosts,
        namespaces=frozenset(one.metadata.name for one in world.namespaces),
        services={one.name: one for one in world.services},
        slices=slices,
    )


def _is(asked: str, found: str) -> bool:
    return asked in {"", found}


def _host(endpoint: Endpoint) -> str:
    return endpoint.hostname or endpoint.addresses[0].replace(".", "-")


def _pod(dashed: str, name: str) -> Found:
    try:
        return (Place(str(ipaddress.IPv4Address(dashed.replace("-", "."))), 0, name),)
    except ValueError:
        return MISSING
