"""The servers of a cluster as the environment's supervisor runs them: started, waited for, and found to have died."""

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence

from harness import clock
from harness.errors import SubstrateError
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.substrates.inside.services import Ready, Spec
from harness.substrates.inside.spawn import Identity
from harness.substrates.local.kubernetes.places import LOGS
from harness.substrates.local.site import Site

ROOT = Identity(uid=-1, gid=-1, nested=False, apart=False, hidden=False, confined=False)
"""The environment's root, seen by the system's processes, with their mounts: kubelets and runtimes share what they mount."""

PATIENCE: Ns = seconds(90)
EVERY: Ns = milliseconds(50)
STOPPING_S = 5.0
_TOLD = 15


class Servers:
    """Those of one cluster, by name."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._wanted: list[str] = []

    async def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start one, and return when it runs; whoever needs it finds out when it is up. It is missed from now on.

        SubstrateError if it cannot be executed.
        """
        await self._site.define(
            Spec(
                name=name,
                aliases=(),
                argv=tuple(argv),
                processes=1,
                env={**self._site.base_environment(), **(env or {})},
                env_file="",
                last={},
                cwd="/",
                log=self._site.layout.path(log(name)),
                ready=Ready(pidfile="", host="", port=0, path=""),
                stop=signal.SIGTERM,
                patience_s=STOPPING_S,
                identity=ROOT,
            )
        )
        await self._site.control(name, "start")
        self._wanted.append(name)

    async def again(self, name: str) -> None:
        """Start one again that was stopped, as it was."""
        await self._site.control(name, "start")
        self._wanted.append(name)

    def give_up(self, name: str) -> None:
        """Miss it no more: it is about to be ended."""
        if name in self._wanted:
            self._wanted.remove(name)

    def pids(self, name: str) -> tuple[int, ...]:
        """Its processes' pids as the harness sees them: none if it has ended."""
        return self._site.pids(name)

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]], *, limit: Ns = PATIENCE) -> None:
        """Wait for a condition. SubstrateError when a server dies meanwhile, or if it does not hold after `limit` ns."""

        async def holds() -> bool | None:
            for name in self._wanted:
                if not self.pids(name):
                    raise SubstrateError(f"{name} has ended:\n{self._site.tail(log(name), _TOLD)}")
            return await condition() or None

        if await clock.until(holds, deadline=clock.now() + limit, every=EVERY) is None:
            tails = "\n".join(f"--- {name}\n{self._site.tail(log(name), 5)}" for name in self._wanted)
            raise SubstrateError(f"after {limit // SECOND} s it does not hold that {what}\n{tails}")


def log(name: str) -> str:
    """Where a server's log is, inside."""
    return f"{LOGS}/{name}.log"
