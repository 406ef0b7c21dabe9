"""One environment whose databases and services are containers: the operator, the prober and the load are in a local one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.model.units import Ns
from harness.ports import Cluster, Completed, Container, Instrument, Peer, Process
from harness.substrates.containers.contained import Contained
from harness.substrates.containers.database import ContainerDatabase
from harness.substrates.containers.doors import DoorLink
from harness.substrates.containers.service import ContainerService
from harness.substrates.containers.stores import ContainerStore
from harness.substrates.containers.yard import Yard
from harness.substrates.local.environment import LocalEnvironment
from harness.substrates.local.site import Site


class ContainerEnvironment:
    """Fulfils ports.Environment. `room` is where programs run."""

    def __init__(  # noqa: PLR0913 - each is a part of an environment
        self,
        yard: Yard,
        site: Site,
        room: LocalEnvironment,
        *,
        databases: Mapping[str, ContainerDatabase],
        stores: Mapping[str, ContainerStore],
        services: Mapping[str, ContainerService],
        links: Mapping[str, DoorLink],
        remarks: tuple[str, ...],
        variables: Mapping[str, str],
    ) -> None:
        self._yard = yard
        self._site = site
        self._room = room
        self._databases = databases
        self._stores = stores
        self._services = services
        self._links = links
        self._remarks = remarks
        self._variables = variables

    @property
    def site(self) -> Site:
        """Its machine room, for those that add to it."""
        return self._site

    @property
    def id(self) -> str:
        """A name that no other environment has."""
        return self._room.id

    @property
    def isolation(self) -> str:
        """`namespaces`."""
        return self._room.isolation

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the report must know about it."""
        return (*self._remarks, *self._room.remarks)

    @property
    def entrance(self) -> str:
        """The command by which a person enters it, to find what its operator would."""
        return self._room.entrance

    def database(self, name: str) -> ContainerDatabase:
        """The database of that name; KeyError if the topology has none."""
        return self._databases[name]

    def store(self, name: str) -> ContainerStore:
        """The Redis or MongoDB server of that name; KeyError if the topology has none."""
        return self._stores[name]

    def server(self, name: str) -> ContainerDatabase | ContainerStore:
        """The database or store of that name; KeyError if the topology has neither."""
        return self._databases.get(name) or self._stores[name]

    def service(self, name: str) -> ContainerService:
        """The workload of that name; KeyError if the topology has none."""
        return self._services[name]

    def link(self, name: str) -> DoorLink:
        """The network path to the database of that name; KeyError if it was not asked for."""
        return self._links[name]

    async def containers(self, name: str) -> Sequence[Container]:
        """The containers of the workload, database or store of that name, as they are now; KeyError if there is none."""
        if name not in self._services:
            self.server(name)
        return [Contained(one) for one in await self._yard.containers(name)]

    @property
    def cluster(self) -> Cluster:
        """KeyError: there is none."""
        raise KeyError("cluster")

    def peer(self, name: str) -> Peer:
        """Where the workload, database or store of that name is reached, from inside."""
        addresses = self._site.addresses
        address = addresses.workloads.get(name) or addresses.fronts[name]
        spec = (self._services.get(name) or self.server(name)).spec
        return Peer(spec.hosts[0] if spec.hosts else name, address.port)

    @property
    def python(self) -> str:
        """The path, inside it, of a Python that can import `harness` and what it depends on."""
        return self._room.python

    def instrument(self) -> Instrument | None:
        """None: its programs are probed by programs."""
        return None

    async def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """Run a program of ours inside it, to its end; its process group is killed at `timeout` ns."""
        return await self._room.run(argv, env={**self._by_network, **(env or {})}, stdin=stdin, timeout=timeout)

    async def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdout: Path, stderr: Path
    ) -> Process:
        """Start a program of ours inside it, appending its output to host files."""
        return await self._room.start(argv, env={**self._by_network, **(env or {})}, stdout=stdout, stderr=stderr)

    async def operate(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """Run the *runbook's* program as its operator: contained; only the drill's environment, tools, HOME, cwd and /tmp."""
        given = {**self._by_network, **self._variables, **(env or {})}
        return await self._room.operate(argv, env=given, stdin=stdin, timeout=timeout)

    @property
    def _by_network(self) -> Mapping[str, str]:
        """There is no socket of a server's inside: what is meant when nothing is said is the first database's address."""
        if not self._site.topology.databases:
            return {}
        return {"PGHOST": self.peer(self._site.topology.databases[0].name).host}
