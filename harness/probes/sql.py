"""SQL questions: one statement, its first value checked. When they are asked is harness.probes.prober's business."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from harness.measuring.postgres import Connection, Connections, connect, given_up_at, reason
from harness.model.history import Mode
from harness.model.load import SqlProbe
from harness.model.units import Ns


class SqlAsker:
    """Asks one SQL probe in one mode: over a connection made for it, or over long-lived ones."""

    def __init__(self, probe: SqlProbe, dsn: str, mode: Mode) -> None:
        self._statement = probe.statement.encode()
        self._expect = probe.expect
        self._dsn = dsn
        self._kept = Connections(dsn) if mode is Mode.POOLED else None

    async def ask(self, _: int, deadline: Ns) -> str:
        """Why the answer is bad, in a word or an SQLSTATE; '' if it is good."""
        try:
            async with self._connection(deadline) as connection:
                cursor = await connection.execute(self._statement)
                row = await cursor.fetchone() if cursor.description else None
        except (psycopg.Error, OSError, TimeoutError) as error:
            return reason(error)
        value = "" if not row or row[0] is None else str(row[0])
        return "" if self._expect in ("", value) else "payload"

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._kept is not None:
            await self._kept.close()

    @asynccontextmanager
    async def _connection(self, deadline: Ns) -> AsyncIterator[Connection]:
        if self._kept is not None:
            async with self._kept.taken(deadline) as connection:
                yield connection
            return
        connection = await connect(self._dsn, deadline)
        try:
            with given_up_at(connection, deadline):
                yield connection
        finally:
            await connection.close()
