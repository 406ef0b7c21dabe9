"""IPv4 packets as they come from a packet socket: what is read of them and what is changed in place. Not where they are led.

A frame is the virtio header that Linux puts before it (PACKET_VNET_HDR, packet(7)), the Ethernet header, and the packet.
Checksums are kept by difference (RFC 1624). Where the sender has left the checksum to be completed later (NEEDS_CSUM), the field
holds the sum of the pseudo-header alone, not complemented, which the ports are no part of.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
UNREACHABLE, TIME_EXCEEDED = 3, 11

VNET = 10
ETHERNET = VNET
IP = VNET + 14
L4 = IP + 20
"""Offsets in a frame. Packets with IP options are left alone: nobody sends them."""

_NEEDS_CSUM = 1
_TUPLE = struct.Struct(">4s4sHH")
_FLOW = struct.Struct(">4sH4sH")
_TUPLE_AT = IP + 12
_IP_CSUM = IP + 10
_PROTOCOL = IP + 9
_CSUM = {TCP: L4 + 16, UDP: L4 + 6}
_SMALLEST = {TCP: L4 + 20, UDP: L4 + 8, ICMP: L4 + 8}

Address = bytes
"""Four bytes, as in a packet."""


@dataclass(frozen=True, slots=True)
class Tuple:
    """Who speaks to whom: addresses and ports of one direction of a conversation."""

    protocol: int
    source: Address
    sport: int
    target: Address
    dport: int

    @property
    def reply(self) -> "Tuple":
        """The other direction."""
        return Tuple(self.protocol, self.target, self.dport, self.source, self.sport)

    def __str__(self) -> str:
        return f"{IPv4Address(self.source)}:{self.sport} -> {IPv4Address(self.target)}:{self.dport}"


Key = tuple[int, Address, Address, int, int]
"""A Tuple as it is looked up: protocol, source, target, source port, target port."""


def key(one: Tuple) -> Key:
    """How it is looked up."""
    return (one.protocol, one.source, one.target, one.sport, one.dport)


def read(frame: bytearray | memoryview, size: int) -> Key | None:
    """Whose packet that is; for ICMP both ports are 0. None for what nothing is to be done with: other protocols, fragments,
    options, and what is cut short."""
    if size < L4 or frame[IP] != 0x45 or frame[VNET + 12] != 0x08 or frame[VNET + 13] != 0x00:
        return None
    protocol = frame[_PROTOCOL]
    if size < _SMALLEST.get(protocol, 1 << 30) or frame[IP + 6] & 0x3F or frame[IP + 7]:
        return None
    source, target, sport, dport = _TUPLE.unpack_from(frame, _TUPLE_AT)
    return (protocol, source, target, 0, 0) if protocol == ICMP else (protocol, source, target, sport, dport)


def flags(frame: bytearray | memoryview) -> int:
    """The flags of a TCP segment."""
    return frame[L4 + 13]


class Rewriting:
    """Changing one direction of a conversation into another, prepared once for all its packets."""

    __slots__ = ("_addresses", "_after", "_all", "_checksum", "after")

    def __init__(self, before: Tuple, after: Tuple) -> None:
        self.after = after
        self._after = (after.source, after.target, after.sport, after.dport)
        self._checksum = _CSUM[before.protocol]
        changed = _sum(after.source + after.target) + _complement(_sum(before.source + before.target))
        ports = after.sport + after.dport + 2 * 0xFFFF - before.sport - before.dport
        self._addresses = _fold(changed)
        self._all = _fold(changed + ports)

    def apply(self, frame: bytearray | memoryview) -> None:
        """Do it, in place."""
        _TUPLE.pack_into(frame, _TUPLE_AT, *self._after)
        _adjust(frame, _IP_CSUM, self._addresses)
        at = self._checksum
        found = frame[at] << 8 | frame[at + 1]
        if frame[0] & _NEEDS_CSUM:
            value = _fold(found + self._addresses)
        elif not found and at == _CSUM[UDP]:
            return  # the sender did without
        else:
            value = 0xFFFF - _fold(0xFFFF - found + self._all)
            if not value and at == _CSUM[UDP]:
                value = 0xFFFF
        frame[at] = value >> 8
        frame[at + 1] = value & 0xFF


def inner(frame: bytearray | memoryview, size: int) -> Key | None:
    """Whose packet an ICMP error is about; None where it is not an error, or says too little."""
    at = L4 + 8
    if frame[L4] not in {UNREACHABLE, TIME_EXCEEDED} or size < at + 28 or frame[at] != 0x45:
        return None
    source, target, sport, dport = _TUPLE.unpack_from(frame, at + 12)
    protocol = frame[at + 9]
    return (protocol, source, target, sport, dport) if protocol in _CSUM else None


def rewrite_error(frame: bytearray | memoryview, size: int, about: Tuple, *, source: Address) -> None:
    """Have an ICMP error be about `about`, say `source` has sent it, and go to whom that packet was from, in place."""
    at = L4 + 8
    _TUPLE.pack_into(frame, at + 12, about.source, about.target, about.sport, about.dport)
    _complete(frame, at + 10, at, at + 20)
    struct.pack_into(">4s4s", frame, _TUPLE_AT, source, about.source)
    _complete(frame, _IP_CSUM, IP, L4)
    end = min(size, IP + (frame[IP + 2] << 8 | frame[IP + 3]))
    _complete(frame, L4 + 2, L4, end)
    frame[0] &= ~_NEEDS_CSUM


def _complete(frame: bytearray | memoryview, field: int, start: int, end: int) -> None:
    frame[field] = frame[field + 1] = 0
    struct.pack_into(">H", frame, field, _complement(_sum(bytes(frame[start:end]))))


def _adjust(frame: bytearray | memoryview, at: int, difference: int) -> None:
    value = 0xFFFF - _fold(0xFFFF - (frame[at] << 8 | frame[at + 1]) + difference)
    frame[at] = value >> 8
    frame[at + 1] = value & 0xFF


def _sum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    return _fold(sum(struct.unpack(f">{len(data) // 2}H", data)))


def _fold(number: int) -> int:
    while number > 0xFFFF:
        number = (number & 0xFFFF) + (number >> 16)
    return number


def _complement(number: int) -> int:
    return 0xFFFF - number
