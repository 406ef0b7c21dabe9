"""An environment's machine room: what databases, workloads and links use of it. Not the environment as others see it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import harness
from harness import execution
from harness.model.topology import Mongo, Postgres, Redis, Store, Topology
from harness.model.units import Ns
from harness.ports import Completed
from harness.substrates import labels
from harness.substrates.inside.services import Spec
from harness.substrates.inside.spawn import Identity
from harness.substrates.inside.spawn import Program as Order
from harness.substrates.local.channel import Channel, Program
from harness.substrates.local.layout import (
    HOME,
    POSTGRES_PORT,
    SOCKETS,
    SYSTEM_PATH,
    Addresses,
    Layout,
    Users,
    port,
    servers,
)

_TAIL = 256 * 1024

_USUAL: Mapping[type, tuple[str, ...]] = {
    Postgres: ("postgresql", "postgres", "postgresql-server"),
    Redis: ("redis", "redis-server", "valkey", "valkey-server"),
    Mongo: ("mongod", "mongodb", "mongo"),
}
"""What the operator's `service` and `systemctl` know the first server of its kind by."""


class Site:
    """One environment's channel, layout, users, addresses, and the pids of its servers. `pid` is its supervisor's, as the
    harness sees it, once it has booted."""

    def __init__(  # noqa: PLR0913 - each is a part of an environment
        self, name: str, topology: Topology, *, channel: Channel, layout: Layout, addresses: Addresses, users: Users
    ) -> None:
        self.name = name
        self.topology = topology
        self.layout = layout
        self.addresses = addresses
        self.users = users
        self.pid = 0
        self._channel = channel

    async def boot(self, plan: object) -> None:
        """Tell the supervisor what to become. From now on the harness sees the environment's files."""
        self.pid = (await self._channel.boot(plan)).pid
        if self.layout.private:
            self.layout = replace(self.layout, host=Path(f"/proc/{self.pid}/root"))

    @property
    def alive(self) -> bool:
        """Whether the environment still is."""
        return not self._channel.closed.is_set()

    def is_first(self, spec: Postgres | Store) -> bool:
        """Whether it is the server of its kind that is meant when no name is said."""
        kin = (one.name for one in (*self.topology.databases, *self.topology.stores) if type(one) is type(spec))
        return spec.name == next(kin)

    def known_as(self, spec: Postgres | Store) -> tuple[str, ...]:
        """What the operator's `service` and `systemctl` know a server by, beside its name."""
        return (*(_USUAL[type(spec)] if self.is_first(spec) else ()), *spec.hosts)

    def base_environment(self) -> Mapping[str, str]:
        """What every program gets, and all that a server gets besides its own."""
        return {
            "PATH": SYSTEM_PATH,
            "HOME": self.layout.path("/tmp"),  # noqa: S108 - the environment's own
            "TMPDIR": self.layout.path("/tmp"),  # noqa: S108
            "LANG": "C.UTF-8",
            labels.VARIABLE: self.name,
        }

    def python_environment(self) -> Mapping[str, str]:
        """What a Python of ours needs to import the harness, and how it reaches the first database."""
        imports = self.layout.imports(Path(harness.__file__).parents[1])
        return {**self.base_environment(), **self.client_environment(), **imports, "PYTHONUNBUFFERED": "1"}

    @property
    def under_any_name(self) -> Mapping[str, str]:
        """What leads libpq to the only server under whatever host name, where names are the machine's; else nothing."""
        every = servers(self.topology)
        if self.layout.private or len(every) != 1:
            return {}
        return {"PGHOSTADDR": self.addresses.fronts[every[0].name].host}

    def client_environment(self, *, owner: bool = False) -> Mapping[str, str]:
        """The variables of libpq for the first database; as its owner, or as superuser."""
        if not self.topology.databases:
            return {}
        first = self.topology.databases[0]
        address = self.addresses.fronts[first.name]
        by_socket = self.layout.private and not owner
        env = {
            "PGHOST": self.layout.path(SOCKETS) if by_socket else address.host,
            "PGPORT": str(address.port),
            "PGDATABASE": first.database,
            "PGUSER": first.owner.name if owner else "postgres",
            "PGPASSFILE": self.layout.path(f"{HOME}/.pgpass"),
        }
        return env | ({"PGPASSWORD": first.owner.password} if owner else {})

    def rewritten(self, value: str) -> str:
        """A workload's variable with names of databases and stores replaced by where they are, where names cannot resolve."""
        if self.layout.private:
            return value
        usual = {server.name: POSTGRES_PORT for server in servers(self.topology)}
        usual |= {store.name: port(store) for store in self.topology.stores}
        for server in (*servers(self.topology), *self.topology.stores):
            front = self.addresses.fronts[server.name]
            for name in sorted((*server.hosts, server.name), key=len, reverse=True):
                value = value.replace(f"{name}:{usual[server.name]}", f"{front.host}:{front.port}")
        return value

    def pids(self, name: str) -> tuple[int, ...]:
        """The pids of a server as the harness sees them."""
        return self._channel.pids.get(name, ())

    async def define(self, service: Spec) -> None:
        """Tell the supervisor of a server, or of another way to run it."""
        await self._channel.ask("define", service=service)

    async def control(self, name: str, verb: str, number: int = 0) -> None:
        """Start, stop or restart a server; SubstrateError if that fails."""
        await self._channel.ask("service", name=name, verb=verb, number=number)

    def own_folder(self, path: str, identity: Identity, *, mode: int = 0o755) -> None:
        """Make a folder inside that belongs to that user."""
        folder = self.layout.seen(path)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        self._give(folder, identity)

    def own_file(self, path: str, text: str, identity: Identity, *, mode: int = 0o644) -> None:
        """Write a file inside that belongs to that user."""
        file = self.layout.seen(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        self._give(file, identity)

    def _give(self, path: Path, identity: Identity) -> None:
        if not identity["nested"] and identity["uid"] >= 0:
            os.chown(path, identity["uid"], identity["gid"])

    def tail(self, path: str, lines: int) -> str:
        """The last lines of a file inside; empty where there is none."""
        try:
            with self.layout.seen(path).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
                return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    async def spawn(self, order: Order, stdio: Sequence[int], *, sweep: bool = False) -> Program:
        """Start a program on those descriptors."""
        return await self._channel.start(order, stdio, sweep=sweep)

    async def complete(  # noqa: PLR0913 - each is a part of how a program runs
        self, argv: Sequence[str], *, env: Mapping[str, str], identity: Identity, stdin: str = "", timeout: Ns,
        cwd: str = "/", sweep: bool = False,
    ) -> Completed:  # fmt: skip
        """Run a program to its end, as execution.run does on the host."""
        order = Order(argv=tuple(argv), env=env, cwd=cwd, identity=identity)

        async def launch(source: int, out: int, err: int) -> Program:
            return await self.spawn(order, (source, out, err), sweep=sweep)

        return await execution.captured(argv, launch, stdin=stdin, timeout=timeout)

    async def pipe(
        self, argv: Sequence[str], identity: Identity, *, source: int = -1, sink: int = -1, timeout: Ns
    ) -> tuple[int | None, str]:
        """Run a program between descriptors of ours (-1: nothing); its status and what it complained of."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        order = Order(argv=tuple(argv), env=self.base_environment(), cwd="/", identity=identity)

        async def launch(_in: int, _out: int, err: int) -> Program:
            return await self.spawn(order, (null if source < 0 else source, null if sink < 0 else sink, err))

        try:
            done = await execution.captured(argv, launch, stdin="", timeout=timeout)
        finally:
            os.close(null)
        return done.status, done.stderr.strip()
