"""The link over which packets reach the translation: a veth pair in the root namespace whose far end is read and written here."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from harness.clock import now
from harness.errors import SubstrateError
from harness.substrates.network import links, netlink, plan, rules, sysctl
from harness.substrates.network.netlink import End, Netlink
from harness.substrates.network.packets import ETHERNET
from harness.substrates.network.translation import Translator

_NEAR, _FAR = rules.TRANSLATION, "nat1"
_MAC = bytes.fromhex("eeeeeeeeee01")
_FAR_MAC = bytes.fromhex("eeeeeeeeee02")
_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 15, 23
_ETH_P_IP = 0x0800
_QUEUE_BYTES = 16 << 20
"""As much as the machine lets us have of it (net.core.rmem_max)."""

_AT_ONCE = 64
"""Packets that are led before others of this program get their turn."""

SWEEP_S = 5.0


@contextmanager
def leading(translator: Translator) -> Iterator[None]:
    """Lead the packets that rules send to the translation, while the scope lasts, on the running loop.

    SubstrateError if somebody else does so already; OSError where the kernel does not allow it.
    """
    with Netlink() as link:
        try:
            link.ask(netlink.veth(End(_NEAR, _MAC), End(_FAR, _FAR_MAC), mtu=links.MTU, gso=links.GSO))
        except FileExistsError as error:
            found = (
                f"expected an environment whose Services nobody leads; found a link {_NEAR}: another of us is running"
            )
            raise SubstrateError(found) from error
        try:
            near, far = socket.if_nametoindex(_NEAR), socket.if_nametoindex(_FAR)
            sysctl.write(f"net/ipv4/conf/{_NEAR}/accept_local", "1")  # what the root asks comes back to it this way
            link.ask(netlink.up(near, arp=False), netlink.up(far, arp=False))
            everywhere = netlink.route("0.0.0.0/0", near, source=plan.API_NODE, table=rules.TRANSLATION_TABLE)
            link.ask(everywhere)
            with _packets() as sock, _reading(sock, translator):
                yield
        finally:
            link.ask(netlink.delete_link(_NEAR))


@contextmanager
def _packets() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(_ETH_P_IP)) as sock:
        sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE_BYTES)
        sock.bind((_FAR, _ETH_P_IP))
        yield sock


@contextmanager
def _reading(sock: socket.socket, translator: Translator) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    frame = bytearray(1 << 17)
    view = memoryview(frame)

    def read() -> None:
        at = now()
        for _ in range(_AT_ONCE):
            try:
                size = sock.recv_into(frame)
            except BlockingIOError:
                return
            except OSError:
                continue  # the link was down for a moment
            translator.handle(frame, size, at)
            frame[ETHERNET : ETHERNET + 6] = _MAC
            with suppress(OSError):  # as on any wire, what cannot be sent is lost
                sock.send(view[:size])

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            translator.sweep(now())

    loop.add_reader(sock, read)
    sweeping = loop.create_task(sweep())
    try:
        yield
    finally:
        sweeping.cancel()
        loop.remove_reader(sock)
