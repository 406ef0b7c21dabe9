"""The harness's own superuser session on a PostgreSQL server: how faults act on it and gather evidence. Every wait ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from harness.clock import now
from harness.errors import FaultError
from harness.measuring.postgres import Connection, connect, given_up_at, reason
from harness.model.history import Scalar
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Database

PATIENCE: Ns = seconds(10)
"""How long one statement may take, waiting for locks included."""

AGAIN = milliseconds(50)

_PASSING = frozenset({"53300", "57P03", "refused", "closed", "reset"})
"""Why a server that is up refuses a session for a while: full, starting or stopping."""


class ServerError(FaultError):
    """The server did not do what a fault asked. `code`: SQLSTATE, or a word as measuring.postgres.reason has them."""

    def __init__(self, name: str, error: BaseException, *, doing: str) -> None:
        self.code = _code(error)
        super().__init__(f"{name}: {doing}: {self.code}: {str(error).strip() or type(error).__name__}")


def _code(error: BaseException) -> str:
    """For a connection that was not made there is only a sentence: that of a missing socket, or of a session that found no
    room for the files it starts with, is not one of measuring.postgres's."""
    code, text = reason(error), str(error)
    if code != "failed":
        return code
    return "refused" if "No such file" in text else "53100" if "No space left" in text else code


class Server:
    """One session on one server, in autocommit mode."""

    def __init__(self, name: str, connection: Connection) -> None:
        self._name = name
        self._connection = connection

    async def ask(
        self, statement: str, *parameters: Scalar | list[int], within: Ns = PATIENCE
    ) -> list[tuple[Scalar, ...]]:
        """The rows of a statement, none where it returns none. ServerError if it fails or takes over `within` ns."""
        try:
            with given_up_at(self._connection, now() + within):
                cursor = await self._connection.execute(statement.encode(), parameters or None)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.Error, OSError) as error:
            raise ServerError(self._name, error, doing=" ".join(statement.split())[:200]) from error

    async def number(self, statement: str, *parameters: Scalar) -> int:
        """The one integer that a statement returns; 0 for NULL."""
        ((value,),) = await self.ask(statement, *parameters)
        return int(value or 0)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """A transaction that waits for locks for at most half the patience. On error it ends with the session."""
        await self.ask("BEGIN")
        await self.ask(f"SET LOCAL lock_timeout = {PATIENCE // 2_000_000}")
        yield
        await self.ask("COMMIT")


@asynccontextmanager
async def session(database: Database, *, within: Ns = PATIENCE) -> AsyncIterator[Server]:
    """A session on `database` as superuser. ServerError if the server does not accept it within `within` ns."""
    connection = await _connected(database, within)
    try:
        yield Server(database.spec.name, connection)
    finally:
        await connection.close()


@asynccontextmanager
async def session_if_up(database: Database, *, within: Ns = PATIENCE) -> AsyncIterator[Server | None]:
    """The same for undoing: None where the server is down (it was stopped meanwhile). One that starts, or has no slot free,
    is asked again until `within` ns are over."""
    deadline = now() + within
    connection: Connection | None = None
    while connection is None and await database.up():
        try:
            connection = await _connected(database, within)
        except ServerError as error:
            if error.code not in _PASSING or now() + AGAIN > deadline:
                raise
            await asyncio.sleep(AGAIN / SECOND)
    try:
        yield Server(database.spec.name, connection) if connection else None
    finally:
        if connection is not None:
            await connection.close()


async def _connected(database: Database, within: Ns) -> Connection:
    try:
        return await connect(database.conninfo(), now() + within)
    except (psycopg.Error, OSError) as error:
        raise ServerError(database.spec.name, error, doing="expected to connect as superuser") from error


def quoted(identifier: str) -> str:
    """An SQL identifier, quoted part by part: `public.orders` is two."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in identifier.split("."))
