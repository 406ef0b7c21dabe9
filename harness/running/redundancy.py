"""Whether there is a second of everything again: asked of the servers themselves, again and again, while a trial is watched.

A database is redundant while as many standbys as its topology has stream from the one primary, and each has replayed all that
was there when it was last asked. Replicas of a cluster's workloads are not asked about.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psycopg

from harness import clock
from harness.errors import SubstrateError
from harness.measuring.postgres import connect, given_up_at
from harness.model.history import Name, Phase
from harness.model.topology import Postgres, Topology
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Environment
from harness.running.recorder import Recorder

EVERY: Ns = milliseconds(250)
PATIENCE: Ns = seconds(1)
"""How long one server may take to answer; one that does not is none."""

_PRIMARY = b"SELECT NOT pg_is_in_recovery()"
_STANDBYS = b"SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= %s::pg_lsn"
_WRITTEN = b"SELECT pg_current_wal_insert_lsn()::text"


@asynccontextmanager
async def watched(topology: Topology, environment: Environment, recorder: Recorder) -> AsyncIterator["Redundancy"]:
    """Ask for as long as the scope lasts, or until it is stopped."""
    redundancy = Redundancy(topology, environment, recorder)
    await redundancy.start()
    try:
        yield redundancy
    finally:
        await redundancy.stop()


@dataclass(slots=True)
class Redundancy:
    """What is known of a topology's redundancy while it is watched."""

    topology: Topology
    environment: Environment
    recorder: Recorder
    whole: bool = True
    _written: dict[str, str] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    @property
    def wanted(self) -> tuple[Postgres, ...]:
        """The databases that have a second."""
        return tuple(database for database in self.topology.databases if database.standbys)

    async def start(self) -> None:
        """Ask from now on, where there is anything to ask about."""
        if not self.wanted or self.environment.instrument() is not None:
            return
        for database in self.wanted:  # what has been written is known from the second time on
            await self._lacks(database)
        wanted = {f"standbys of {database.name}": database.standbys for database in self.wanted}
        self.recorder.record(Name.REDUNDANCY, Phase.INVOKE, wanted)
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Ask no more. What went wrong with asking, but for a server that does not answer, is raised here."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.result()

    async def _watch(self) -> None:
        """Ask until cancelled; each loss and each return becomes an event."""
        while True:
            lacking = "; ".join([why for database in self.wanted if (why := await self._lacks(database))])
            if bool(lacking) is self.whole:
                self.whole = not lacking
                self.recorder.record(
                    Name.REDUNDANCY, Phase.FAIL if lacking else Phase.OK, {"why": lacking} if lacking else None
                )
            await asyncio.sleep(EVERY / SECOND)

    async def _lacks(self, database: Postgres) -> str:
        """Why a database has no second of everything; "" if it has."""
        servers = [database.name, *(f"{database.name}-standby-{n}" for n in range(1, database.standbys + 1))]
        answers = await asyncio.gather(*(self._standbys(database, server) for server in servers))
        primaries = {server: count for server, count in zip(servers, answers, strict=True) if count is not None}
        if len(primaries) != 1:
            found = f"{', '.join(primaries)} are" if primaries else "no server is"
            return f"{database.name}: expected one primary; {found}"
        [(primary, count)] = primaries.items()
        return "" if count >= database.standbys else f"{primary}: {count} of {database.standbys} standbys in sync"

    async def _standbys(self, database: Postgres, server: str) -> int | None:
        """How many standbys of this server are in sync; None where it is no primary, or does not answer."""
        deadline = clock.now() + PATIENCE
        try:
            connection = await connect(self.environment.database(server).conninfo(dbname=database.database), deadline)
            try:
                with given_up_at(connection, deadline):
                    primary = await (await connection.execute(_PRIMARY)).fetchone()
                    if not primary or not primary[0]:
                        return None
                    before = self._written.get(server, "FFFFFFFF/FFFFFFFF")  # none has replayed that
                    counted = await (await connection.execute(_STANDBYS, (before,))).fetchone()
                    written = await (await connection.execute(_WRITTEN)).fetchone()
            finally:
                await connection.close()
        except (psycopg.Error, OSError, TimeoutError, SubstrateError):
            self._written.pop(server, None)
            return None
        self._written[server] = str(written[0]) if written else before
        return int(counted[0]) if counted else 0
