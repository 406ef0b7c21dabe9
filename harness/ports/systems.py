"""A replica that is up, and the ways to bring one up; what can be asked of it, by name."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from harness.errors import Problem
from harness.model.history import Reading, Sample, Write
from harness.model.topology import Topology
from harness.model.units import Ns
from harness.ports.parts import Cluster, Container, Database, Link, Peer, Service, Store
from harness.ports.programs import Completed, Process


class Capability(StrEnum):
    """Something an environment can be asked to do."""

    PROCESSES = "real processes"
    POSTGRES = "PostgreSQL"
    STANDBY = "streaming replicas"
    REDIS = "Redis or Valkey"
    MONGO = "the MongoDB protocol"
    SHELL = "a contained shell"
    NAMES = "private host names"
    VOLUMES = "size-limited volumes"
    LINKS = "faulty network links"
    CLOCK = "a server clock that can be moved"
    LOAD = "background load"
    KUBERNETES = "a Kubernetes cluster"
    DOCKER = "Docker"


class Environment(Protocol):
    """One replica that is up. Everything in it is gone when its scope is left, however the harness ends."""

    @property
    def id(self) -> str:
        """A name that no other environment has."""
        ...

    @property
    def isolation(self) -> str:
        """`namespaces`, `processes` or `simulated`: the first line of every report says it."""
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the report must know about it (a clock that runs ahead, a weaker isolation)."""
        ...

    @property
    def entrance(self) -> str:
        """The command by which a person enters it from the host while it is up; empty where there is no way."""
        ...

    def database(self, name: str) -> Database:
        """The database of that name; KeyError if the topology has none."""
        ...

    def store(self, name: str) -> Store:
        """The Redis or MongoDB server of that name; KeyError if the topology has none."""
        ...

    def service(self, name: str) -> Service:
        """The workload of that name; KeyError if the topology has none."""
        ...

    def link(self, name: str) -> Link:
        """The network path to the database of that name; KeyError if it was not asked for."""
        ...

    async def containers(self, name: str) -> Sequence[Container]:
        """The containers of the workload, database or store of that name, as they are now; KeyError if it is not in any."""
        ...

    @property
    def cluster(self) -> Cluster:
        """Its Kubernetes cluster; KeyError if the topology has none."""
        ...

    def peer(self, name: str) -> Peer:
        """Where the workload, database, store or exposed Service of that name is reached, from inside."""
        ...

    async def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """Run a program of ours inside it, to its end; its process group is killed at `timeout` ns."""
        ...

    async def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdout: Path, stderr: Path
    ) -> Process:
        """Start a program of ours inside it (a prober, load, a leaking client), appending its output to host files."""
        ...

    async def operate(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """Run the *runbook's* program as its operator: contained; only the drill's environment, tools, HOME, cwd and /tmp.

        State on the operator's disk lasts from one call to the next; nothing else does.
        """
        ...

    @property
    def python(self) -> str:
        """The path, inside it, of a Python that can import `harness` and what it depends on."""
        ...

    def instrument(self) -> "Instrument | None":
        """Its own instrument, where programs cannot be run in it (simulated); else None."""
        ...


class Instrument(Protocol):
    """Samples and ledger without processes of ours: for substrates that have no processes."""

    def samples(self, since: int) -> Sequence[Sample]:
        """The samples from number `since` on."""
        ...

    def writes(self) -> Sequence[Write]:
        """Every write of its ledger so far."""
        ...

    def reading(self) -> Reading:
        """A strong read of its ledger, now."""
        ...


class Substrate(Protocol):
    """A way to bring systems up."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    @property
    def provides(self) -> frozenset[Capability]:
        """What its environments can be asked to do, on this machine."""
        ...

    @property
    def isolation(self) -> str:
        """How its environments are kept apart here: `namespaces`, `processes` or `simulated`."""
        ...

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:
        """One problem, with its remedy, for each thing needed that it cannot do here."""
        ...

    def tool(self, program: str) -> bool:
        """Whether the operator's shell in its environments has that program."""
        ...

    def environment(
        self, topology: Topology, *, run: str, folder: Path, links: frozenset[str] = frozenset()
    ) -> AbstractAsyncContextManager[Environment]:
        """Bring one up. `run` labels everything; `folder` (existing, host) takes logs and evidence; `links` names the
        databases that are to be reached through a faulty link. SubstrateError if it does not come up."""
        ...
