"""A faulty network path to a database: the proxy process in the environment, and the harness's hand on it."""

import asyncio
import socket
from contextlib import suppress
from typing import BinaryIO

import msgspec

from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates.inside.spawn import Program as Order
from harness.substrates.local.layout import Address
from harness.substrates.local.site import Site
from harness.substrates.proxy import Behaviour

PATIENCE: Ns = 10 * SECOND


class LocalLink:
    """Fulfils ports.Link."""

    def __init__(self, name: str, site: Site) -> None:
        self._name = name
        self._site = site
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()

    async def start(self, *, at: Address, to: Address) -> None:
        """Start the proxy and return when it listens."""
        order = Order(
            argv=(
                self._site.layout.python,
                "-m",
                "harness.substrates.proxy",
                at.host,
                str(at.port),
                to.host,
                str(to.port),
            ),
            env=self._site.python_environment(),
            cwd="/",
            identity=self._site.users.ours,
        )
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._complaints() as complaints:
                await self._site.spawn(order, (theirs.fileno(), theirs.fileno(), complaints.fileno()))
            self._streams = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        await self._answer()

    def _complaints(self) -> BinaryIO:
        """A log of its own, so that nothing it says but its answers reaches us as one."""
        path = self._site.layout.seen(f"/var/log/rundrill/link-{self._name}.log")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")

    async def _answer(self) -> None:
        line = b""
        if self._streams:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(PATIENCE / SECOND):
                    line = await self._streams[0].readline()
        if line.strip() != b"ok":
            raise SubstrateError(
                f"the link to {self._name} does not answer: {line.decode('utf-8', 'replace').strip()!r}"
            )

    async def set(
        self,
        *,
        latency: Ns = 0,
        jitter: Ns = 0,
        refuse: bool = False,
        drop: bool = False,
        reset: bool = False,
    ) -> None:
        """Delay every chunk; refuse new connections; swallow all bytes (a partition); reset what is open, once."""
        behaviour = Behaviour(latency=latency, jitter=jitter, refuse=refuse, drop=drop, reset=reset)
        if not self._streams:
            raise SubstrateError(f"the link to {self._name} is not up")
        async with self._lock:
            self._streams[1].write(msgspec.json.encode(behaviour) + b"\n")
            await self._answer()

    def close(self) -> None:
        """Let go of it; the proxy ends with the environment."""
        if self._streams:
            self._streams[1].close()
