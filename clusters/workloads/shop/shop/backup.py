"""The backup job: every table as CSV in one archive in the folder SPOOL, backup-YYYYMMDDTHHMMSSZ.tar.gz. Not how it is brought
back."""

import asyncio
import logging
import tarfile
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import AsyncConnection, sql

from shop.settings import Settings

log = logging.getLogger("shop.backup")


def back_up(settings: Settings) -> int:
    """Back up; 1 if the database does not answer or the folder cannot be written."""
    try:
        _back_up(settings)
    except (psycopg.Error, OSError):
        log.exception("the backup failed")
        return 1
    return 0


def _back_up(settings: Settings) -> None:
    folder = Path(settings.spool or ".")
    name = time.strftime("backup-%Y%m%dT%H%M%SZ", time.gmtime())
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as place:
        asyncio.run(_exported(settings.conninfo, Path(place)))
        # It is there under its name only once it is whole.
        whole = Path(place, "archive")
        with tarfile.open(whole, "w:gz", compresslevel=1) as archive:
            for path in sorted(Path(place).glob("*.csv")):
                archive.add(path, arcname=f"{name}/{path.name}")
        whole.rename(folder / f"{name}.tar.gz")
    log.info("backup done: %s.tar.gz", name)


async def _exported(conninfo: str, folder: Path) -> None:
    """All tables of the schema public, as of one instant."""
    async with await AsyncConnection.connect(conninfo, connect_timeout=5) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        found = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (table,) in await found.fetchall():
            rows = await _copied(connection, table, folder / f"{table}.csv")
            log.info("backup of %s: %d rows", table, rows)


async def _copied(connection: AsyncConnection, table: str, path: Path) -> int:
    statement = sql.SQL("COPY {} TO STDOUT (FORMAT csv)").format(sql.Identifier(table))
    with path.open("wb") as file:
        async with connection.cursor() as cursor:
            async with cursor.copy(statement) as copy:
                async for data in copy:
                    file.write(data)
            return cursor.rowcount
