"""One environment with a cluster of kind's: an environment of containers, and what it has of the cluster."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.model.units import Ns
from harness.ports import Completed, Container, Instrument, Peer, Process
from harness.substrates.containers.database import ContainerDatabase
from harness.substrates.containers.doors import DoorLink
from harness.substrates.containers.environment import ContainerEnvironment
from harness.substrates.containers.service import ContainerService
from harness.substrates.containers.stores import ContainerStore
from harness.substrates.kind.nodes import KindCluster


class KindEnvironment:
    """Fulfils ports.Environment. `exposed` is where Services are reached, from inside, by the names that they are exposed by."""

    def __init__(
        self, rest: ContainerEnvironment, cluster: KindCluster, exposed: Mapping[str, Peer], *, remarks: tuple[str, ...]
    ) -> None:
        self._rest = rest
        self._cluster = cluster
        self._exposed = exposed
        self._remarks = remarks

    @property
    def id(self) -> str:
        """A name that no other environment has."""
        return self._rest.id

    @property
    def isolation(self) -> str:
        """`namespaces`."""
        return self._rest.isolation

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the report must know about it."""
        return (*self._remarks, *self._rest.remarks)

    @property
    def entrance(self) -> str:
        """The command by which a person enters it, to find what its operator would."""
        return self._rest.entrance

    def database(self, name: str) -> ContainerDatabase:
        """The database of that name; KeyError if the topology has none."""
        return self._rest.database(name)

    def store(self, name: str) -> ContainerStore:
        """The Redis or MongoDB server of that name; KeyError if the topology has none."""
        return self._rest.store(name)

    def service(self, name: str) -> ContainerService:
        """The workload of that name; KeyError if the topology has none."""
        return self._rest.service(name)

    def link(self, name: str) -> DoorLink:
        """The network path to the database of that name, from pods as well; KeyError if it was not asked for."""
        return self._rest.link(name)

    async def containers(self, name: str) -> Sequence[Container]:
        """The containers of the workload or database of that name, as they are now; KeyError if the topology has none."""
        return await self._rest.containers(name)

    @property
    def cluster(self) -> KindCluster:
        """Its Kubernetes cluster."""
        return self._cluster

    def peer(self, name: str) -> Peer:
        """Where the workload, database or exposed Service of that name is reached, from inside."""
        return self._exposed.get(name) or self._rest.peer(name)

    @property
    def python(self) -> str:
        """The path, inside it, of a Python that can import `harness` and what it depends on."""
        return self._rest.python

    def instrument(self) -> Instrument | None:
        """None: its programs are probed by programs."""
        return None

    async def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """Run a program of ours inside it, to its end; its process group is killed at `timeout` ns."""
        return await self._rest.run(argv, env=env, stdin=stdin, timeout=timeout)

    async def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdout: Path, stderr: Path
    ) -> Process:
        """Start a program of ours inside it, appending its output to host files."""
        return await self._rest.start(argv, env=env, stdout=stdout, stderr=stderr)

    async def operate(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """Run the *runbook's* program as its operator: contained; only the drill's environment, tools, HOME, cwd and /tmp.

        `kubectl` is there, with a kubeconfig of this cluster and no other.
        """
        return await self._rest.operate(argv, env=env, stdin=stdin, timeout=timeout)
