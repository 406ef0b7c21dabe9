"""The ledger in a collection of MongoDB, or of what speaks its protocol. Its write concern is `w` (a number or `majority`),
with `+j` where the journal is asked for; "" is the server's own default."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass

from pymongo import AsyncMongoClient, ReadPreference, monitoring
from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from harness.clock import now
from harness.errors import InstrumentError
from harness.measuring.network import network_reason
from harness.measuring.stores import Entry, Said, rows
from harness.model.history import Reading, WriteOutcome
from harness.model.load import LedgerTarget
from harness.model.units import SECOND, Ns

MOST = 5
"""How many connections are kept, as a client's pool keeps them."""

UNKNOWN = frozenset({50, 91, 189, 262, 11600, 11601, 11602})
"""Answers that may come after the write was applied: MaxTimeMSExpired, ShutdownInProgress, PrimarySteppedDown,
ExceededTimeLimit, InterruptedAtShutdown, Interrupted, InterruptedDueToReplStateChange (mongo/base/error_codes.yml)."""

Document = dict[str, object]


@dataclass(slots=True)
class _Attempt:
    """Whether the command of the present task has been handed to a connection."""

    sent: bool = False


_ATTEMPT: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


class _Sending(monitoring.CommandListener):
    """Notes that a write is about to be sent: the driver says so in the task that asked for it."""

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        attempt = _ATTEMPT.get()
        if attempt is not None and event.command_name == "insert":
            attempt.sent = True

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Of no interest here."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Of no interest here."""


def reason(error: BaseException) -> str:
    """What went wrong in a word: the server's error code as a number, or one for the connection (`refused`)."""
    if isinstance(error, OperationFailure | WriteConcernError) and error.code is not None:
        return str(error.code)
    if isinstance(error, NotPrimaryError):
        return str(_code(error) or 10107)
    if isinstance(error, TimeoutError | NetworkTimeout):
        return "timeout"
    text = str(error)
    if "Connection refused" in text:
        return "refused"
    if "connection closed" in text:
        return "closed"
    if "reset by peer" in text or "Broken pipe" in text:
        return "reset"
    if isinstance(error, ServerSelectionTimeoutError):
        return "no primary"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return network_reason(cause)
        cause = cause.__cause__ or cause.__context__
    return "closed" if isinstance(error, ConnectionFailure) else "failed"


def _code(error: NotPrimaryError) -> int | None:
    found = error.details.get("code") if isinstance(error.details, dict) else None
    return found if isinstance(found, int) else None


def outcome(error: BaseException, *, sent: bool) -> Said:
    """What an error says of a write that was, or was not yet, sent.

    A write concern that was not met (wtimeout) says nothing against the write itself, which may persist; an interruption may
    come after it was applied (measurement: section 3.1).
    """
    code = reason(error)
    if not sent or isinstance(error, DuplicateKeyError):
        return WriteOutcome.FAIL, code
    if isinstance(error, WriteConcernError):  # WTimeoutError is one
        return WriteOutcome.INFO, code
    if isinstance(error, OperationFailure):
        told = error.details.get("writeConcernError") if error.details else None
        number = error.code or 0
        return (WriteOutcome.INFO if told or number in UNKNOWN or number == 0 else WriteOutcome.FAIL), code
    if isinstance(error, NotPrimaryError):
        return (WriteOutcome.INFO if (_code(error) or 10107) in UNKNOWN else WriteOutcome.FAIL), code
    return WriteOutcome.INFO, code


def concern(text: str) -> WriteConcern:
    """What `w` or `w+j` stands for. ValueError for anything else."""
    w, plus, journal = text.partition("+")
    if plus and journal != "j":
        raise ValueError(f"write concern {text!r}: expected a number or `majority`, with `+j` for the journal")
    number = int(w) if w.isdigit() else w or None
    return WriteConcern(number, j=True) if plus else WriteConcern(number)


class MongoStore:
    """Fulfils stores.Store; `target.dsn` is `mongodb://…/database`, `target.table` the collection."""

    def __init__(self, target: LedgerTarget) -> None:
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            target.dsn,
            retryWrites=False,
            retryReads=False,
            maxPoolSize=MOST,
            heartbeatFrequencyMS=500,
            serverSelectionTimeoutMS=30_000,  # the deadline of each call is the limit
            event_listeners=[_Sending()],
        )
        self._name = target.table
        database = self._client.get_default_database()
        self._collection = database.get_collection(
            target.table,
            write_concern=concern(target.concern) if target.concern else None,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )

    async def append(self, entry: Entry, deadline: Ns) -> Said:
        """Insert a document."""
        attempt = _Attempt()
        token = _ATTEMPT.set(attempt)
        document: Document = {
            "writer": entry.writer,
            "seq": entry.seq,
            "checksum": entry.checksum,
            "payload": entry.payload,
        }
        try:
            async with asyncio.timeout_at(deadline / SECOND):
                await self._collection.insert_one(document)
        except (PyMongoError, OSError) as error:  # TimeoutError is an OSError
            return outcome(error, sent=attempt.sent)
        finally:
            _ATTEMPT.reset(token)
        return WriteOutcome.OK, ""

    async def read(self, place: str, deadline: Ns) -> Reading:
        """Read the whole collection from the primary, as a majority has it."""
        invoked = now()
        try:
            async with asyncio.timeout_at(deadline / SECOND):
                found = [_entry(document) async for document in self._collection.find({})]
        except (PyMongoError, OSError) as error:
            raise InstrumentError(
                f"ledger {self._name}: expected to read it at the {place}, found {reason(error)}: {error}"
            ) from error
        return Reading(place, invoked, now(), rows(found))

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()


def _entry(document: Document) -> Entry:
    """A document as it was inserted; one that is no such thing has no id of a writer's, and so is a phantom."""
    seq = document.get("seq")
    return Entry(
        str(document.get("writer", "unreadable")),
        seq if isinstance(seq, int) else -1,
        str(document.get("checksum", "")),
        str(document.get("payload", "")),
    )
