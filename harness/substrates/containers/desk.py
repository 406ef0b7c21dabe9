"""Answers the operator's `service NAME restart` in an environment whose services are containers. Not what they are."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from harness.errors import SubstrateError

SOCKET = "/run/rundrill/services"
"""Where it is asked, inside."""

Ask = Callable[[str], Awaitable[tuple[int, str]]]
"""Does what a verb says (start, stop, restart, status); exit status and what is printed."""


class Desk:
    """Serves one socket. `known` maps every name that the operator may say to who does it."""

    def __init__(self, path: Path, known: Mapping[str, Ask]) -> None:
        self._known = known
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)  # noqa: FBT003 - the library's signature
        self._listener.bind(str(path))
        path.chmod(0o666)  # whoever is inside may ask
        self._listener.listen()
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            peer, _ = await loop.sock_accept(self._listener)
            task = asyncio.create_task(self._attend(peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attend(self, peer: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with peer, suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                name, _, verb = (await loop.sock_recv(peer, 4096)).decode("utf-8", "replace").partition("\0")
            status, text = await self._done(name, verb)
            await loop.sock_sendall(peer, f"{status}\0{text}".encode()[:60_000])

    async def _done(self, name: str, verb: str) -> tuple[int, str]:
        ask = self._known.get(name.removesuffix(".service"))
        if ask is None:
            return 4, f"{name}: unrecognized service"
        try:
            return await ask(verb)
        except SubstrateError as error:
            return 1, str(error)

    async def close(self) -> None:
        """Answer nobody any more."""
        for task in (self._serving, *self._tasks):
            task.cancel()
        await asyncio.gather(self._serving, *self._tasks, return_exceptions=True)
        self._listener.close()
