"""Doors of an environment: `python -m harness.substrates.relay CONTROL DOORS`, DOORS being a list of Door as JSON.

Each accepts what comes to sockets that were opened inside and handed over, and passes it on to where containers are
published on the machine's loopback; in between it can be as faulty as a proxy (harness.substrates.proxy). One JSON line of
Order on the Unix socket CONTROL changes a door; each is answered with `ok`. It ends when that socket does.
"""

import asyncio
import socket
import sys

import msgspec

from harness.substrates.proxy import BACKLOG, Behaviour, Place, Proxy


class Door(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sockets` are descriptors of sockets that are bound; `bound` are addresses of this network to listen at as well."""

    name: str
    sockets: tuple[int, ...]
    to: tuple[Place, ...]
    bound: tuple[Place, ...] = ()


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a door is to do from now on; what is not said stays."""

    door: str
    behaviour: Behaviour | None = None
    to: tuple[Place, ...] | None = None


async def serve(control: socket.socket, doors: tuple[Door, ...]) -> None:
    """Obey until nobody holds the other end."""
    reader, writer = await asyncio.open_connection(sock=control)
    try:
        proxies = {
            door.name: Proxy((*map(_handed, door.sockets), *map(_bound, door.bound)), *door.to) for door in doors
        }
        for proxy in proxies.values():
            await proxy.listen()
        answer = "ok"
    except OSError as error:
        proxies, answer = {}, f"not done: {error}"
    writer.write(f"{answer}\n".encode())
    while line := await reader.readline():
        try:
            await _obey(proxies, msgspec.json.decode(line, type=Order))
            answer = "ok"
        except (msgspec.DecodeError, OSError, KeyError) as error:
            answer = f"not done: {error}".replace("\n", " ")
        writer.write(f"{answer}\n".encode())


async def _obey(proxies: dict[str, Proxy], order: Order) -> None:
    proxy = proxies[order.door]
    if order.to is not None:
        proxy.to = order.to
    if order.behaviour is not None:
        await proxy.behave(order.behaviour)


def _handed(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)  # noqa: FBT003 - the library's signature
    return sock


def _bound(place: Place) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(place)
    except OSError as error:
        raise OSError(f"{place[0]}:{place[1]}: {error.strerror}") from error
    sock.listen(BACKLOG)
    sock.setblocking(False)  # noqa: FBT003 - the library's signature
    return sock


def main() -> None:
    """Serve the doors of the command line."""
    control, doors = sys.argv[1:]
    asyncio.run(serve(socket.socket(fileno=int(control)), msgspec.json.decode(doors, type=tuple[Door, ...])))


if __name__ == "__main__":
    main()
