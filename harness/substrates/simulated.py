"""The `simulated` substrate: systems that are nothing but a Model, on whatever clock the loop has. For tests of the harness
itself, where a whole trial takes milliseconds under virtual time. Nothing real is started, and nothing is judged here."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.clock import now
from harness.errors import FaultError, Problem, SubstrateError
from harness.model.topology import Postgres, Topology, Workload
from harness.model.units import SECOND, Ns
from harness.ports import (
    Capability,
    Cluster,
    Completed,
    Container,
    Database,
    Injection,
    Link,
    Peer,
    Process,
    Room,
    Seen,
    Service,
    Store,
)
from harness.substrates import labels
from harness.substrates.modelled import Model, Reaction, System

__all__ = ["Model", "Operated", "Reaction", "Simulated", "SimulatedEnvironment"]


@dataclass(frozen=True, slots=True)
class Operated:
    """One command of the operator, and what came of it."""

    at: Ns
    text: str
    completed: Completed


class SimulatedDatabase:
    """A database that is only its specification: everything else raises SubstrateError."""

    def __init__(self, spec: Postgres) -> None:
        self.spec = spec

    async def up(self) -> bool:
        """There is no server."""
        raise _unreal(self.spec.name, "a server")

    async def processes(self) -> Sequence[Seen]:
        """There are none."""
        raise _unreal(self.spec.name, "processes")

    async def signal(self, processes: Sequence[Seen], number: int) -> None:  # noqa: ARG002 - ports.Database
        """There are none."""
        raise _unreal(self.spec.name, "processes")

    async def room(self) -> Room:
        """There is no volume."""
        raise _unreal(self.spec.name, "a volume")

    async def fill(self, file: str, *, leave: int) -> None:  # noqa: ARG002 - ports.Database
        """There is no volume."""
        raise _unreal(self.spec.name, "a volume")

    async def empty(self, file: str) -> None:  # noqa: ARG002 - ports.Database
        """There is no volume."""
        raise _unreal(self.spec.name, "a volume")

    def conninfo(self, *, dbname: str = "", application_name: str = "") -> str:  # noqa: ARG002 - ports.Database
        """There is nothing to connect to."""
        raise _unreal(self.spec.name, "a server")

    async def start(self) -> None:
        """There is nothing to start."""
        raise _unreal(self.spec.name, "a server")

    async def stop(self, *, mode: str = "fast") -> None:  # noqa: ARG002 - ports.Database
        """There is nothing to stop."""
        raise _unreal(self.spec.name, "a server")

    async def move_clock(self, ahead: Ns) -> None:  # noqa: ARG002 - ports.Database
        """There is no clock."""
        raise _unreal(self.spec.name, "a clock")

    async def log_tail(self, lines: int = 20) -> str:  # noqa: ARG002 - ports.Database
        """There is no log."""
        return ""


class SimulatedService:
    """A workload that is only its specification: everything else raises SubstrateError."""

    def __init__(self, spec: Workload) -> None:
        self.spec = spec

    async def processes(self) -> Sequence[Seen]:
        """There are none."""
        raise _unreal(self.spec.name, "processes")

    async def signal(self, processes: Sequence[Seen], number: int) -> None:  # noqa: ARG002 - ports.Service
        """There are none."""
        raise _unreal(self.spec.name, "processes")

    async def restart(self) -> None:
        """There is nothing to restart."""
        raise _unreal(self.spec.name, "processes")


class SimulatedEnvironment:
    """One simulated system. Fulfils ports.Environment.

    For tests: `in_force`, the faults that are in force now; `left`, whether its scope was left, and `left_behind`, the
    faults that were in force then; `operated`, what its operator did; `system`, what the model is up to.
    """

    isolation = "simulated"
    entrance = ""

    def __init__(self, name: str, topology: Topology, model: Model) -> None:
        self.id = name
        self.topology = topology
        self.system = System(model)
        self.in_force: list[str] = []
        self.left = False
        self.left_behind: tuple[str, ...] = ()
        self.operated: list[Operated] = []
        self._databases = {spec.name: SimulatedDatabase(spec) for spec in topology.databases}
        self._services = {spec.name: SimulatedService(spec) for spec in topology.workloads}

    @property
    def remarks(self) -> tuple[str, ...]:
        """The model's."""
        return self.system.model.remarks

    def end(self) -> None:
        """Its scope is left."""
        self.left = True
        self.left_behind = tuple(self.in_force)
        self.system.end()

    async def inject(self, fault: str) -> Injection:
        """Break it, as the model says. It counts as in force from the beginning of the call."""
        model = self.system.model
        self.in_force.append(fault)
        await asyncio.sleep(model.injecting / SECOND)
        bites = self.system.break_()
        why = "" if model.felt else "the model does not feel it"
        return Injection(felt=model.felt, at=now(), evidence={"bites_at": bites}, why=why)

    async def heal(self, fault: str) -> None:
        """Undo it; nothing if it is not in force. FaultError if the model is stuck."""
        if fault not in self.in_force:
            return
        model = self.system.model
        await asyncio.sleep(model.healing / SECOND)
        if model.stuck:
            raise FaultError(f"{fault}: {model.stuck}")
        self.system.mend()
        self.in_force.remove(fault)

    async def operate(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """What the model says of a command of that text."""
        del env
        text = " ".join((*argv, stdin)).strip()
        reaction, begun = self.system.model.reaction(text), now()
        await asyncio.sleep(min(reaction.took, timeout) / SECOND)
        if reaction.took > timeout:
            completed = Completed(tuple(argv), None, "", "", timeout)
        else:
            completed = Completed(tuple(argv), reaction.status, reaction.stdout, reaction.stderr, now() - begun)
            self.system.react(reaction)
        self.operated.append(Operated(begun, text, completed))
        return completed

    def database(self, name: str) -> Database:
        """A specification; KeyError if the topology has none of that name."""
        return self._databases[name]

    def store(self, name: str) -> Store:
        """KeyError: nothing but PostgreSQL is modelled."""
        raise KeyError(name)

    def service(self, name: str) -> Service:
        """A specification; KeyError if the topology has none of that name."""
        return self._services[name]

    def link(self, name: str) -> Link:
        """KeyError: there are no links."""
        raise KeyError(name)

    async def containers(self, name: str) -> Sequence[Container]:
        """KeyError: there are none."""
        raise KeyError(name)

    @property
    def cluster(self) -> Cluster:
        """KeyError: there is no cluster."""
        raise KeyError("cluster")

    def peer(self, name: str) -> Peer:
        """Where it would be; KeyError if the topology has none of that name."""
        if name in self._services:
            spec = self._services[name].spec
            return Peer(spec.hosts[0] if spec.hosts else name, spec.port)
        hosts = self._databases[name].spec.hosts
        return Peer(hosts[0] if hosts else name, 5432)

    async def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """SubstrateError: programs of ours cannot be run."""
        del env, stdin, timeout
        raise _unreal(argv[0], "a program")

    async def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdout: Path, stderr: Path
    ) -> Process:
        """SubstrateError: programs of ours cannot be started."""
        del env, stdout, stderr
        raise _unreal(argv[0], "a program")

    @property
    def python(self) -> str:
        """SubstrateError: there is none."""
        raise _unreal("python", "a program")

    def instrument(self) -> System:
        """Its samples; also `writes()` and `reading()` of its ledger."""
        return self.system


class Simulated:
    """Brings up models. Fulfils ports.Substrate. `environments` has every one that it ever brought up."""

    name = "simulated"
    isolation = "simulated"

    def __init__(
        self,
        model: Model | None = None,
        *,
        provides: frozenset[Capability] = frozenset({Capability.SHELL, Capability.POSTGRES, Capability.NAMES}),
    ) -> None:
        self.model = model or Model()
        self.provides = provides
        self.environments: list[SimulatedEnvironment] = []

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:
        """One problem for each thing that it is not said to provide."""
        return tuple(
            Problem(f"the simulated substrate has no {need.value}", remedy="choose another substrate")
            for need in sorted(needs - self.provides)
        )

    def tool(self, program: str) -> bool:  # noqa: ARG002 - ports.Substrate
        """Any: the model answers for it."""
        return True

    @asynccontextmanager
    async def environment(
        self,
        topology: Topology,
        *,
        run: str,
        folder: Path,  # noqa: ARG002 - ports.Substrate
        links: frozenset[str] = frozenset(),
    ) -> AsyncIterator[SimulatedEnvironment]:
        """Bring one up. SubstrateError with `trouble`, or where links are asked for."""
        await asyncio.sleep(self.model.starting / SECOND)
        if self.model.trouble or links:
            raise SubstrateError(self.model.trouble or f"links to {', '.join(sorted(links))}: there is no network")
        environment = SimulatedEnvironment(labels.environment_name(run), topology, self.model)
        self.environments.append(environment)
        try:
            yield environment
            await asyncio.sleep(self.model.stopping / SECOND)
        finally:
            environment.end()


def _unreal(name: str, what: str) -> SubstrateError:
    return SubstrateError(
        f"{name}: expected {what}; in a simulated environment nothing is real\n    choose another substrate"
    )
