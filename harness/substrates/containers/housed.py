"""What servers in containers have in common: one container each, on a volume, behind a published port. Not what is in it."""

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress

from docker.models.containers import Container

from harness import clock
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns, milliseconds
from harness.ports import Seen
from harness.substrates.containers import daemon, processes
from harness.substrates.containers.compose import Definition
from harness.substrates.containers.daemon import GoneError, PortTakenError, do
from harness.substrates.containers.described import described, forget
from harness.substrates.containers.yard import Yard
from harness.substrates.local.layout import free_ports

PATIENCE: Ns = 60 * SECOND
LOOK: Ns = milliseconds(50)
ATTEMPTS = 5


class Housed(ABC):
    """One such server. Its kind says what it is made of, and when it answers."""

    def __init__(self, name: str, hosts: Sequence[str], yard: Yard) -> None:
        self.name = name
        self.names = tuple(dict.fromkeys((name, *hosts)))
        self._yard = yard
        (self.port,) = free_ports(1)

    @property
    @abstractmethod
    def definition(self) -> Definition:
        """What compose is told of it, and what its container is made from."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it answers at its published port: Docker opens that before anybody listens behind it."""

    @property
    def container_name(self) -> str:
        """What its container is called, when it has been brought up."""
        return self._yard.container_name(self.name)

    async def container(self) -> Container:
        """Its container as it is now: another than ours, if the operator made it anew. GoneError if there is none."""
        found = await self._yard.containers(self.name)
        if not found:
            raise GoneError(f"{self.name}: expected its container; there is none (any more)")
        return found[0]

    async def create(self, hash_: str = "") -> None:
        """Make its container, which starts. The port was free a moment ago: where it is not any more, another is taken."""
        for attempt in range(ATTEMPTS):
            made = await described(self._yard, self.name, self.definition, hash_=hash_)
            try:
                await do(f"the container of {self.name}", made.start)
            except PortTakenError:
                await forget(made)
                if attempt == ATTEMPTS - 1:
                    raise
                (self.port,) = free_ports(1)
            else:
                return

    async def start(self) -> None:
        """Start it if it is down, and return when it answers; SubstrateError with its log if it does not."""
        container = await self.container()
        if not container.attrs["State"]["Running"]:
            await do(f"starting {self.name}", container.start)
        await self.ready()

    async def ready(self) -> None:
        """Return when it answers; SubstrateError with its log if it ends, or takes too long."""

        async def answering() -> bool | None:
            if await self.answers():
                return True
            if not await self.up():
                state = (await self.container()).attrs["State"]
                raise SubstrateError(
                    f"{self.name} ended while it started, with status {state['ExitCode']} {state['Error']}\n"
                    f"{await self.log_tail()}"
                )
            return None

        if await clock.until(answering, deadline=clock.now() + PATIENCE, every=LOOK) is None:
            raise SubstrateError(f"{self.name} is not ready after {PATIENCE // SECOND} s\n{await self.log_tail()}")

    async def end(self, number: int) -> None:
        """Have it end by that signal, by SIGKILL if it does not; nothing if it is down."""
        container = await self.container()
        if not container.attrs["State"]["Running"]:
            return
        await do(f"stopping {self.name}", lambda: container.kill(signal=number))

        async def down() -> bool | None:
            return None if await self.up() else True

        if await clock.until(down, deadline=clock.now() + PATIENCE, every=LOOK) is None:
            await do(f"killing {self.name}", lambda: container.kill(signal=signal.SIGKILL))

    async def up(self) -> bool:
        """Whether its process runs."""
        try:
            return bool((await self.container()).attrs["State"]["Running"])
        except GoneError:
            return False

    async def processes(self) -> Sequence[Seen]:
        """Its processes, the first one first; none if it is down. Pids are those of its container."""
        try:
            return await processes.seen(await self.container())
        except GoneError:
            return ()

    async def signal(self, wanted: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run, in that order."""
        with suppress(GoneError):
            await processes.send(await self.container(), wanted, number)

    async def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return await asyncio.to_thread(daemon.tail, await self.container(), lines)
