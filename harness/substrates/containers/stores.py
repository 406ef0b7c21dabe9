"""Redis and MongoDB servers in containers: what they are started with, and when they answer."""

import asyncio
import signal

from harness.model import topology
from harness.model.topology import Mongo, Redis
from harness.substrates.containers.compose import Definition
from harness.substrates.containers.daemon import tar
from harness.substrates.containers.housed import Housed
from harness.substrates.containers.yard import Keeper, Yard
from harness.substrates.local import redis
from harness.substrates.local.layout import MONGO_PORT, REDIS_PORT, Address

ASKING_MS = 1000
MEMORY_GB = "0.25"
"""The least that mongod takes for its cache (mongod(1), --wiredTigerCacheSizeGB); it would take half of the machine's."""


class ContainerStore(Housed):
    """One such server. Fulfils ports.Store."""

    def __init__(self, spec: topology.Store, yard: Yard, address: Address, *, volume: str) -> None:
        super().__init__(spec.name, spec.hosts, yard)
        self._spec = spec
        self._address = address
        self._volume = volume

    @property
    def spec(self) -> topology.Store:
        """What was asked for."""
        return self._spec

    @property
    def dsn(self) -> str:
        """Where programs inside reach it."""
        return self._spec.url(self._address.host, self._address.port)

    async def prepare(self) -> None:
        """Have in its volume what it is started with. There is no container of it afterwards."""

    async def stop(self) -> None:
        """Have it shut down in good order; nothing if it is down."""
        await self.end(signal.SIGTERM)


class ContainerRedis(ContainerStore):
    """A Redis or Valkey server, with a configuration file in its volume."""

    DATA = "/data"
    _spec: Redis

    def __init__(self, spec: Redis, yard: Yard, address: Address, *, volume: str, keeper: Keeper) -> None:
        super().__init__(spec, yard, address, volume=volume)
        self._keeper = keeper

    @property
    def definition(self) -> Definition:
        """What compose is told of it."""
        return Definition(
            image=self._yard.images.redis,
            environment={},
            ports=f"127.0.0.1:{self.port}:{REDIS_PORT}",
            aliases=self.names,
            volumes=[f"{self._volume}:{self.DATA}"],
            command=("redis-server", f"{self.DATA}/redis.conf"),
        )

    async def prepare(self) -> None:
        """Write its configuration."""
        text = redis.configuration(self._spec, {"protected-mode": "no", "dir": self.DATA})
        await self._keeper.put(self.name, self._keeper.place(self.name), tar({"redis.conf": text.encode()}))

    async def answers(self) -> bool:
        """Whether it answers PING: an error such as LOADING is no answer, one that asks for a password is."""
        return await redis.answers(asyncio.open_connection("127.0.0.1", self.port))


class ContainerMongo(ContainerStore):
    """A MongoDB server; one node, and no logins."""

    _spec: Mongo

    @property
    def definition(self) -> Definition:
        """What compose is told of it. The image declares a second volume, for what this server is not: it would be nobody's."""
        journal = ("--journalCommitInterval", "1") if self._spec.journaled else ()
        return Definition(
            image=self._yard.images.mongo,
            environment={},
            ports=f"127.0.0.1:{self.port}:{MONGO_PORT}",
            aliases=self.names,
            volumes=[f"{self._volume}:/data/db"],
            tmpfs=["/data/configdb"],
            command=("mongod", "--bind_ip_all", "--wiredTigerCacheSizeGB", MEMORY_GB, *journal),
        )

    async def answers(self) -> bool:
        """Whether it answers a ping."""
        return await asyncio.to_thread(_pinged, self.port)


def _pinged(port: int) -> bool:
    import pymongo  # noqa: PLC0415 - an extra
    import pymongo.errors  # noqa: PLC0415

    where = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    waits = "&".join(f"{name}TimeoutMS={ASKING_MS}" for name in ("serverSelection", "connect", "socket"))
    client: pymongo.MongoClient[dict[str, object]]
    try:
        with pymongo.MongoClient(f"{where}&{waits}") as client:
            return bool(client.admin.command("ping")["ok"])
    except pymongo.errors.PyMongoError:
        return False
