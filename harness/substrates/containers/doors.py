"""An environment's ways out: names and ports inside that lead to containers, and links that can be faulty. The harness's end;
what serves them is harness.substrates.relay, a process on the host that ends with the harness."""

import asyncio
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import execution
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns
from harness.substrates import inside
from harness.substrates.inside.spawn import Program as Order
from harness.substrates.local.layout import SYSTEM_PATH, Address
from harness.substrates.local.site import Site
from harness.substrates.proxy import Behaviour, Place
from harness.substrates.relay import Door
from harness.substrates.relay import Order as Command

PATIENCE: Ns = 10 * SECOND
MOST = 250
"""Descriptors in one message (SCM_MAX_FD is 253, unix(7))."""


@dataclass(frozen=True, slots=True)
class Way:
    """A door to be: where it is `inside`, further places it is at `outside`, and where it leads `to`."""

    inside: tuple[Address, ...]
    to: tuple[Place, ...]
    outside: tuple[Place, ...] = ()


class Doors:
    """The doors of one environment, once they are open."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._log = folder / f"relay-{site.name}.log"
        self._child: execution.Child | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()

    async def open(self, ways: Mapping[str, Way]) -> None:
        """Open them all. SubstrateError if one cannot be opened."""
        listeners = iter(await self._listeners([address for way in ways.values() for address in way.inside]))
        sockets = {name: tuple(next(listeners) for _ in way.inside) for name, way in ways.items()}
        handed = [sock for each in sockets.values() for sock in each]
        doors = [
            Door(name, tuple(sock.fileno() for sock in sockets[name]), way.to, way.outside)
            for name, way in ways.items()
        ]
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._child = execution.start(
                    (sys.executable, "-m", "harness.substrates.relay", str(theirs.fileno()), _json(doors)),
                    env={"PATH": SYSTEM_PATH, "PYTHONPATH": ":".join(path for path in sys.path if path)},
                    stderr=self._log,
                    pass_fds=(theirs.fileno(), *(sock.fileno() for sock in handed)),
                )
            self._streams = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        finally:
            for sock in handed:
                sock.close()
        await self._answer("open")

    async def _listeners(self, addresses: Sequence[Address]) -> list[socket.socket]:
        """Sockets that listen inside."""
        if len(addresses) > MOST:
            raise SubstrateError(
                f"expected at most {MOST} addresses of databases and workloads; found {len(addresses)}"
            )
        program = self._site.layout.program(Path(inside.__file__).parent / "listening.py")
        ours, theirs = socket.socketpair()
        with ours, theirs, self._log.open("ab") as complaints:
            order = Order(
                argv=(self._site.layout.python, "-I", "-S", program, *(f"{one.host}:{one.port}" for one in addresses)),
                env=self._site.base_environment(),
                cwd="/",
                identity=self._site.users.ours,
            )
            started = await self._site.spawn(order, (theirs.fileno(), complaints.fileno(), complaints.fileno()))
            status = await started.wait(PATIENCE)
            if status != 0:
                raise SubstrateError(
                    f"the environment's ports cannot be opened: {self._complaint() or f'status {status}'}"
                )
            _, descriptors, _, _ = socket.recv_fds(ours, 16, MOST)
        return [socket.socket(fileno=descriptor) for descriptor in descriptors]

    async def lead(self, name: str, to: Sequence[Place]) -> None:
        """Let the door of that name lead there from now on."""
        await self._ask(Command(name, to=tuple(to)))

    async def behave(self, name: str, behaviour: Behaviour) -> None:
        """Let the door of that name be as faulty as that."""
        await self._ask(Command(name, behaviour=behaviour))

    async def _ask(self, command: Command) -> None:
        if not self._streams:
            raise SubstrateError(f"the door {command.door} is not open")
        async with self._lock:
            self._streams[1].write(msgspec.json.encode(command) + b"\n")
            await self._answer(command.door)

    async def _answer(self, what: str) -> None:
        line = b""
        if self._streams:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(PATIENCE / SECOND):
                    line = await self._streams[0].readline()
        if line.strip() != b"ok":
            said = line.decode("utf-8", "replace").strip() or self._complaint()
            raise SubstrateError(f"the environment's doors ({what}) do not answer: {said}")

    def _complaint(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace").strip()[-1000:] if self._log.exists() else ""

    async def close(self) -> None:
        """Let go of them; the relay ends."""
        if self._streams:
            self._streams[1].close()
        if self._child:
            if await self._child.wait(SECOND) is None:
                await self._child.kill()
            if self._log.exists() and not self._log.stat().st_size:
                self._log.unlink()


class DoorLink:
    """The link to a database through its door. Fulfils ports.Link."""

    def __init__(self, name: str, doors: Doors) -> None:
        self._name = name
        self._doors = doors

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
        await self._doors.behave(
            self._name, Behaviour(latency=latency, jitter=jitter, refuse=refuse, drop=drop, reset=reset)
        )


def _json(doors: Sequence[Door]) -> str:
    return msgspec.json.encode(doors).decode()
