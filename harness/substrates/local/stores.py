"""What the local environment's Redis and MongoDB servers have in common: a volume, a log, a place among the supervisor's
services. Not what they are started with (redis, mongo)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from harness import clock, ports
from harness.errors import SubstrateError
from harness.measuring import procfs
from harness.model.units import SECOND, Ns, milliseconds
from harness.ports import Seen
from harness.substrates.inside.services import Spec
from harness.substrates.inside.spawn import Identity
from harness.substrates.local.layout import Address
from harness.substrates.local.site import Site

PATIENCE_S = 20.0
NOTICING: Ns = 10 * SECOND
LOOK: Ns = milliseconds(50)


class LocalStore(ports.Store, Protocol):
    """A store that can be made ready."""

    @property
    def volume(self) -> Path:
        """The folder of its own volume as the harness sees it; all that it keeps lies in it."""
        ...

    async def prepare(self) -> None:
        """Write what it starts with, and tell the supervisor of it. It is down afterwards."""
        ...


class Kept:
    """One such server as the supervisor knows it: its folders under `home` (`/var/lib/redis`), and its log. What is left of
    ports.Store (where it is reached, what it is started with) is its kind's own."""

    def __init__(self, name: str, site: Site, *, home: str, identity: Identity) -> None:
        self.name = name
        self.site = site
        self.inside = f"{home}/{name}"
        self.log = f"/var/log/{Path(home).name}/{name}.log"
        self.identity = identity

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.site.addresses.databases[self.name]

    @property
    def volume(self) -> Path:
        """The folder of its own volume as the harness sees it."""
        return self.site.layout.seen(self.inside)

    async def up(self) -> bool:
        """Whether its process runs."""
        return any(procfs.seen(pid) for pid in self.site.pids(self.name))

    async def processes(self) -> Sequence[Seen]:
        """The server, then all below it, parents first; none if it is down."""
        return procfs.descendants(self.site.pids(self.name))

    async def signal(self, processes: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run, in that order."""
        procfs.send(processes, number)

    async def define(self, spec: Spec) -> None:
        """Make its folder, and tell the supervisor of it."""
        self.site.own_folder(self.inside, self.identity)
        await self.site.define(spec)

    async def start(self) -> None:
        """Start it if it is down, and return when it listens; SubstrateError with its log if it does not."""
        await clock.until(self._noticed, deadline=clock.now() + NOTICING, every=LOOK)
        try:
            await self.site.control(self.name, "start")
        except SubstrateError as error:
            raise SubstrateError(f"{self.name}: {error}\n{await self.log_tail()}") from error

    async def _noticed(self) -> bool | None:
        """Whether it runs or is known to have ended: until we are told, it would be taken for running."""
        return True if not self.site.pids(self.name) or await self.up() else None

    async def stop(self) -> None:
        """Have it shut down in good order."""
        await self.site.control(self.name, "stop")

    async def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return self.site.tail(self.log, lines)
