"""How the workers reach PostgreSQL: connections with an end to every wait, kept or not, and short words for what went
wrong. psycopg's own cancelling is not used: it waits for the server, which may be the one that does not answer."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from harness.clock import now
from harness.model.units import SECOND, Ns

Connection = AsyncConnection[TupleRow]

# libpq gives no SQLSTATE for a connection that was not made, only the server's or the system's sentence.
_SENTENCES = (
    ("onnection refused", "refused"),
    ("resolve host", "dns"),
    ("Name or service not known", "dns"),
    ("name resolution", "dns"),
    ("the database system is", "57P03"),
    ("not currently accepting connections", "55000"),
    ("too many clients", "53300"),
    ("connection slots", "53300"),
    ("too many connections", "53300"),
    ("password authentication failed", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("administrator command", "57P01"),
    ("timeout", "timeout"),
    ("timed out", "timeout"),
    ("eset by peer", "reset"),
    ("roken pipe", "reset"),
    ("closed", "closed"),
    ("EOF", "closed"),
    ("FATAL:  role", "28000"),
    ("does not exist", "3D000"),
    ("nreachable", "unreachable"),
    ("o route to host", "unreachable"),
)


def reason(error: BaseException) -> str:
    """What went wrong in a word: an SQLSTATE, `refused`, `reset`, `closed`, `timeout`, `dns`, `unreachable` or `failed`."""
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return error.sqlstate
    if isinstance(error, TimeoutError):
        return "timeout"
    text = str(error)
    return next((word for sentence, word in _SENTENCES if sentence in text), "failed")


@contextmanager
def given_up_at(connection: Connection, deadline: Ns) -> Iterator[None]:
    """Shut the connection's socket down at `deadline`, so that whatever waits on it fails then: a TimeoutError."""
    given_up = False

    def give_up() -> None:
        nonlocal given_up
        given_up = True
        sever(connection)

    timer = asyncio.get_running_loop().call_at(deadline / SECOND, give_up)
    try:
        yield
    except asyncio.CancelledError:
        sever(connection)
        raise
    except psycopg.OperationalError as error:
        if given_up:
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()


def sever(connection: Connection) -> None:
    """End the connection at once, without a word to the server."""
    with suppress(OSError, psycopg.OperationalError), socket.socket(fileno=os.dup(connection.fileno())) as own:
        own.shutdown(socket.SHUT_RDWR)


async def connect(conninfo: str, deadline: Ns) -> Connection:
    """A new connection in autocommit mode: psycopg.Error, OSError, or TimeoutError at `deadline`."""
    async with asyncio.timeout_at(deadline / SECOND):
        return await AsyncConnection.connect(conninfo, autocommit=True)


class Connections:
    """Long-lived connections to one database, at most `most`, as a client's pool keeps them: reused until they break, made
    anew when needed, and never checked before use, so that a stale one shows."""

    def __init__(self, conninfo: str, *, most: int = 5) -> None:
        self._conninfo = conninfo
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(most)

    @asynccontextmanager
    async def taken(self, deadline: Ns) -> AsyncIterator[Connection]:
        """A connection, given back afterwards; TimeoutError if there is none, or the block has not ended, at `deadline`."""
        async with asyncio.timeout_at(deadline / SECOND):
            await self._room.acquire()
        try:
            connection = self._idle.pop() if self._idle else await connect(self._conninfo, deadline)
            try:
                with given_up_at(connection, deadline):
                    yield connection
            finally:
                if connection.broken or connection.closed or now() >= deadline:
                    await connection.close()
                else:
                    self._idle.append(connection)
        finally:
            self._room.release()

    async def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            await self._idle.pop().close()
