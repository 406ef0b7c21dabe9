"""Faults of the network path to a database: slow, cut, or reset. The path is the substrate's link (needs LINKS)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from harness import clock
from harness.errors import FaultError
from harness.faults.knock import Answer
from harness.faults.scope import database, link, undone
from harness.faults.server import AGAIN, Server, session
from harness.model.units import Ns, milliseconds, seconds, show
from harness.ports import Capability, Injection, Stage

_NEEDS = frozenset({Capability.POSTGRES, Capability.LINKS})
_SILENCE: Ns = milliseconds(500)
"""How long an answer that would take a millisecond has to be missing."""

_NOTICING: Ns = seconds(1)
"""How long a server may take to notice that connections are gone; a session that works notices when it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Everything sent to or by the server of `database` takes `delay` ± `jitter` ns longer, each way.

    Felt: an exchange with the server takes longer by what two ways take at least.
    """

    database: str
    delay: Ns
    jitter: Ns = 0

    def __str__(self) -> str:
        jitter = f" ± {show(self.jitter)}" if self.jitter else ""
        return f"the network to {self.database} takes {show(self.delay)}{jitter} longer each way"

    @property
    def needs(self) -> frozenset[Capability]:
        """PostgreSQL behind a faulty link."""
        return _NEEDS

    @property
    def links(self) -> frozenset[str]:
        """The database."""
        return frozenset({self.database})

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Slow it down; afterwards it is as quick as before. FaultError without such a database or link."""
        path = link(stage, self.database)
        before = await _knock(stage, self.database, timeout=seconds(1))
        if before.trouble:
            raise FaultError(
                f"{self.database}: expected a server that answers by the network; it does not: {before.trouble}"
            )
        async with undone(path.set, what=str(self)):
            await path.set(latency=self.delay, jitter=self.jitter)
            least = 2 * max(0, self.delay - self.jitter)
            after = await _knock(
                stage, self.database, timeout=before.took + 2 * (self.delay + self.jitter) + seconds(1)
            )
            felt = not after.trouble and after.took >= least
            yield Injection(
                felt=felt,
                at=clock.now(),
                evidence={"before_ms": _ms(before), "after_ms": _ms(after), "trouble": after.trouble or None},
                why="" if felt else f"an exchange took {show(after.took)}, not {show(least)} {after.trouble}".strip(),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """No byte gets to or from the server of `database`; connections stay open and hear nothing.

    Felt: nobody answers by the network for half a second, while the server is up.
    """

    database: str

    def __str__(self) -> str:
        return f"the network to {self.database} is cut"

    @property
    def needs(self) -> frozenset[Capability]:
        """PostgreSQL behind a faulty link."""
        return _NEEDS

    @property
    def links(self) -> frozenset[str]:
        """The database."""
        return frozenset({self.database})

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Cut it; afterwards it is whole. FaultError without such a database or link."""
        path = link(stage, self.database)
        async with undone(path.set, what=str(self)):
            await path.set(drop=True)
            answer = await _knock(stage, self.database, timeout=_SILENCE)
            async with session(database(stage, self.database)):
                up = True
            felt = answer.trouble == "timeout"
            yield Injection(
                felt=felt,
                at=clock.now(),
                evidence={"by_network": answer.trouble or "answered", "server_up": up},
                why="" if felt else f"by the network: {answer.trouble or 'answered'}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Every connection by the network to the server of `database` is reset, once; with `refuse`, new ones are refused as
    long as the fault is in force.

    Felt: the server has lost sessions that came by the network; with `refuse` also that a new connection is refused.
    """

    database: str
    refuse: bool = False

    def __str__(self) -> str:
        return f"connections to {self.database} are reset{' and new ones refused' if self.refuse else ''}"

    @property
    def needs(self) -> frozenset[Capability]:
        """PostgreSQL behind a faulty link."""
        return _NEEDS

    @property
    def links(self) -> frozenset[str]:
        """The database."""
        return frozenset({self.database})

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Reset them; afterwards new ones are let through. FaultError without such a database or link, or where no
        connection by the network is open and none is to be refused."""
        path = link(stage, self.database)
        async with session(database(stage, self.database)) as server:
            before = await _by_network(server)
            if not before and not self.refuse:
                raise FaultError(f"{self.database}: expected connections by the network, to reset them; none is open")
            async with undone(path.set, what=str(self)):
                await path.set(reset=True, refuse=self.refuse)

                async def gone() -> bool | None:
                    return None if before & await _by_network(server) else True

                await clock.until(gone, deadline=clock.now() + _NOTICING, every=AGAIN)
                lost = len(before - await _by_network(server))
                refused = (await _knock(stage, self.database, timeout=_SILENCE)).trouble if self.refuse else ""
                felt = bool(lost or not before) and bool(refused or not self.refuse)
                yield Injection(
                    felt=felt,
                    at=clock.now(),
                    evidence={"sessions_before": len(before), "sessions_lost": lost, "new": refused or "accepted"},
                    why="" if felt else "the server still has all sessions, or accepts new ones",
                )


async def _knock(stage: Stage, name: str, *, timeout: Ns) -> Answer:
    """How the server answers by the network, asked from inside the environment."""
    peer = stage.environment.peer(name)
    argv = (stage.environment.python, "-m", "harness.faults.knock", peer.host, str(peer.port), str(timeout))
    done = await stage.environment.run(argv, timeout=timeout + seconds(10))
    try:
        return msgspec.json.decode(done.stdout, type=Answer)
    except msgspec.DecodeError as error:
        raise FaultError(
            f"{name}: could not be knocked at: status {done.status}: {done.stderr.strip()[-500:]}"
        ) from error


async def _by_network(server: Server) -> frozenset[int]:
    """The pids of sessions that came by TCP, but this one: it may come by another way than the link."""
    rows = await server.ask(
        "SELECT pid FROM pg_stat_activity WHERE client_addr IS NOT NULL AND pid <> pg_backend_pid()"
    )
    return frozenset(int(pid or 0) for (pid,) in rows)


def _ms(answer: Answer) -> float:
    return round(answer.took / 1e6, 1)
