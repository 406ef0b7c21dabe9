"""A workload in containers, one for each of its processes, from the image that its folder's Dockerfile makes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from docker.models.containers import Container
from testcontainers.core.container import DockerContainer

from harness import clock
from harness.errors import SubstrateError
from harness.model.topology import Workload
from harness.model.units import SECOND, Ns, milliseconds
from harness.ports import Seen
from harness.substrates.containers import daemon, processes
from harness.substrates.containers.daemon import GoneError, PortTakenError, do
from harness.substrates.containers.database import ATTEMPTS, forget, network
from harness.substrates.containers.images import built
from harness.substrates.containers.yard import SHARES, Yard
from harness.substrates.inside.services import read_variables
from harness.substrates.local.layout import POSTGRES_PORT, free_ports
from harness.substrates.local.site import Site
from harness.substrates.local.workloads import Image, load_image

PATIENCE: Ns = 30 * SECOND
LOOK: Ns = milliseconds(30)
STOPPING_S = 5
"""How long a container may take to end by itself, as `docker stop -t` has it."""


class ContainerService:
    """One workload. Fulfils ports.Service."""

    def __init__(self, spec: Workload, yard: Yard, site: Site, *, elsewhere: Mapping[str, str]) -> None:
        self._spec = spec
        self._yard = yard
        self._site = site
        self._elsewhere = elsewhere
        self._image, self._folder = load_image(spec.image)
        self._tag = ""
        self._variables: Mapping[str, str] = {}
        self._made: dict[int, Container] = {}
        self.ports: list[int] = []

    @property
    def spec(self) -> Workload:
        """What was asked for."""
        return self._spec

    @property
    def containers(self) -> Sequence[Container]:
        """Its containers, by their numbers."""
        return [self._made[number] for number in sorted(self._made)]

    async def prepare(self) -> None:
        """Have its image, and its environment file written."""
        if self._spec.env_file:
            lines = "".join(f"{name}={value}\n" for name, value in self._spec.env)
            self._site.own_file(self._spec.env_file, lines, self._site.users.operator)
        self._tag = await built(self._yard.daemon, self._folder, python=self._yard.images.python)
        self.ports = free_ports(self._spec.processes)

    async def start(self) -> None:
        """Start what does not run, and return when all answer; SubstrateError with the log if they do not."""
        self._variables = await self._told()
        await asyncio.gather(*(self._started(number) for number in range(1, self._spec.processes + 1)))
        await self._ready()

    async def restart(self) -> None:
        """Stop and start all its containers; where its environment file says something else by now, make them anew."""
        told = await self._told()
        if told != self._variables:
            await self._all(lambda one: one.remove(force=True), "removing")
            self._made.clear()
            await self.start()
            return
        await self._all(lambda one: one.restart(timeout=STOPPING_S), "restarting")
        await self._ready()

    async def stop(self) -> None:
        """Stop all its containers."""
        await self._all(lambda one: one.stop(timeout=STOPPING_S), "stopping")

    async def _all(self, act: Callable[[Container], object], doing: str) -> None:
        async def one_of(container: Container) -> None:
            with suppress(GoneError):
                await do(f"{doing} {container.name}", lambda: act(container))

        await asyncio.gather(*(one_of(container) for container in self.containers))

    async def processes(self) -> Sequence[Seen]:
        """Its processes, what each container was started with first. Pids are those of the containers."""
        found = await asyncio.gather(*(processes.seen(container) for container in self.containers))
        return [*(each[0] for each in found if each), *(one for each in found for one in each[1:])]

    async def signal(self, wanted: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run."""
        await asyncio.gather(*(processes.send(container, wanted, number) for container in self.containers))

    async def running(self) -> Sequence[Container]:
        """Those of its containers that are up."""
        up = await asyncio.gather(*(processes.running(container) for container in self.containers))
        return [container for container, is_up in zip(self.containers, up, strict=True) if is_up]

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
        return {**given, **read_variables(done.stdout.splitlines())}

    def _environment(self, number: int) -> Mapping[str, str]:
        return {
            **self._database_variables(),
            **self._image.variables,
            "SERVICE_NAME": self._spec.name,
            **self._variables,
            "PYTHONUNBUFFERED": "1",
            "WORKER": str(number - 1),
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

    async def _started(self, number: int) -> None:
        known = self._made.get(number)
        if known is not None:
            try:
                await do(f"starting {known.name}", known.start)
            except GoneError:
                del self._made[number]
            else:
                return
        for attempt in range(ATTEMPTS):
            described = self._described(number)
            try:
                await do(f"the container {number} of {self._spec.name}", described.start)
            except PortTakenError:
                await forget(described)
                if attempt == ATTEMPTS - 1:
                    raise
                (self.ports[number - 1],) = free_ports(1)
            else:
                self._made[number] = described.get_wrapped_container()
                return

    def _described(self, number: int) -> DockerContainer:
        spec, yard = self._spec, self._yard
        described = DockerContainer(self._tag)
        described.with_name(yard.container_name(spec.name, number))
        described.with_envs(**self._environment(number))
        described.with_network(network(yard))
        described.with_network_aliases(*dict.fromkeys((spec.name, *spec.hosts)))
        described.with_kwargs(
            labels=yard.labelled(spec.name, number),
            detach=True,
            cpu_shares=SHARES,
            hostname=spec.name,
            extra_hosts=dict(self._elsewhere),
        )
        described.ports = {str(spec.port): ("127.0.0.1", self.ports[number - 1])}  # type: ignore[dict-item]
        return described

    async def _ready(self) -> None:
        async def answers() -> bool | None:
            answered = await asyncio.gather(*(_asked(port, self._image) for port in self.ports))
            if all(answered):
                return True
            if len(up := await self.running()) < self._spec.processes:
                down = next(one for one in self.containers if one not in up)
                raise SubstrateError(
                    f"{down.name} ended while it started\n{await asyncio.to_thread(daemon.tail, down)}"
                )
            return None

        if await clock.until(answers, deadline=clock.now() + PATIENCE, every=LOOK) is None:
            raise SubstrateError(
                f"{self._spec.name} does not answer after {PATIENCE // SECOND} s\n{await self.log_tail()}"
            )

    async def log_tail(self, lines: int = 20) -> str:
        """The last lines of its first container's log."""
        return await asyncio.to_thread(daemon.tail, self.containers[0], lines) if self._made else ""


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
