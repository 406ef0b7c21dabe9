"""MongoDB of a local environment: the MongoDB protocol over WiredTiger, of a wheel that is a beta. One node: there are no
elections and no rollbacks to drill in it."""

import signal
from importlib.util import find_spec

from harness.model.topology import Mongo
from harness.substrates.inside.services import Ready, Spec
from harness.substrates.local.site import Site
from harness.substrates.local.stores import PATIENCE_S, Kept

HOME = "/var/lib/mongodb"
CACHE = "64M"


def lacking() -> str:
    """What is missing on this machine for a server to run and be written to; "" if nothing is."""
    wanted = {"secantus": "the wheel `secantusdb`", "pymongo": "the package `pymongo`"}
    return " and ".join(what for name, what in wanted.items() if not find_spec(name))


class LocalMongo(Kept):
    """One server. Fulfils ports.Store."""

    def __init__(self, spec: Mongo, site: Site) -> None:
        self._spec = spec
        super().__init__(spec.name, site, home=HOME, identity=site.users.mongo)

    @property
    def spec(self) -> Mongo:
        """What was asked for."""
        return self._spec

    @property
    def dsn(self) -> str:
        """Where it is itself, past any faulty link, as programs inside reach it."""
        return self._spec.url(self.address.host, self.address.port)

    async def prepare(self) -> None:
        """Make its folder and tell the supervisor of it."""
        layout, address = self.site.layout, self.address
        journal = ("--sync-on-commit",) if self._spec.journaled else ()
        where = ("--host", address.host, "--port", str(address.port))
        data = layout.path(f"{self.inside}/data")
        await self.define(
            Spec(
                name=self._spec.name,
                aliases=self.site.known_as(self._spec),
                argv=(
                    *(layout.python, "-m", "secantus", *where, "--storage-path", data),
                    *("--cache-size", CACHE, "--log-level", "WARNING", *journal),
                ),
                processes=1,
                env={**self.site.base_environment(), **layout.imports(), "PYTHONUNBUFFERED": "1"},
                env_file="",
                last={},
                cwd=layout.path(self.inside),
                log=layout.path(self.log),
                ready=Ready(pidfile="", host=address.host, port=address.port, path=""),
                stop=signal.SIGTERM,
                patience_s=PATIENCE_S,
                identity=self.site.users.mongo,
            )
        )
