"""The ledger in a list of Redis or Valkey, spoken to over connections of our own making: the client library's own pool and
retries would send a write again. Its write concern is how many replicas must have it before it counts (WAIT); "" for none.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
from valkey.asyncio.connection import Connection, parse_url
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ExecAbortError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
    ValkeyError,
)
from valkey.exceptions import (
    ConnectionError as ValkeyConnectionError,
)

from harness.clock import now
from harness.errors import InstrumentError
from harness.measuring.network import network_reason
from harness.measuring.stores import Entry, Said, rows
from harness.model.history import Reading, WriteOutcome
from harness.model.load import LedgerTarget
from harness.model.units import SECOND, Ns, milliseconds

MOST = 5
"""How many connections are kept, as a client's pool keeps them."""

AGAIN: Ns = milliseconds(50)

NOTICING: Ns = milliseconds(120)
"""How much later than asked the server may give up waiting for replicas: it looks ten times a second."""

_WORDS: tuple[tuple[type[ValkeyError], str], ...] = (
    (ReadOnlyError, "READONLY"),
    (BusyLoadingError, "LOADING"),
    (OutOfMemoryError, "OOM"),
    (NoPermissionError, "NOPERM"),
    (AuthenticationError, "NOAUTH"),
    (MovedError, "MOVED"),
    (AskError, "ASK"),
    (ClusterDownError, "CLUSTERDOWN"),
    (MasterDownError, "MASTERDOWN"),
    (TryAgainError, "TRYAGAIN"),
    (ExecAbortError, "EXECABORT"),
)
"""The library takes the server's first word off the errors that it has a class for."""


def reason(error: BaseException) -> str:
    """What went wrong in a word: the server's own first word (`READONLY`), or one for the connection (`refused`)."""
    if isinstance(error, TimeoutError):
        return "timeout"
    known = next((word for kind, word in _WORDS if isinstance(error, kind)), "")
    if known:
        return known
    if isinstance(error, ResponseError):
        first = str(error).partition(" ")[0]
        return first if first.isupper() else "ERR"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return network_reason(cause)
        cause = cause.__cause__ or cause.__context__
    return "closed" if isinstance(error, ValkeyConnectionError | EOFError) else "failed"


def outcome(error: BaseException, *, sent: bool) -> Said:
    """What an error says of a write that was, or was not yet, sent. An error *answered* to the write itself (READONLY,
    NOREPLICAS, LOADING, MOVED, OOM, …) is given before anything is changed (measurement: section 3.1)."""
    code = reason(error)
    # The library has BusyLoadingError, for one, among its connection errors, though the server answered.
    answered = isinstance(error, ResponseError) or any(isinstance(error, kind) for kind, _ in _WORDS)
    return (WriteOutcome.FAIL if answered or not sent else WriteOutcome.INFO), code


class RedisStore:
    """Fulfils stores.Store; `target.dsn` is `redis://[[user]:password@]host:port[/db]`, `target.table` the list's key."""

    def __init__(self, target: LedgerTarget) -> None:
        self._options = parse_url(target.dsn)
        self._key = target.table
        self._replicas = int(target.concern or 0)
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(MOST)

    async def append(self, entry: Entry, deadline: Ns) -> Said:
        """Push an element; with a concern, wait until so many replicas have it."""
        element = msgspec.json.encode((entry.writer, entry.seq, entry.checksum, entry.payload))
        sent = False
        try:
            async with asyncio.timeout_at(deadline / SECOND), self._taken() as connection:
                await connection.connect()  # type: ignore[no-untyped-call]
                sent = True
                await self._told(connection, "RPUSH", self._key, element)
                return await self._replicated(connection, deadline) if self._replicas else (WriteOutcome.OK, "")
        except (ValkeyError, OSError, EOFError) as error:  # TimeoutError is an OSError
            return outcome(error, sent=sent)

    async def _replicated(self, connection: Connection, deadline: Ns) -> Said:
        """Whether enough replicas acknowledged. What the primary has applied is `info` where they did not."""
        left_ms = max(1, (deadline - NOTICING - now()) // milliseconds(1))
        try:
            count = await self._told(connection, "WAIT", self._replicas, left_ms)
        except (ValkeyError, OSError, EOFError) as error:
            return WriteOutcome.INFO, reason(error)
        enough = isinstance(count, int) and count >= self._replicas
        return (WriteOutcome.OK, "") if enough else (WriteOutcome.INFO, f"WAIT {count}")

    async def read(self, place: str, deadline: Ns) -> Reading:
        """Read the whole list, from a server that is a primary; one that still loads its data is waited for."""
        while True:
            invoked = now()
            try:
                async with asyncio.timeout_at(deadline / SECOND), self._taken() as connection:
                    await connection.connect()  # type: ignore[no-untyped-call]
                    role = await self._told(connection, "ROLE")
                    elements = await self._told(connection, "LRANGE", self._key, 0, -1)
            except BusyLoadingError:
                await asyncio.sleep(AGAIN / SECOND)
                continue
            except (ValkeyError, OSError, EOFError) as error:
                raise InstrumentError(
                    f"ledger {self._key}: expected to read it at the {place}, found {reason(error)}: {error}"
                ) from error
            if not isinstance(role, list) or role[0] != b"master":
                raise InstrumentError(f"ledger {self._key}: expected a primary at the {place}, found the role {role!r}")
            found = [_entry(each, number) for number, each in enumerate(elements if isinstance(elements, list) else ())]
            return Reading(place, invoked, now(), rows(found))

    async def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            await _ended(self._idle.pop())

    async def _told(self, connection: Connection, *words: str | bytes | int) -> object:
        await connection.send_command(*words)
        answer: object = await connection.read_response()
        return answer

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[Connection]:
        """A connection, never checked before use, so that a stale one shows; given back if it is still whole."""
        async with self._room:
            connection = self._idle.pop() if self._idle else self._made()
            whole = False
            try:
                yield connection
                whole = connection.is_connected
            except ResponseError:
                whole = connection.is_connected
                raise
            finally:
                if whole:
                    self._idle.append(connection)
                else:
                    await _ended(connection)

    def _made(self) -> Connection:
        return Connection(
            **self._options,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            lib_name=None,
            lib_version=None,
        )


def _entry(element: object, number: int) -> Entry:
    """An element of the list as it was pushed; one that is no such thing has no id of a writer's, and so is a phantom."""
    with suppress(msgspec.DecodeError):
        return Entry(
            *msgspec.json.decode(element if isinstance(element, bytes) else b"", type=tuple[str, int, str, str])
        )
    return Entry("unreadable", number, "", repr(element)[:100])


async def _ended(connection: Connection) -> None:
    with suppress(ValkeyError, OSError):
        await connection.disconnect(nowait=True)
