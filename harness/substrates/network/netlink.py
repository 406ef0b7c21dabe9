"""Requests of rtnetlink(7) as values, and the socket that makes them. Not what links, routes and rules are for.

A library exists (pyroute2); it takes a quarter of a second and 14 MB to import and cannot be asked from inside a running event
loop, and each process of a cluster that speaks netlink would pay that at every start.
"""

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

RTM_NEWLINK, RTM_DELLINK, RTM_SETLINK = 16, 17, 19
RTM_NEWADDR = 20
RTM_NEWROUTE = 24
RTM_NEWNEIGH = 28
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34

_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_REPLACE, _EXCL, _CREATE = 0x100, 0x200, 0x400
_HEADER = struct.Struct("=IHHII")
_LARGEST = 1 << 18

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_NET_NS_FD, _IFLA_GSO_MAX_SIZE = 1, 3, 4, 18, 28, 41
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFF_UP, _IFF_NOARP = 0x1, 0x80
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254
_NUD_PERMANENT = 0x80
_RTPROT_BOOT = 3
_TABLE_MAIN, TABLE_LOCAL = 254, 255
_RTN_UNICAST, _RTN_LOCAL, _RTN_UNREACHABLE = 1, 2, 7


@dataclass(frozen=True, slots=True)
class Request:
    """One message: its type and flags, its body, and in `what` how an error calls it."""

    kind: int
    flags: int
    body: bytes
    what: str


@dataclass(frozen=True, slots=True)
class End:
    """One end of a veth pair: its name, its hardware address, and a descriptor of its network namespace (-1: the asker's)."""

    name: str
    mac: bytes
    namespace: int = -1


def attribute(kind: int, data: bytes) -> bytes:
    """A netlink attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def _word(kind: int, number: int) -> bytes:
    return attribute(kind, struct.pack("=I", number))


def _link(index: int, flags: int = 0, mask: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, mask)


def veth(end: End, peer: End, *, mtu: int, gso: int) -> Request:
    """Make a pair. `gso` limits how many bytes of a stream travel as one packet."""

    def described(one: End) -> bytes:
        space = _word(_IFLA_NET_NS_FD, one.namespace) if one.namespace >= 0 else b""
        named = attribute(_IFLA_IFNAME, one.name.encode() + b"\0") + attribute(_IFLA_ADDRESS, one.mac)
        return named + _word(_IFLA_MTU, mtu) + _word(_IFLA_GSO_MAX_SIZE, gso) + space

    other = attribute(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, _link(0) + described(peer)))
    info = attribute(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, b"veth\0") + other)
    return Request(RTM_NEWLINK, _CREATE | _EXCL, _link(0) + described(end) + info, f"link {end.name}")


def delete_link(name: str) -> Request:
    """Delete a link, and with it the other end."""
    return Request(RTM_DELLINK, 0, _link(0) + attribute(_IFLA_IFNAME, name.encode() + b"\0"), f"link {name}")


def up(index: int, *, arp: bool = True) -> Request:
    """Bring a link up; without `arp` nobody is asked for hardware addresses on it."""
    flags = _IFF_UP | (0 if arp else _IFF_NOARP)
    return Request(RTM_SETLINK, 0, _link(index, flags, _IFF_UP | _IFF_NOARP), f"link {index} up")


def address(index: int, host: str) -> Request:
    """Give a link an address of its own, with no network around it."""
    packed = socket.inet_aton(host)
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, _SCOPE_UNIVERSE, index)
    return Request(
        RTM_NEWADDR, _CREATE | _REPLACE, body + attribute(2, packed) + attribute(1, packed), f"address {host}"
    )


def neighbour(index: int, host: str, mac: bytes) -> Request:
    """Say for ever what hardware address that host has on a link."""
    body = struct.pack("=BxxxiHBB", socket.AF_INET, index, _NUD_PERMANENT, 0, 0)
    body += attribute(1, socket.inet_aton(host)) + attribute(2, mac)
    return Request(RTM_NEWNEIGH, _CREATE | _REPLACE, body, f"neighbour {host}")


def route(  # noqa: PLR0913 - each is a part of a route
    network: str, index: int, *, source: str = "", gateway: str = "", table: int = _TABLE_MAIN, optional: bool = False
) -> Request:
    """Lead a network such as 10.0.0.0/16 out of a link, directly or by a gateway; `source` is whom we are there.

    `optional`: what exists already stays as it is.
    """
    scope = _SCOPE_UNIVERSE if gateway else _SCOPE_LINK
    more = attribute(7, socket.inet_aton(source)) if source else b""
    more += attribute(5, socket.inet_aton(gateway)) if gateway else b""
    flags = _CREATE | (0 if optional else _REPLACE)
    body = _route(network, table, scope, _RTN_UNICAST) + more + _word(4, index)
    return Request(RTM_NEWROUTE, flags, body, f"route {network}")


def local(network: str, index: int) -> Request:
    """Have every address of a network be this namespace's own ("AnyIP"); `index` is the loopback's."""
    body = _route(network, TABLE_LOCAL, _SCOPE_HOST, _RTN_LOCAL) + _word(4, index)
    return Request(RTM_NEWROUTE, _CREATE | _REPLACE, body, f"local route {network}")


def unreachable(network: str) -> Request:
    """Answer at once that no host of a network is there, but for those with a route of their own."""
    body = _route(network, _TABLE_MAIN, _SCOPE_UNIVERSE, _RTN_UNREACHABLE)
    return Request(RTM_NEWROUTE, _CREATE | _REPLACE, body, f"unreachable route {network}")


def _route(network: str, table: int, scope: int, kind: int) -> bytes:
    host, _, length = network.partition("/")
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, int(length), 0, 0, table, _RTPROT_BOOT, scope, kind, 0)
    return body + (attribute(1, socket.inet_aton(host)) if int(length) else b"")


class Netlink:
    """A socket in the network namespace that its maker's thread is in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _send(self, request: Request, flags: int) -> None:
        self._number += 1
        size = _HEADER.size + len(request.body)
        header = _HEADER.pack(size, request.kind, request.flags | _REQUEST | flags, self._number, 0)
        self._socket.send(header + request.body)

    def ask(self, *requests: Request) -> None:
        """Have all of them done in order; OSError of the first that was not, and none after it is asked for."""
        for request in requests:
            self._send(request, _ACK)
            for kind, body in self._answers():
                if kind == _ERROR:
                    _check(body, request)
                    break

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """The bodies of everything there is of a kind."""
        request = Request(kind, _DUMP, body, f"dump {kind}")
        self._send(request, 0)
        for found, answer in self._answers():
            if found == _DONE:
                return
            if found == _ERROR:
                _check(answer, request)
            yield answer

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        while True:
            data = self._socket.recv(_LARGEST)
            while len(data) >= _HEADER.size:
                size, kind, _, number, _ = _HEADER.unpack_from(data)
                if number == self._number:
                    yield kind, data[_HEADER.size : size]
                data = data[(size + 3) & ~3 :]


def _check(body: bytes, request: Request) -> None:
    number = -struct.unpack_from("=i", body)[0]
    if number:
        raise OSError(number, f"{request.what}: {os.strerror(number)}")
