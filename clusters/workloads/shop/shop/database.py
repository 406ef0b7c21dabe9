"""The way to PostgreSQL: one pool per process, and no wait without an end. Not what is asked (shop.queries)."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from shop.settings import Settings

Connection = AsyncConnection[DictRow]


class Unanswered(Exception):  # noqa: N818 - it is what happened, not a mistake
    """The server did not answer in time; the connection was given up."""


class Database:
    """The pool of this process. It opens in the background: the service listens whether or not there is a server."""

    def __init__(self, settings: Settings) -> None:
        self._patience = settings.query_timeout
        self._check_patience = settings.pool_timeout
        self.conninfo = _conninfo(settings)
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self.conninfo,
            kwargs={"autocommit": True, "row_factory": dict_row},
            min_size=settings.pool_min,
            max_size=settings.pool_size,
            timeout=settings.pool_timeout,
            max_lifetime=settings.pool_max_lifetime,
            max_idle=settings.pool_max_idle,
            # The pool doubles its delay from one second; giving up early and letting the next request try again
            # bounds the time from the server's return to the service's.
            reconnect_timeout=settings.reconnect_timeout,
            check=self._check,
            open=False,
            name=settings.service,
        )

    async def open(self) -> None:
        """Begin to connect."""
        await self.pool.open(wait=False)

    async def close(self) -> None:
        """Give all connections back to the server."""
        await self.pool.close(timeout=1.0)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection from the pool: PoolTimeout if none is free in time, Unanswered if the server falls silent."""
        async with self.pool.connection() as connection:
            with _given_up_after(connection, self._patience):
                yield connection

    async def _check(self, connection: Connection) -> None:
        with _given_up_after(connection, self._check_patience):
            await connection.execute("")


@contextmanager
def _given_up_after(connection: Connection, seconds: float) -> Iterator[None]:
    """Shut the connection's socket down if the block has not ended in time.

    Cancelling would wait for the server's consent, which a paused server never gives.
    """
    given_up = False

    def give_up() -> None:
        nonlocal given_up
        given_up = True
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as own:
            own.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(seconds, give_up)
    try:
        yield
    except Exception as error:
        if given_up:
            raise Unanswered(f"no answer from the database in {seconds:g} s") from error
        raise
    finally:
        timer.cancel()


def _conninfo(settings: Settings) -> str:
    own: dict[str, str | int] = {"application_name": settings.application_name, "connect_timeout": 2}
    given = conninfo_to_dict(settings.conninfo)
    if settings.statement_timeout_ms:
        asked = f"-c statement_timeout={settings.statement_timeout_ms}"
        own["options"] = f"{given.get('options') or ''} {asked}".strip()
    return make_conninfo(settings.conninfo, **own)
