"""The backup job: every table as CSV into the folder SPOOL, and a line that says how many rows. Not how it is brought back."""

import asyncio
import logging
from pathlib import Path

import psycopg
from psycopg import AsyncConnection, sql

from shop.settings import Settings

log = logging.getLogger("shop.backup")
TABLES = ("products", "orders")


def back_up(settings: Settings) -> int:
    """Back up; 1 if the database does not answer or the folder cannot be written."""
    try:
        asyncio.run(_back_up(settings))
    except (psycopg.Error, OSError):
        log.exception("the backup failed")
        return 1
    return 0


async def _back_up(settings: Settings) -> None:
    folder = Path(settings.spool or ".")
    async with await AsyncConnection.connect(settings.conninfo, connect_timeout=5) as connection:
        # Both tables as of one instant.
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        for table in TABLES:
            rows = await _copied(connection, table, folder / f"{table}.csv")
            log.info("backup of %s done: %d rows", table, rows)


async def _copied(connection: AsyncConnection, table: str, path: Path) -> int:
    statement = sql.SQL("COPY {} TO STDOUT (FORMAT csv)").format(sql.Identifier(table))
    rows = 0
    with path.open("wb") as file:
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            async for data in copy:
                file.write(data)
                rows += bytes(data).count(b"\n")
    return rows
