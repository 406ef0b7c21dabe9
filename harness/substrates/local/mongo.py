"""MongoDB of a local environment: the MongoDB protocol over WiredTiger, of a wheel that is a beta. One node: there are no
elections and no rollbacks to drill in it."""

import signal
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from harness.measuring import procfs
from harness.model.topology import Mongo
from harness.ports import Seen
from harness.substrates.inside.services import Ready, Spec
from harness.substrates.local.site import Site
from harness.substrates.local.stores import PATIENCE_S, Kept

HOME = "/var/lib/mongodb"
NAMES = ("mongod", "mongodb", "mongo")
"""What the operator's `service` and `systemctl` know the first one by."""

CACHE = "64M"


def lacking() -> str:
    """What is missing on this machine for a server to run and be written to; "" if nothing is."""
    wanted = {"secantus": "the wheel `secantusdb`", "pymongo": "the package `pymongo`"}
    return " and ".join(what for name, what in wanted.items() if not find_spec(name))


class LocalMongo:
    """One server. Fulfils ports.Store."""

    def __init__(self, spec: Mongo, site: Site) -> None:
        self._spec = spec
        self._site = site
        self._kept = Kept(spec.name, site, home=HOME, identity=site.users.mongo)
        self._first = next((s.name for s in site.topology.stores if isinstance(s, Mongo)), "") == spec.name

    @property
    def spec(self) -> Mongo:
        """What was asked for."""
        return self._spec

    async def up(self) -> bool:
        """Whether its process runs."""
        return await self._kept.up()

    async def processes(self) -> Sequence[Seen]:
        """The server, then all below it, parents first; none if it is down."""
        return await self._kept.processes()

    async def signal(self, processes: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run, in that order."""
        procfs.send(processes, number)

    @property
    def volume(self) -> Path:
        """The folder of its own volume as the harness sees it; its data are in `data` in it."""
        return self._kept.volume

    @property
    def dsn(self) -> str:
        """Where it is itself, past any faulty link, as programs inside reach it."""
        address = self._kept.address
        return f"mongodb://{address.host}:{address.port}/{self._spec.database}?directConnection=true"

    async def prepare(self) -> None:
        """Make its folder and tell the supervisor of it."""
        layout, address = self._site.layout, self._kept.address
        journal = ("--sync-on-commit",) if self._spec.journaled else ()
        where = ("--host", address.host, "--port", str(address.port))
        data = layout.path(f"{self._kept.inside}/data")
        await self._kept.define(
            Spec(
                name=self._spec.name,
                aliases=(*(NAMES if self._first else ()), *self._spec.hosts),
                argv=(
                    *(layout.python, "-m", "secantus", *where, "--storage-path", data),
                    *("--cache-size", CACHE, "--log-level", "WARNING", *journal),
                ),
                processes=1,
                env={**self._site.base_environment(), **layout.imports(), "PYTHONUNBUFFERED": "1"},
                env_file="",
                last={},
                cwd=layout.path(self._kept.inside),
                log=layout.path(self._kept.log),
                ready=Ready(pidfile="", host=address.host, port=address.port, path=""),
                stop=signal.SIGTERM,
                patience_s=PATIENCE_S,
                identity=self._site.users.mongo,
            )
        )

    async def start(self) -> None:
        """Start it if it is down, and return when it listens; SubstrateError with its log if it does not."""
        await self._kept.start()

    async def stop(self) -> None:
        """Have it shut down in good order."""
        await self._kept.stop()

    async def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return self._kept.log_tail(lines)
