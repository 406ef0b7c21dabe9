"""A TCP proxy that can be slow, refuse, swallow or reset: `python -m harness.substrates.proxy HOST PORT TO_HOST TO_PORT`.

One JSON line of Behaviour on standard input changes it, from then on and for what is open; each is answered with `ok`.
No byte is lost or reordered, and each direction is closed when its sender closes it. In a partition nothing gets through,
and what was sent meanwhile arrives when it is over, if the connection lives that long: as TCP retransmits it.
"""

import asyncio
import random
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeGuard

import msgspec

from harness.model.units import SECOND, Ns

CHUNK = 65536
BACKLOG = 512
AHEAD = 64
"""How many chunks may be under way in one direction before its sender has to wait."""


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Delay every chunk by `latency` ± `jitter` ns; `refuse` new connections; `drop` all bytes; `reset` what is open."""

    latency: Ns = 0
    jitter: Ns = 0
    refuse: bool = False
    drop: bool = False
    reset: bool = False


@dataclass(eq=False, slots=True)
class Connection:
    """One client, and its connection onwards once there is one. `task` serves it."""

    client: asyncio.StreamWriter
    task: "asyncio.Task[None] | None"
    server: asyncio.StreamWriter | None = None

    def reset(self) -> None:
        """End both sides at once, with RST."""
        for writer in (self.client, self.server):
            if writer is not None:
                sock = writer.get_extra_info("socket")
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()


Queue = asyncio.Queue[tuple[float, bytes]]
"""Chunks with the instant each may be passed on; an empty one is the sender's end of file."""


Place = tuple[str, int]
"""An IPv4 address or host name, and a port."""


def _is_place(at: "Place | Sequence[socket.socket]") -> TypeGuard[Place]:
    return isinstance(at[0], str)


class Proxy:
    """Listens at `at`, a place or sockets that are bound, and forwards to `to`: in turn, where there are several, and past
    those that refuse."""

    def __init__(self, at: Place | Sequence[socket.socket], *to: Place) -> None:
        self._place = at if _is_place(at) else None
        self._handed = tuple(one for one in at if isinstance(one, socket.socket))
        self.to: Sequence[Place] = to
        self._turn = 0
        self._behaviour = Behaviour()
        self._changed = asyncio.Event()
        self._open: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._random = random.Random(0)  # noqa: S311 - jitter, the same in every run

    async def listen(self) -> None:
        """Accept connections from now on. Again after `refuse`."""
        if self._place:
            self._servers.append(
                await asyncio.start_server(self._serve, *self._place, reuse_address=True, backlog=BACKLOG)
            )
        for sock in self._handed:
            # A copy: a server closes its socket, and one that was handed to us cannot be made again.
            self._servers.append(await asyncio.start_server(self._serve, sock=sock.dup(), backlog=BACKLOG))

    def _deafen(self) -> None:
        """Refuse new connections."""
        for server in self._servers:
            server.close()
        self._servers = []
        for sock in self._handed:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # it listens no more and is still bound (tcp(7)): listen() undoes it

    async def behave(self, behaviour: Behaviour) -> None:
        """Do so from now on, also to what is open; it is in force on return."""
        self._behaviour = behaviour
        self._changed.set()
        self._changed = asyncio.Event()
        if behaviour.refuse and self._servers:
            self._deafen()
        elif not behaviour.refuse and not self._servers:
            await self.listen()
        if behaviour.reset:
            for connection in tuple(self._open):
                connection.reset()
                if connection.task:
                    connection.task.cancel()

    async def _passable(self) -> None:
        while self._behaviour.drop:
            await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer, asyncio.current_task())
        self._open.add(connection)
        # Only `behave` and the end of the loop cancel this task, and asyncio complains of a server's task that is cancelled.
        with suppress(asyncio.CancelledError):
            await self._forward(connection, reader)

    async def _forward(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        try:
            await self._passable()
            onward, connection.server = await self._onward()
            async with asyncio.TaskGroup() as group:
                for source, target in ((reader, connection.server), (onward, connection.client)):
                    queue = Queue(AHEAD)
                    group.create_task(self._read(source, queue))
                    group.create_task(self._send(queue, target))
        except* OSError:
            connection.reset()
        finally:
            self._open.discard(connection)
            for side in (connection.client, connection.server):
                if side is not None:
                    side.close()

    async def _onward(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next place that accepts one; OSError if none does."""
        refusal: OSError = ConnectionRefusedError("there is nowhere to go")
        for _ in range(len(self.to)):
            self._turn += 1
            try:
                return await asyncio.open_connection(*self.to[self._turn % len(self.to)])
            except OSError as error:
                refusal = error
        raise refusal

    async def _read(self, source: asyncio.StreamReader, queue: Queue) -> None:
        """Read ahead while earlier chunks wait for their time: latency is a delay, not a limit of throughput."""
        due, data = 0.0, b"-"
        while data:
            data = await source.read(CHUNK)
            spread = self._random.uniform(-1, 1) * self._behaviour.jitter
            delay = max(0.0, self._behaviour.latency + spread) / SECOND
            due = max(due, asyncio.get_running_loop().time() + delay)
            await queue.put((due, data))

    async def _send(self, queue: Queue, target: asyncio.StreamWriter) -> None:
        data = b"-"
        while data:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            await self._passable()
            if data:
                target.write(data)
                await target.drain()
            else:
                target.write_eof()


async def serve(at: tuple[str, int], to: tuple[str, int]) -> None:
    """Obey standard input until it ends."""
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    proxy = Proxy(at, to)
    await proxy.listen()
    sys.stdout.write("ok\n")
    sys.stdout.flush()
    while line := await commands.readline():
        try:
            await proxy.behave(msgspec.json.decode(line, type=Behaviour))
            answer = "ok"
        except (msgspec.DecodeError, OSError) as error:
            answer = f"not done: {error}".replace("\n", " ")
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


def main() -> None:
    """Serve the addresses of the command line."""
    host, port, to_host, to_port = sys.argv[1:]
    asyncio.run(serve((host, int(port)), (to_host, int(to_port))))


if __name__ == "__main__":
    main()
