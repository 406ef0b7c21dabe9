"""The `kind` substrate: the `containers` substrate, and clusters of kind's. The reference that `local` is held against."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from harness.errors import Problem
from harness.model.topology import Topology
from harness.ports import Capability, Environment
from harness.substrates import manifests
from harness.substrates.kind import machine, settings
from harness.substrates.kind.lease import Users


class Kind:
    """Fulfils ports.Substrate. Its clusters last from the first drill that needs one to `close`, or the process's end.

    InputError where the settings cannot be understood.
    """

    def __init__(self) -> None:
        from harness.substrates.containers import Containers  # noqa: PLC0415 - Docker's library is an extra

        self._settings = settings.read()
        self._rest = Containers()
        self._users = Users()

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return "kind"

    @property
    def provides(self) -> frozenset[Capability]:
        """What its environments can be asked to do, on this machine."""
        rest = self._rest.provides
        return rest | {Capability.KUBERNETES} if rest and not machine.problem(self._settings) else rest

    @property
    def isolation(self) -> str:
        """How its environments are kept apart: `namespaces`."""
        return self._rest.isolation

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:
        """One problem, with its remedy, for each thing needed that it cannot do here."""
        missing = needs - self.provides
        found = list(self._rest.lacks(missing - {Capability.KUBERNETES}))
        if Capability.KUBERNETES in missing:
            # Where not even containers can be had that is why, and a daemon that is silent is not waited for once more.
            trouble = machine.problem(self._settings) if self._rest.provides else machine.without_extra()
            found += [trouble] if trouble else self._rest.lacks(frozenset({Capability.KUBERNETES}))
        return found

    def flaws(self, topology: Topology) -> Sequence[Problem]:
        """What is wrong with the manifests of its cluster's stack, as far as is seen without a cluster."""
        return manifests.flaws(topology.cluster) if topology.cluster else ()

    def tool(self, program: str) -> bool:
        """Whether the operator's shell in its environments has that program."""
        return self._rest.tool(program) or (program == "kubectl" and machine.kubectl(self._settings) is not None)

    def environment(
        self, topology: Topology, *, run: str, folder: Path, links: frozenset[str] = frozenset()
    ) -> AbstractAsyncContextManager[Environment]:
        """Bring one up; without a cluster in the topology it is one of `containers`. SubstrateError if it does not come up."""
        if topology.cluster is None:
            return self._rest.environment(topology, run=run, folder=folder, links=links)
        from harness.substrates.kind.bringing_up import environment  # noqa: PLC0415 - Docker's library is slow

        return environment(topology, topology.cluster, self._users, self._settings, run=run, folder=folder, links=links)

    def close(self) -> None:
        """Let go of its clusters, and return when those that nobody else wants are gone. It blocks."""
        self._users.close()
