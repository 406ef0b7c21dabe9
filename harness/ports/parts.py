"""The parts of a system that is up: databases, services, the links to them, a cluster. What faults and the harness touch."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from harness.model import topology
from harness.model.topology import Postgres, Workload
from harness.model.units import Ns
from harness.ports.programs import Room, Seen


class Database(Protocol):
    """One PostgreSQL server that is up."""

    @property
    def spec(self) -> Postgres:
        """What was asked for."""
        ...

    async def up(self) -> bool:
        """Whether its postmaster runs."""
        ...

    async def processes(self) -> Sequence[Seen]:
        """The postmaster, then all below it, parents first; none if it is down."""
        ...

    async def signal(self, processes: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run, in that order."""
        ...

    async def room(self) -> Room:
        """How much fits on its own volume, where its data directory lies; SubstrateError if it has none of its own."""
        ...

    async def fill(self, file: str, *, leave: int) -> None:
        """Let a new `file` beside the data directory take all room but `leave` bytes; SubstrateError if it is there already,
        or cannot be made."""
        ...

    async def empty(self, file: str) -> None:
        """Have back what `fill` took, whatever became of the file's name; nothing if it took nothing."""
        ...

    def conninfo(self, *, dbname: str = "", application_name: str = "rundrill") -> str:
        """How the harness process itself connects, as superuser `postgres` (libpq connection string)."""
        ...

    async def start(self) -> None:
        """Start it if it is down, and return when it accepts connections; SubstrateError with its log if it does not."""
        ...

    async def stop(self, *, mode: str = "fast") -> None:
        """Stop it (`smart`, `fast` or `immediate`, as pg_ctl has them)."""
        ...

    async def move_clock(self, ahead: Ns) -> None:
        """Let the server's clock, and only its, run `ahead` ns before the host's from now on (needs CLOCK)."""
        ...

    async def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        ...


class Store(Protocol):
    """One Redis or MongoDB server that is up."""

    @property
    def spec(self) -> topology.Store:
        """What was asked for."""
        ...

    async def up(self) -> bool:
        """Whether its process runs."""
        ...

    async def processes(self) -> Sequence[Seen]:
        """The server, then all below it, parents first; none if it is down."""
        ...

    async def signal(self, processes: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run, in that order."""
        ...

    @property
    def dsn(self) -> str:
        """Where it is itself, past any faulty link, as programs inside reach it (`redis://…`, `mongodb://…/database`)."""
        ...

    async def start(self) -> None:
        """Start it if it is down, and return when it answers; SubstrateError with its log if it does not."""
        ...

    async def stop(self) -> None:
        """Have it shut down in good order."""
        ...

    async def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        ...


class Service(Protocol):
    """One workload that is up: several processes behind one address."""

    @property
    def spec(self) -> Workload:
        """What was asked for."""
        ...

    async def processes(self) -> Sequence[Seen]:
        """The processes that it consists of (`spec.processes`, less those that ended), then all below them."""
        ...

    async def signal(self, processes: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run, in that order."""
        ...

    async def restart(self) -> None:
        """Stop and start all its processes, reading its environment file anew; return when they listen."""
        ...


class Link(Protocol):
    """The network path to one database or store, through a proxy whose behaviour can be set (needs LINKS)."""

    async def set(
        self,
        *,
        latency: Ns = 0,
        jitter: Ns = 0,
        refuse: bool = False,
        drop: bool = False,
        reset: bool = False,
    ) -> None:
        """Delay every chunk; refuse new connections; swallow all bytes (a partition); reset what is open, once."""
        ...


class ContainerState(StrEnum):
    """What can be made of a container."""

    RUNNING = "running"
    PAUSED = "paused"
    DOWN = "down"


class Container(Protocol):
    """One container of a workload or database (needs DOCKER)."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    async def state(self) -> ContainerState:
        """How it is now; DOWN also if it is gone."""
        ...

    async def set(self, state: ContainerState) -> None:
        """Kill it, let it stand still, or have it run (again); done on return. Nothing where it is gone."""
        ...


class NodeState(StrEnum):
    """What can be made of a node of a cluster."""

    UP = "up"
    PAUSED = "paused"
    DOWN = "down"


class Cluster(Protocol):
    """The Kubernetes cluster of an environment."""

    @property
    def spec(self) -> topology.Cluster:
        """What was asked for."""
        ...

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig as the harness itself uses it (its context's namespace is the spec's)."""
        ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, the control plane's first."""
        ...

    async def set_node(self, name: str, state: NodeState) -> None:
        """Bring a node down as if its power were cut, let it stand still, or have it up again; KeyError if there is none.
        The control plane itself stays up. Returns when it is done; that the cluster has noticed is another matter."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """Where something listens, as seen from inside the environment."""

    host: str
    port: int
