"""The `local` substrate: real servers as processes of this machine, in private namespaces where it allows them."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from harness import execution
from harness.errors import Problem
from harness.model.topology import Topology
from harness.ports import Capability, Environment
from harness.substrates import manifests
from harness.substrates.local import machine, redis, wheels
from harness.substrates.local.bringing_up import environment

OWN_TOOLS = frozenset({"service", "systemctl", "sudo"})
"""Programs that stand in for the host's in every environment."""


def is_there(program: str) -> bool:
    """Whether that program is in every environment: one that stands in, one that we bring along, or the machine's."""
    return program in OWN_TOOLS or program in {**wheels.programs(), **redis.programs()} or execution.installed(program)


class Local:
    """Fulfils ports.Substrate."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return "local"

    @property
    def provides(self) -> frozenset[Capability]:
        """What its environments can be asked to do, on this machine. InputError if RUNDRILL_ISOLATION is nonsense."""
        return machine.provides()

    @property
    def isolation(self) -> str:
        """How its environments are kept apart here: `namespaces` or `processes`."""
        return machine.isolation().value

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:
        """One problem, with its remedy, for each thing needed that it cannot do here."""
        return tuple(machine.problem(capability) for capability in sorted(needs - self.provides))

    def flaws(self, topology: Topology) -> Sequence[Problem]:
        """What is wrong with the manifests of its cluster's stack, as far as is seen without a cluster."""
        return manifests.flaws(topology.cluster) if topology.cluster else ()

    def tool(self, program: str) -> bool:
        """Whether the operator's shell in its environments has that program."""
        return is_there(program)

    def environment(
        self, topology: Topology, *, run: str, folder: Path, links: frozenset[str] = frozenset()
    ) -> AbstractAsyncContextManager[Environment]:
        """Bring one up. `folder` (existing, host) takes the journal and the logs. SubstrateError if it does not come up."""
        return environment(topology, run=run, folder=folder, links=links)
