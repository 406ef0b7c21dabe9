"""A workload in containers, one for each of its processes, from the image that its folder's Dockerfile makes."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from docker.models.containers import Container

from harness import clock
from harness.errors import SubstrateError
from harness.model.topology import Workload
from harness.model.units import SECOND, Ns, milliseconds
from harness.ports import Seen
from harness.substrates.containers import daemon, processes
from harness.substrates.containers.compose import Definition
from harness.substrates.containers.daemon import GoneError, do
from harness.substrates.containers.described import described
from harness.substrates.containers.images import built
from harness.substrates.containers.yard import Yard
from harness.substrates.inside.services import read_variables
from harness.substrates.local.layout import HOME, PORTS, POSTGRES_PORT, free_ports
from harness.substrates.local.site import Site
from harness.substrates.local.workloads import Image, load_image

PATIENCE: Ns = 30 * SECOND
LOOK: Ns = milliseconds(30)
STOPPING_S = 5
"""How long a container may take to end by itself, as `docker stop -t` has it."""

SPARE = 6
"""How many more containers than asked for an operator may scale a service to: ports are published from one block."""

Hash = Callable[[], Awaitable[str]]


class ContainerService:
    """One workload. Fulfils ports.Service. What runs of it is asked of Docker each time: its operator may have made it anew."""

    def __init__(self, spec: Workload, yard: Yard, site: Site, *, elsewhere: Mapping[str, str]) -> None:
        self._spec = spec
        self._yard = yard
        self._site = site
        self._elsewhere = elsewhere
        self._image, self._folder = load_image(spec.image)
        self._tag = ""
        self._variables: Mapping[str, str] = {}
        self.ports: Sequence[int] = ()

    @property
    def spec(self) -> Workload:
        """What was asked for."""
        return self._spec

    async def prepare(self) -> None:
        """Have its image, and its environment file written."""
        if self._spec.env_file:
            lines = "".join(f"{name}={value}\n" for name, value in self._spec.env)
            self._site.own_file(self._spec.env_file, lines, self._site.users.operator)
        self._tag = await built(self._yard.daemon, self._folder, python=self._yard.images.python)
        self.ports = _block(self._spec.processes + SPARE)

    @property
    def definition(self) -> Definition:
        """What compose is told of it. WORKER, the number of each process, is not in it: all are 0 that compose makes."""
        given = {} if self._spec.env_file else dict(self._spec.env)
        return Definition(
            image=self._tag,
            environment={**self._fixed(), **given},
            ports=f"127.0.0.1:{self._published}:{self._spec.port}",
            aliases=self._names,
            env_file=f"./{self._spec.env_file.removeprefix(HOME).lstrip('/')}"
            if self._in_home
            else self._spec.env_file,
            extra_hosts=[f"{name}:{address}" for name, address in self._elsewhere.items()],
            scale=self._spec.processes,
        )

    async def resolved(self) -> Definition:
        """The same with the environment file's variables, as they are now, among the others."""
        told = await self._told() if self._spec.env_file else {}
        definition = self.definition
        return replace(definition, env_file="", environment={**told, **definition.environment})

    @property
    def _in_home(self) -> bool:
        return self._spec.env_file.startswith(f"{HOME}/")

    @property
    def _published(self) -> str:
        return f"{self.ports[0]}-{self.ports[-1]}"

    @property
    def _names(self) -> Sequence[str]:
        return tuple(dict.fromkeys((self._spec.name, *self._spec.hosts)))

    async def start(self, hash_: str = "") -> None:
        """Start what does not run, and return when all answer; SubstrateError with the log if they do not."""
        self._variables = await self._told()
        there = {self._yard.number(one): one for one in await self._containers()}
        wanted = {*range(1, self._spec.processes + 1), *there}
        await asyncio.gather(*(self._started(number, there.get(number), hash_) for number in sorted(wanted)))
        await self._ready()

    async def restart(self, hash_: str = "") -> None:
        """Stop and start all its containers; where its environment file says something else by now, make them anew."""
        if await self._told() == self._variables:
            await self._all(lambda one: one.restart(timeout=STOPPING_S), "restarting")
        else:
            await self._all(lambda one: one.remove(force=True), "removing")
        await self.start(hash_)

    async def stop(self) -> None:
        """Stop all its containers."""
        await self._all(lambda one: one.stop(timeout=STOPPING_S), "stopping")

    async def _containers(self) -> Sequence[Container]:
        return await self._yard.containers(self._spec.name)

    async def _all(self, act: Callable[[Container], object], doing: str) -> None:
        async def one_of(container: Container) -> None:
            with suppress(GoneError):
                await do(f"{doing} {container.name}", lambda: act(container))

        await asyncio.gather(*(one_of(container) for container in await self._containers()))

    async def processes(self) -> Sequence[Seen]:
        """Its processes, what each container was started with first. Pids are those of the containers."""
        found = await asyncio.gather(*(processes.seen(container) for container in await self._containers()))
        return [*(each[0] for each in found if each), *(one for each in found for one in each[1:])]

    async def signal(self, wanted: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run."""
        await asyncio.gather(*(processes.send(one, wanted, number) for one in await self._containers()))

    async def running(self) -> Sequence[Container]:
        """Those of its containers that are up."""
        return [one for one in await self._containers() if one.attrs["State"]["Running"]]

    async def _told(self) -> Mapping[str, str]:
        """The variables of its environment file as it is now; those of the topology where it has none."""
        given = dict(self._spec.env)
        if not self._spec.env_file:
            return given
        done = await self._site.complete(
            ("cat", self._spec.env_file),
            env=self._site.base_environment(),
            identity=self._site.users.ours,
            timeout=10 * SECOND,
        )
        if not done.ok:
            raise SubstrateError(f"{self._spec.name}: expected its environment file: {done.stderr.strip()}")
        return read_variables(done.stdout.splitlines())

    def _fixed(self) -> Mapping[str, str]:
        """What it is told but for the topology's variables."""
        return {
            **self._database_variables(),
            **self._image.variables,
            "SERVICE_NAME": self._spec.name,
            "PYTHONUNBUFFERED": "1",
            "HOST": "0.0.0.0",
            "PORT": str(self._spec.port),
        }

    def _database_variables(self) -> Mapping[str, str]:
        """Those of libpq for the first database, as its owner."""
        if not self._site.topology.databases:
            return {}
        first = self._site.topology.databases[0]
        return {
            "PGHOST": first.hosts[0] if first.hosts else first.name,
            "PGPORT": str(POSTGRES_PORT),
            "PGDATABASE": first.database,
            "PGUSER": first.owner.name,
            "PGPASSWORD": first.owner.password,
        }

    async def _started(self, number: int, known: Container | None, hash_: str) -> None:
        if known is None:
            told = {**self._variables, "WORKER": str(number - 1)}
            made = await described(self._yard, self._spec.name, self.definition, number=number, hash_=hash_, more=told)
            await do(f"the container {number} of {self._spec.name}", made.start)
        elif not known.attrs["State"]["Running"]:
            await do(f"starting {known.name}", known.start)

    async def _ready(self) -> None:
        async def answers() -> bool | None:
            containers = await self._containers()
            if down := [one for one in containers if not one.attrs["State"]["Running"]]:
                log = await asyncio.to_thread(daemon.tail, down[0])
                raise SubstrateError(f"{down[0].name} ended while it started\n{log}")
            ports = [_published(one, self._spec.port) for one in containers]
            return True if all(await asyncio.gather(*(_asked(port, self._image) for port in ports))) else None

        if await clock.until(answers, deadline=clock.now() + PATIENCE, every=LOOK) is None:
            raise SubstrateError(
                f"{self._spec.name} does not answer after {PATIENCE // SECOND} s\n{await self.log_tail()}"
            )

    async def log_tail(self, lines: int = 20) -> str:
        """The last lines of its first container's log."""
        containers = await self._containers()
        return await asyncio.to_thread(daemon.tail, containers[0], lines) if containers else ""


def _published(container: Container, port: int) -> int:
    """The port of this machine that leads to that one of a running container; 0 if none does."""
    bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{port}/tcp") or [{"HostPort": "0"}]
    return int(bindings[0]["HostPort"])


def _block(count: int) -> Sequence[int]:
    """So many free ports, one after the other. SubstrateError if there is no such block."""
    for first in free_ports(50):
        block = range(first, first + count)
        with ExitStack() as stack, suppress(OSError):
            for port in block:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return block
    raise SubstrateError(f"expected {count} free ports in a row, of {PORTS.start} to {PORTS.stop}; found none")


async def _asked(port: int, image: Image) -> bool:
    """Whether any answer to GET the image's `ready` path comes within a second."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {image.ready} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                return (await reader.read(12)).startswith(b"HTTP/1.")
            finally:
                writer.close()
    return False
