"""Faults done to a PostgreSQL server by SQL or by stopping it: an index or data that are gone, a crash."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

from harness import clock
from harness.errors import FaultError
from harness.faults.scope import database, undone
from harness.faults.server import AGAIN, Server, ServerError, quoted, session, session_if_up
from harness.model.history import Scalar
from harness.model.units import milliseconds, seconds
from harness.ports import Capability, Database, Injection, Stage

_NEEDS = frozenset({Capability.POSTGRES})


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIndex:
    """The index `index` of `database` is dropped, and made again by its own definition when the fault ends.

    It is left alone then if there is one of that name again, or if its table is gone. Felt: the catalogue has no such index.
    """

    database: str
    index: str

    def __str__(self) -> str:
        return f"the index {self.index} of {self.database} is dropped"

    @property
    def needs(self) -> frozenset[Capability]:
        """PostgreSQL."""
        return _NEEDS

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Drop it; afterwards it is there again. FaultError where there is no such database or index, or a constraint
        needs it."""
        target = database(stage, self.database)
        async with session(target) as server:
            found = await self._found(server)
        async with undone(partial(self._made_again, target, found), what=str(self)):
            async with session(target) as server:
                async with server.transaction():
                    await server.ask(f"DROP INDEX {quoted(self.index)}")
                left = await server.number("SELECT count(to_regclass(%s))", quoted(self.index))
            yield Injection(
                felt=left == 0,
                at=clock.now(),
                evidence={
                    "indexes_left": left,
                    "bytes": found.size,
                    "table": found.table,
                    "definition": found.definition,
                },
                why="" if left == 0 else "an index of that name is still there",
            )

    async def _found(self, server: Server) -> "_Index":
        rows = await server.ask(
            "SELECT pg_get_indexdef(i.indexrelid), i.indrelid::regclass::text, pg_relation_size(i.indexrelid),"
            " (SELECT conname FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x') LIMIT 1)"
            " FROM pg_index i WHERE i.indexrelid = to_regclass(%s)",
            quoted(self.index),
        )
        if not rows:
            raise FaultError(f"{self.database}: expected an index {self.index!r} to drop; there is none")
        definition, table, size, constraint = rows[0]
        if constraint:
            raise FaultError(
                f"{self.database}: expected an index that nothing needs; the constraint {constraint!r} needs {self.index}\n"
                "    use LoseData(statement=…) to drop a constraint"
            )
        return _Index(str(definition), str(table), int(size or 0))

    async def _made_again(self, target: Database, found: "_Index") -> None:
        async with session_if_up(target) as server:
            if server is None:
                return
            index = await server.number("SELECT count(to_regclass(%s))", quoted(self.index))
            table = await server.number("SELECT count(to_regclass(%s))", found.table)
            if table and not index:
                try:
                    await server.ask(found.definition, within=seconds(30))
                except ServerError as error:
                    if error.code not in {"42P07", "42P01", "42703"}:  # made, or its table or column dropped, meanwhile
                        raise


@dataclass(frozen=True, slots=True)
class _Index:
    definition: str
    table: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseData:
    """Data of `tables` of `database` are lost: dropped with the table, truncated, or deleted (`share` of the rows of each,
    drawn by the trial's seed); or by `statement`, any SQL in a transaction, whose loss is counted in `tables`.

    There is no undo: what brings data back is the runbook. The environment dies with the trial; never apply it to a system
    that outlives it. Felt: there are fewer rows, counted under a lock, or a table is gone.
    """

    database: str
    tables: tuple[str, ...]
    how: Literal["drop", "truncate", "delete"] = "drop"
    share: float = 0.5
    statement: str = ""

    def __str__(self) -> str:
        tables = ", ".join(self.tables)
        if self.statement:
            return f"data of {tables} of {self.database} are lost by: {' '.join(self.statement.split())}"
        many = f"{self.share:.0%} of the rows of " if self.how == "delete" else ""
        done = {"drop": "dropped", "truncate": "truncated", "delete": "deleted"}[self.how]
        return f"{many}{tables} of {self.database} {'is' if len(self.tables) == 1 and not many else 'are'} {done}"

    @property
    def needs(self) -> frozenset[Capability]:
        """PostgreSQL."""
        return _NEEDS

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Lose them, all or none. FaultError without such a database or table, or where the server refuses (another table
        refers to one that is to be dropped)."""
        target = database(stage, self.database)
        async with session(target) as server:
            for table in self.tables:
                if not await server.number("SELECT count(to_regclass(%s))", quoted(table)):
                    raise FaultError(f"{self.database}: expected a table {table!r} to lose; there is none")
            before, after = await self._lost(server, seed=stage.seed)
        evidence: dict[str, Scalar] = {
            "rows_before": sum(before.values()),
            "rows_after": sum(rows or 0 for rows in after.values()),
            "tables_gone": sum(rows is None for rows in after.values()),
        }
        for table in self.tables:
            evidence[f"{table}_before"], evidence[f"{table}_after"] = before[table], after[table]
        lost = [table for table in self.tables if after[table] is None or (after[table] or 0) < before[table]]
        why = "" if lost else "no table has fewer rows than before"
        yield Injection(felt=not why, at=clock.now(), evidence=evidence, why=why)

    async def _lost(self, server: Server, *, seed: int) -> tuple[dict[str, int], dict[str, int | None]]:
        """Rows before and after; None where the table is gone. Nobody writes in between."""
        async with server.transaction():
            names = ", ".join(quoted(table) for table in self.tables)
            for referred in await self._referred(server):
                await server.ask(f"LOCK TABLE {referred} IN ACCESS EXCLUSIVE MODE")
            await server.ask(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            before = {table: await self._rows(server, table) or 0 for table in self.tables}
            for statement in self._statements(names, seed):
                await server.ask(statement, within=seconds(30))
            after = {table: await self._rows(server, table) for table in self.tables}
        return before, after

    async def _referred(self, server: Server) -> list[str]:
        """The tables that they refer to. Writers lock those first, and dropping a reference locks them too: taken in another
        order, the two would wait for each other."""
        found = await server.ask(
            "SELECT DISTINCT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' "
            "AND conrelid IN (SELECT to_regclass(name)::oid FROM unnest(string_to_array(%s, chr(31))) AS name) "
            "AND confrelid <> conrelid",
            "\x1f".join(quoted(table) for table in self.tables),
        )
        return [str(name) for (name,) in found]

    async def _rows(self, server: Server, table: str) -> int | None:
        if not await server.number("SELECT count(to_regclass(%s))", quoted(table)):
            return None
        return await server.number(f"SELECT count(*) FROM {quoted(table)}")  # noqa: S608

    def _statements(self, names: str, seed: int) -> list[str]:
        if self.statement:
            return [self.statement]
        match self.how:
            case "drop":
                return [f"DROP TABLE {names}"]
            case "truncate":
                return [f"TRUNCATE {names}"]
            case "delete":
                drawn = f"TABLESAMPLE BERNOULLI ({self.share * 100}) REPEATABLE ({seed})"
                return [
                    f"DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} {drawn})"  # noqa: S608
                    for table in map(quoted, self.tables)
                ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashDatabase:
    """The server of `database` goes down at once, without a checkpoint (immediate stop), and stays down.

    It is started, unless it runs again, when the fault ends. Felt: its postmaster is gone and connections are refused.
    """

    database: str

    def __str__(self) -> str:
        return f"the server of {self.database} crashes"

    @property
    def needs(self) -> frozenset[Capability]:
        """PostgreSQL."""
        return _NEEDS

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Stop it; afterwards it is up. FaultError without such a database, or where it is down already."""
        target = database(stage, self.database)
        running = await target.processes()
        if not running:
            raise FaultError(f"{self.database}: expected a server that is up, to crash it; it is down")
        # A stop that is under way is not cancelled: started meanwhile, the server would go down afterwards.
        stopping = asyncio.create_task(target.stop(mode="immediate"))

        async def up_again() -> None:
            await asyncio.gather(stopping, return_exceptions=True)
            await target.start()

        async with undone(up_again, what=str(self)):
            await asyncio.shield(stopping)
            refusal = await refused(target)
            up = await target.up()
            yield Injection(
                felt=bool(refusal) and not up,
                at=clock.now(),
                evidence={"postmaster": running[0].pid, "running": up, "connecting": refusal or "accepted"},
                why="" if refusal and not up else "the server still accepts connections",
            )


async def refused(target: Database) -> str:
    """Why the server refuses a superuser, in a word; "" if it accepts one."""

    async def refusal() -> str | None:
        try:
            async with session(target, within=milliseconds(500)):
                return None
        except ServerError as error:
            return error.code

    return await clock.until(refusal, deadline=clock.now() + seconds(1), every=AGAIN) or ""
