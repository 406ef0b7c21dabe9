"""Faults made of sessions that a real client holds: all connections taken, and a lock that everybody needs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from harness import clock
from harness.errors import FaultError
from harness.faults.client import FILLING, STEP, Client, Profile, clock_ahead, started, usual_clock
from harness.faults.leak import Held, Work
from harness.faults.scope import database, dsn
from harness.faults.server import Server, quoted, session
from harness.model.history import Scalar
from harness.model.units import Ns, in_seconds, seconds, show
from harness.ports import Capability, Database, Injection, Stage

State = Literal["idle", "idle_in_transaction", "active"]

_SHOWN: dict[State, str] = {"idle": "idle", "idle_in_transaction": "idle in transaction", "active": "active"}
_OPENING: dict[State, str] = {"idle": "SELECT 1", "idle_in_transaction": "BEGIN; SELECT 1", "active": "SELECT 1"}
_FOR_LONG = "SELECT pg_sleep(86400)"
"""Longer than any drill, also after its clock has been moved."""

_SETTLING: Ns = seconds(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhaustConnections:
    """A client leaks connections to `database` as `role` ("" for the owner): `count` of them, None until the server refuses.

    They sit in `state` under `application_name`. `age` ns: the server's clock is moved on by that after they are there, so
    that they, and whatever else sits still, are older by it (needs CLOCK; evidence `clock_ahead_s`). `keep`: slots that
    others free are taken until it has its count. `returns`: a session that somebody ended is opened again.

    Felt: the server shows `count` sessions in that state, or refuses more (SQLSTATE 53300).
    """

    database: str
    count: int | None = None
    state: State = "idle"
    application_name: str = "reporting-job"
    role: str = ""
    age: Ns = 0
    keep: bool = True
    returns: bool = False

    def __str__(self) -> str:
        many = "connections" if self.count is None else f"{self.count} connections"
        end = " until it refuses more" if self.count is None else ""
        old = f", {show(self.age)} ago" if self.age else ""
        return f"{self.application_name} leaks {many} to {self.database}{end} ({_SHOWN[self.state]}{old})"

    @property
    def needs(self) -> frozenset[Capability]:
        """Processes and PostgreSQL; a movable clock where there is an age."""
        return _needs(self.age)

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Leak; afterwards the client and its sessions are gone and the clock is right. FaultError without such a database
        or role, or if the client does not get anywhere."""
        target = database(stage, self.database)
        profile = Profile(
            application_name=self.application_name, role=self.role or target.spec.owner.name, state=_SHOWN[self.state]
        )
        work = Work(
            dsn=dsn(stage, target, role=self.role, application_name=self.application_name),
            count=self.count,
            opening=_OPENING[self.state],
            staying=_FOR_LONG if self.state == "active" else "",
            keep=self.keep,
            returns=self.returns,
        )
        async with AsyncExitStack() as stack:
            async with session(target) as server:  # before the leak: afterwards there may be no slot left
                if self.age:
                    await stack.enter_async_context(clock_ahead(target))
                client = await stack.enter_async_context(started(stage, target, work, profile))
                injection = await self._leaked(target, client, server)
            yield injection

    async def _leaked(self, target: Database, client: Client, server: Server) -> Injection:
        async def full() -> Held | None:
            said = client.held()
            if said is None or (said.held == 0 and not said.killed):
                return None
            return said if said.refused or said.killed or said.held == self.count else None

        said = await clock.until(full, deadline=clock.now() + FILLING, every=STEP)
        if said is None:
            raise FaultError(f"{self}: expected it to have its connections within {show(FILLING)}; {client.held()}")

        async def sitting() -> int | None:
            number = await client.sitting(server)
            return number if number >= said.held else None

        await clock.until(sitting, deadline=clock.now() + _SETTLING, every=STEP)
        held = await client.sitting(server)
        evidence: dict[str, Scalar] = {
            "sessions": held,
            "state": client.profile.state,
            "refused": said.refused or None,
            "connections": await server.number(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ),
            "max_connections": await server.number("SELECT current_setting('max_connections')::int"),
        }
        why = self._why_not(held, said)
        if self.age and not why:
            why = await aged(target, client, server, age=self.age, evidence=evidence)
        return Injection(felt=not why, at=clock.now(), evidence=evidence, why=why)

    def _why_not(self, held: int, said: Held) -> str:
        if said.killed:
            return f"{said.killed} of the client's sessions were ended while it opened them: {said.ended}"
        if said.refused == "53300" and held:
            return ""
        if said.refused:
            return f"the client was refused, but not for want of connections: {said.refused}"
        return "" if held == self.count else f"the server shows {held} sessions in that state, not {self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLock:
    """A client holds a lock on `table` of `database` in `mode` (as LOCK TABLE has them), as `role` ("" for the owner).

    `state`: "active", it is the transaction of one statement that does not end; or "idle_in_transaction", of one that is
    not committed. `age` as for ExhaustConnections, counted from when the lock is held. Once ended it does not come back.

    Felt: the server shows the lock granted to it; `waiting` is how many wait for it, awaited for a second under load.
    """

    database: str
    table: str
    mode: str = "ACCESS EXCLUSIVE"
    role: str = ""
    state: Literal["active", "idle_in_transaction"] = "active"
    age: Ns = 0
    application_name: str = "reporting-job"

    def __str__(self) -> str:
        old = f" for {show(self.age)}" if self.age else ""
        return (
            f"{self.application_name} holds {self.mode} on {self.table} of {self.database}{old} ({_SHOWN[self.state]})"
        )

    @property
    def needs(self) -> frozenset[Capability]:
        """Processes and PostgreSQL; a movable clock where there is an age."""
        return _needs(self.age)

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Take the lock; afterwards the client is gone and the clock is right. FaultError without such a database, table or
        role, or if the lock is not granted in 15 s."""
        target = database(stage, self.database)
        profile = Profile(
            application_name=self.application_name, role=self.role or target.spec.owner.name, state=_SHOWN[self.state]
        )
        lock = f"LOCK TABLE {quoted(self.table)} IN {self.mode} MODE"
        active = self.state == "active"
        work = Work(
            dsn=dsn(stage, target, role=self.role, application_name=self.application_name),
            count=1,
            opening="BEGIN" if active else f"BEGIN; {lock}",
            staying=f"{lock}; {_FOR_LONG}" if active else "",
        )
        async with AsyncExitStack() as stack:
            async with session(target) as server:
                await self._must_exist(server)
                if self.age:
                    await stack.enter_async_context(clock_ahead(target))
                client = await stack.enter_async_context(started(stage, target, work, profile))
                injection = await self._held(stage, target, client, server)
            yield injection

    async def _must_exist(self, server: Server) -> None:
        if not await server.number("SELECT count(to_regclass(%s))", quoted(self.table)):
            raise FaultError(f"{self.database}: expected a table {self.table!r} to lock; there is none")

    async def _held(self, stage: Stage, target: Database, client: Client, server: Server) -> Injection:
        async def granted() -> int | None:
            said = client.held()
            if said is not None and said.killed:
                raise FaultError(f"{self}: the client's session was ended before it had the lock: {said.ended}")
            return await self._locks(server, granted=True) or None

        if await clock.until(granted, deadline=clock.now() + FILLING, every=STEP) is None:
            raise FaultError(f"{self}: expected the lock to be granted within {show(FILLING)}; it was not")
        evidence: dict[str, Scalar] = {"granted": self.mode}
        why = await aged(target, client, server, age=self.age, evidence=evidence) if self.age else ""

        async def awaited() -> int | None:
            return await self._locks(server, granted=False) or None

        loaded = stage.load is not None and stage.load.users > 0
        deadline = clock.now() + (_SETTLING if loaded else 0)
        evidence["waiting"] = await clock.until(awaited, deadline=deadline, every=STEP) or 0
        return Injection(felt=not why, at=clock.now(), evidence=evidence, why=why)

    async def _locks(self, server: Server, *, granted: bool) -> int:
        """The client's granted locks of that mode on the table, or everybody's not granted ones of any."""
        if not granted:
            return await server.number(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s)", quoted(self.table)
            )
        return await server.number(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.granted"
            " AND l.relation = to_regclass(%s) AND l.mode = %s AND a.application_name = %s",
            quoted(self.table),
            "".join(word.capitalize() for word in self.mode.split()) + "Lock",
            self.application_name,
        )


async def aged(target: Database, client: Client, server: Server, *, age: Ns, evidence: dict[str, Scalar]) -> str:
    """Move the server's clock on and see that the client's sessions have aged by it; why not, "" if they have."""
    await target.move_clock(usual_clock(target) + age)

    async def older() -> int | None:
        return await client.aged(server, age) or None

    number = await clock.until(older, deadline=clock.now() + _SETTLING, every=STEP) or 0
    evidence["clock_ahead_s"] = in_seconds(usual_clock(target) + age)
    evidence["aged"] = number
    return "" if number else f"the server shows no session of {client.profile.application_name} that is {show(age)} old"


def _needs(age: Ns) -> frozenset[Capability]:
    needs = {Capability.PROCESSES, Capability.POSTGRES}
    return frozenset(needs | {Capability.CLOCK} if age else needs)
