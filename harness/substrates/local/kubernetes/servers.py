"""The servers of a cluster as the environment's supervisor runs them: what one is, and how it is known to have died."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import SubstrateError
from harness.substrates.inside.services import Ready, Spec
from harness.substrates.inside.spawn import Identity
from harness.substrates.local.kubernetes.places import LOGS
from harness.substrates.local.site import Site

ROOT = Identity(uid=-1, gid=-1, nested=False, apart=False, hidden=False, confined=False)
"""The environment's root, seen by the system's processes, with their mounts: kubelets and runtimes share what they mount."""

PATIENCE_S = 10.0
_TOLD = 15


@dataclass(frozen=True, slots=True)
class Server:
    """One of them. `env` comes over the environment's own."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """Its log, inside."""
        return f"{LOGS}/{self.name}.log"

    async def start(self, site: Site) -> None:
        """Start it; whoever needs it finds out when it is up. SubstrateError if it cannot be executed."""
        await site.define(
            Spec(
                name=self.name,
                aliases=(),
                argv=tuple(self.argv),
                processes=1,
                env={**site.base_environment(), **self.env},
                env_file="",
                last={},
                cwd="/",
                log=site.layout.path(self.log),
                ready=Ready(pidfile="", host="", port=0, path=""),
                stop=signal.SIGTERM,
                patience_s=PATIENCE_S,
                identity=ROOT,
            )
        )
        await site.control(self.name, "start")

    def demand(self, site: Site) -> None:
        """SubstrateError with the end of its log unless it runs."""
        if not site.pids(self.name):
            raise SubstrateError(f"{self.name} has ended:\n{site.tail(self.log, _TOLD)}")
