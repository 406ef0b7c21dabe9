"""The cluster's name server: the protocol, over UDP and TCP. What names lead to is `names`; nobody else is ever asked."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from harness.substrates.network.names import MISSING, Alias, Found, Names, Place

TTL = 30
"""Seconds; as CoreDNS has it in kind and kubeadm."""

PORT = 53
_SMALL = 512
_CHAIN = 8
_IDLE_S = 10.0
_REVERSE = dns.name.from_text("in-addr.arpa.")


def answer(wire: bytes, names: Names, *, datagram: bool) -> bytes | None:
    """The answer to a query; None to what is none. One that does not fit into a datagram says that TCP must be asked."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return _malformed(wire)
    if query.flags & dns.flags.QR:
        return None
    response = dns.message.make_response(query, recursion_available=True)
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        response.set_rcode(dns.rcode.NOTIMP)
        return response.to_wire()
    response.flags |= dns.flags.AA
    _fill(response, names)
    room = max(_SMALL, query.payload) if datagram else 65535
    try:
        return response.to_wire(max_size=room)
    except dns.exception.TooBig:
        short = dns.message.make_response(query, recursion_available=True)
        short.flags |= dns.flags.AA | dns.flags.TC
        return short.to_wire()


def _malformed(wire: bytes) -> bytes | None:
    if len(wire) < 12 or wire[2] & 0x80:
        return None
    return wire[:2] + bytes((0x80 | wire[2] & 0x79, 0x80 | dns.rcode.FORMERR)) + bytes(8)


def _fill(response: dns.message.Message, names: Names) -> None:
    question = response.question[0]
    asked, kind = question.name, question.rdtype
    if question.rdclass != dns.rdataclass.IN:
        response.set_rcode(dns.rcode.REFUSED)
        return
    if asked.is_subdomain(_REVERSE):
        pointers = names.reverse(_address(asked))
        response.set_rcode(dns.rcode.NOERROR if pointers else dns.rcode.NXDOMAIN)
        wanted = kind in {dns.rdatatype.PTR, dns.rdatatype.ANY}
        _add(response.answer, asked, dns.rdatatype.PTR, [f"{name}." for name in pointers if wanted])
        return
    text = _text(asked)
    found = names.find(text)
    response.set_rcode(dns.rcode.NXDOMAIN if found == MISSING else dns.rcode.NOERROR)
    _follow(response, names, asked, kind, found)
    if not response.answer and _in_cluster(text, names):
        _authority(response, names)


def _follow(
    response: dns.message.Message, names: Names, asked: dns.name.Name, kind: dns.rdatatype.RdataType, found: Found
) -> None:
    """Answer with what was found, and for another name with what that one leads to: told are both, or, as CoreDNS has it for
    names of the cluster, none."""
    for _ in range(_CHAIN):
        if isinstance(found, Alias):
            if kind not in _BY_ALIAS:
                return
            _add(response.answer, asked, dns.rdatatype.CNAME, [f"{found.name}."])
            if kind == dns.rdatatype.CNAME:
                return
            asked = dns.name.from_text(found.name)
            found = names.find(found.name)
            continue
        before = len(response.answer)
        if found != MISSING:
            _places(response, asked, kind, found)
        if len(response.answer) == before and _in_cluster(_text(asked), names):
            response.answer.clear()
        return


_BY_ALIAS = {dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.CNAME, dns.rdatatype.ANY}


def _in_cluster(name: str, names: Names) -> bool:
    return name == names.domain or name.endswith(f".{names.domain}")


def _places(
    response: dns.message.Message, asked: dns.name.Name, kind: dns.rdatatype.RdataType, places: Sequence[Place]
) -> None:
    if kind in {dns.rdatatype.A, dns.rdatatype.ANY}:
        _add(response.answer, asked, dns.rdatatype.A, dict.fromkeys(place.address for place in places))
    servers = [place for place in places if place.port]
    if kind == dns.rdatatype.SRV and servers:
        weight = max(1, 100 // len(servers))
        _add(response.answer, asked, kind, (f"0 {weight} {one.port} {one.name}." for one in servers))
        for one in dict.fromkeys((one.name, one.address) for one in servers):
            _add(response.additional, dns.name.from_text(one[0]), dns.rdatatype.A, [one[1]])


def _authority(response: dns.message.Message, names: Names) -> None:
    """Whom a negative answer is from, and for how long it holds (RFC 2308)."""
    text = f"ns.dns.{names.domain}. hostmaster.{names.domain}. 1 7200 1800 86400 {TTL}"
    wanted = response.question[0].rdtype == dns.rdatatype.SOA and response.question[0].name == dns.name.from_text(
        names.domain
    )
    _add(response.answer if wanted else response.authority, dns.name.from_text(names.domain), dns.rdatatype.SOA, [text])


def _add(
    section: list[dns.rrset.RRset], name: dns.name.Name, kind: dns.rdatatype.RdataType, texts: Iterable[str]
) -> None:
    if texts := list(texts):
        section.append(dns.rrset.from_text_list(name, TTL, dns.rdataclass.IN, kind, texts))


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _address(name: dns.name.Name) -> str:
    """The address that a reverse name is about, "" if it is about none or about a whole network."""
    try:
        found = dns.reversename.to_address(name)
        return str(ipaddress.IPv4Address(found))
    except (dns.exception.DNSException, ValueError):
        return ""


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, names: Callable[[], Names]) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # Python 3.11's is one, but not by its class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        said = answer(data, self._names(), datagram=True)
        if said is not None and self._transport is not None:
            self._transport.sendto(said, addr)


@asynccontextmanager
async def serving(address: str, names: Callable[[], Names], *, port: int = PORT) -> AsyncIterator[None]:
    """Serve what `names` gives at each moment. OSError if the address and port cannot be had."""

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_IDLE_S) as limit:
                while True:
                    size = int.from_bytes(await reader.readexactly(2))
                    said = answer(await reader.readexactly(size), names(), datagram=False)
                    if said is not None:
                        writer.write(len(said).to_bytes(2) + said)
                        await writer.drain()
                    limit.reschedule(asyncio.get_running_loop().time() + _IDLE_S)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(names), local_addr=(address, port))
    try:
        async with await asyncio.start_server(stream, address, port):
            yield
    finally:
        transport.close()
