"""The ledger in a table of PostgreSQL. Its write concern is a value of synchronous_commit; "" leaves the server's own."""

import psycopg
import psycopg.conninfo

from harness.clock import now
from harness.errors import InstrumentError
from harness.measuring.postgres import Connections, connect, given_up_at, reason
from harness.measuring.stores import Entry, Said
from harness.model.history import Reading, Row, WriteOutcome
from harness.model.load import LedgerTarget, quoted
from harness.model.units import Ns, show

NOT_DONE = frozenset({"57P03", "25006", "40001"})
"""Answers after which nothing was written, whatever their severity (measurement: section 3.1)."""

UNKNOWN = frozenset({"40003"})
"""Errors that say themselves that nobody knows (statement_completion_unknown)."""

GONE = frozenset({"42P01", "3D000"})
"""The table, or the database, is not there."""


def outcome(error: BaseException, *, sent: bool) -> Said:
    """What an error says of a write that was, or was not yet, sent; and the code to record.

    After sending, only an ERROR (not a FATAL, not a silence) proves that the transaction was rolled back.
    """
    code = reason(error)
    if not sent or code in NOT_DONE:
        return WriteOutcome.FAIL, code
    refused = isinstance(error, psycopg.Error) and error.diag.severity_nonlocalized == "ERROR"
    if refused and code not in UNKNOWN and not code.startswith("08"):
        return WriteOutcome.FAIL, code
    return WriteOutcome.INFO, code


class PostgresStore:
    """Fulfils stores.Store; `target.dsn` is libpq's."""

    def __init__(self, target: LedgerTarget) -> None:
        self._dsn = target.dsn
        if target.concern:
            own = psycopg.conninfo.conninfo_to_dict(target.dsn).get("options") or ""
            setting = f"{own} -c synchronous_commit={target.concern}".strip()
            self._dsn = psycopg.conninfo.make_conninfo(target.dsn, options=setting)
        self._table = target.table
        self._connections = Connections(self._dsn)
        self._insert = (
            f"INSERT INTO {quoted(target.table)} (writer, seq, checksum, payload) "  # noqa: S608 - quoted
            "VALUES (%s, %s, %s, %s)"
        ).encode()

    async def append(self, entry: Entry, deadline: Ns) -> Said:
        """Insert a row, and commit."""
        sent = False
        try:
            async with self._connections.taken(deadline) as connection:
                sent = True
                await connection.execute(self._insert, (entry.writer, entry.seq, entry.checksum, entry.payload))
        except (psycopg.Error, OSError, TimeoutError) as error:
            return outcome(error, sent=sent)
        return WriteOutcome.OK, ""

    async def read(self, place: str, deadline: Ns) -> Reading:
        """Read the whole table in one statement, grouped by the server."""
        query = (
            "SELECT writer, seq, string_agg(DISTINCT CASE WHEN checksum = left(encode(sha256(convert_to(payload, "  # noqa: S608
            "'UTF8')), 'hex'), 16) THEN checksum ELSE checksum || ' with another payload' END, ', '), count(*) "
            f"FROM {quoted(self._table)} GROUP BY writer, seq ORDER BY writer, seq"
        ).encode()
        invoked = now()
        try:
            connection = await connect(self._dsn, deadline)
            try:
                with given_up_at(connection, deadline):
                    found = await (await connection.execute(query)).fetchall()
            finally:
                await connection.close()
        except (psycopg.Error, OSError, TimeoutError) as error:
            code = reason(error)
            if code in GONE:
                return Reading(place, invoked, now(), ())
            told = str(error).strip() or f"no answer in {show(deadline - invoked)}"
            raise InstrumentError(
                f"ledger {self._table}: expected to read it at the {place}, found {code}: {told}"
            ) from error
        return Reading(place, invoked, now(), tuple(Row(*row) for row in found))

    async def close(self) -> None:
        """Close the connections that are idle."""
        await self._connections.close()
