"""The known-truth rig: an HTTP server with outages whose beginning and end are known, to hold the prober against. Not part
of any drill."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from harness.clock import now
from harness.errors import InstrumentError
from harness.model.units import SECOND, Ns, milliseconds

_PORTS = range(20_000, 30_000)
"""Below the ports the kernel gives to clients: one that connects to a closed port of those may connect to itself."""


class Trouble(StrEnum):
    """What a rig does wrong: requests that arrive meanwhile are never answered; connections are reset and refused; answers
    take `slowness`; answers are 503; answers wait for its end."""

    HANG = "hang"
    REFUSE = "refuse"
    SLOW = "slow"
    ERROR = "error"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage as it was: from the first request that would fail to the first that would not (monotonic ns)."""

    trouble: Trouble
    start: Ns
    end: Ns


class Rig:
    """A server on loopback that answers every request with `{"ok": true}` while it is well."""

    def __init__(self, port: int, slowness: Ns) -> None:
        self.port = port
        self.outages: list[Outage] = []
        self._slowness = slowness
        self._trouble: Trouble | None = None
        self._over = asyncio.Event()
        self._closing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def trouble(self, trouble: Trouble, duration: Ns) -> Outage:
        """Misbehave for `duration` ns; what was done, and when."""
        self._over.clear()
        self._trouble = trouble
        if trouble is Trouble.REFUSE:
            await self.deaf()
        start = now()
        await asyncio.sleep(duration / SECOND)
        if trouble is Trouble.REFUSE:
            await self.listen()
        self._trouble = None
        outage = Outage(trouble, start, now())
        self._over.set()
        self.outages.append(outage)
        return outage

    async def flap(self, trouble: Trouble, *, times: int, each: Ns) -> tuple[Outage, ...]:
        """Misbehave `times` times for `each` ns, and be well as long in between."""
        done = []
        for _ in range(times):
            done.append(await self.trouble(trouble, each))
            await asyncio.sleep(each / SECOND)
        return tuple(done)

    async def listen(self) -> None:
        """Accept connections."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)

    async def deaf(self) -> None:
        """Accept no more, and reset what is open."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._open):
            writer.transport.abort()

    async def close(self) -> None:
        """Stop for good."""
        self._closing.set()
        self._over.set()
        await self.deaf()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while not self._closing.is_set():
                    await reader.readuntil(b"\r\n\r\n")
                    await self._answer(reader, writer)
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, body = "200 OK", b'{"ok": true}'
        match self._trouble:
            case Trouble.HANG:
                await reader.read()  # until the client gives up
            case Trouble.STALL:
                await self._over.wait()
            case Trouble.SLOW:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self._slowness / SECOND)
            case Trouble.ERROR:
                status, body = "503 Service Unavailable", b'{"ok": false}'
            case _:
                pass
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()


@asynccontextmanager
async def rig(*, slowness: Ns = milliseconds(1000), seed: int | None = None) -> AsyncIterator[Rig]:
    """A rig that listens; InstrumentError if no port is free."""
    ports = random.Random(seed).sample(_PORTS, 20)  # noqa: S311 - any free port will do
    for port in ports:
        stub = Rig(port, slowness)
        try:
            await stub.listen()
        except OSError:
            continue
        try:
            yield stub
        finally:
            await stub.close()
        return
    raise InstrumentError(f"the rig found none of 20 ports free on 127.0.0.1, among them {ports[0]}")
