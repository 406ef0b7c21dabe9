"""The seams to the outside, as Protocols, and the capabilities that are asked for by name. No behaviour."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from harness.errors import Problem
from harness.model import topology
from harness.model.history import Event, Reading, Sample, Scalar, Write
from harness.model.topology import Postgres, Topology, Workload
from harness.model.units import Ns
from harness.model.verdict import Assessment, Verdict


class Capability(StrEnum):
    """Something an environment can be asked to do."""

    PROCESSES = "real processes"
    POSTGRES = "PostgreSQL"
    STANDBY = "streaming replicas"
    SHELL = "a contained shell"
    NAMES = "private host names"
    VOLUMES = "size-limited volumes"
    LINKS = "faulty network links"
    CLOCK = "a server clock that can be moved"
    LOAD = "background load"
    KUBERNETES = "a Kubernetes cluster"
    DOCKER = "Docker"


@dataclass(frozen=True, slots=True)
class Completed:
    """The one result of running anything. `status` is the exit status, -n for signal n, None where it was killed at its
    time limit. `took` in ns. Output is text with undecodable bytes replaced."""

    argv: tuple[str, ...]
    status: int | None
    stdout: str
    stderr: str
    took: Ns

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return self.status == 0


class Process(Protocol):
    """A long-lived program that was started. Leaving its scope ends its whole process group."""

    @property
    def pid(self) -> int:
        """Its pid as the harness sees it."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit status, None while it runs."""
        ...

    async def send(self, line: str) -> None:
        """Write one line to its standard input."""
        ...

    async def wait(self, timeout: Ns) -> int | None:
        """Its exit status, or None if it still runs after `timeout` ns."""
        ...

    async def stop(self, grace: Ns = 2_000_000_000) -> int | None:
        """Interrupt, terminate and at last kill its process group, `grace` ns apart; its exit status."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A process of the system as it was seen: `started` in clock ticks since boot, `state` the letter of proc_pid_stat(5).

    A pid alone is no identity: its start time is, and the pid namespace it counts in: `space`, "" for the harness's own.
    """

    pid: int
    started: int
    state: str
    parent: int
    space: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """How much fits on a volume, and how much of it is free, in bytes."""

    size: int
    free: int


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
    """The network path to one database, through a proxy whose behaviour can be set (needs LINKS)."""

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

    def service(self, name: str) -> Service:
        """The workload of that name; KeyError if the topology has none."""
        ...

    def link(self, name: str) -> Link:
        """The network path to the database of that name; KeyError if it was not asked for."""
        ...

    @property
    def cluster(self) -> Cluster:
        """Its Kubernetes cluster; KeyError if the topology has none."""
        ...

    def peer(self, name: str) -> Peer:
        """Where the workload, database or exposed Service of that name is reached, from inside."""
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


class Load(Protocol):
    """The background load while it runs."""

    @property
    def users(self) -> int:
        """How many concurrent users there are meant to be."""
        ...

    async def set_users(self, users: int) -> None:
        """Go to that many concurrent users, now."""
        ...

    async def requests(self) -> tuple[int, int]:
        """Requests finished so far, and how many of them failed."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What a fault may touch: the environment, and the load on it."""

    environment: Environment
    load: Load | None = None
    folder: Path = Path()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault in force: whether the target felt it, when that was seen (monotonic ns), and the evidence."""

    felt: bool
    at: Ns
    evidence: dict[str, Scalar] = field(default_factory=dict)
    why: str = ""


class Fault(Protocol):
    """What is done to the system: a frozen dataclass. `str(fault)` is what reports print."""

    @property
    def needs(self) -> frozenset[Capability]:
        """What the environment must be able to do."""
        ...

    @property
    def links(self) -> frozenset[str]:
        """The databases that must be reached through a faulty link."""
        ...

    def applied_to(self, stage: Stage) -> AbstractAsyncContextManager[Injection]:
        """Inject it; leave: undo it, also on error and cancellation. FaultError where it has no target."""
        ...


class Reporter(Protocol):
    """Somebody who watches. One that raises stops the run: a report that is not made is not a report."""

    def event(self, trial: str, event: Event) -> None:
        """Something happened in a trial."""
        ...

    def samples(self, trial: str, samples: Sequence[Sample]) -> None:
        """New samples of a trial."""
        ...

    def verdict(self, trial: str, verdict: Verdict) -> None:
        """A trial was judged."""
        ...

    def assessment(self, assessment: Assessment) -> None:
        """An experiment was judged."""
        ...
