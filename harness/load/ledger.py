"""The write ledger, a process of its own inside the environment: `python -m harness.load.ledger SPEC`, SPEC being a
LedgerWork as JSON. Numbered writes, the intent on disk before each is sent; one LedgerLine per line on standard output."""

import asyncio
import hashlib
import sys

import msgspec
import psycopg

from harness.clock import now
from harness.errors import InstrumentError
from harness.measuring.lines import Lines, lines_to
from harness.measuring.openloop import OpenLoop, Stream, stop_when_told
from harness.measuring.postgres import Connections, connect, given_up_at, reason
from harness.model.history import Reading, Row, WriteOutcome
from harness.model.load import InstrumentReport, Intent, LedgerLine, LedgerWork, Outcome, quoted
from harness.model.units import Ns, seconds, show

NOT_DONE = frozenset({"57P03", "25006", "40001"})
"""Answers after which nothing was written, whatever their severity (measurement: section 3.1)."""

UNKNOWN = frozenset({"40003"})
"""Errors that say themselves that nobody knows (statement_completion_unknown)."""


def outcome(error: BaseException, *, sent: bool) -> tuple[WriteOutcome, str]:
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


def checksum(payload: str) -> str:
    """The first 16 hexadecimal digits of a payload's SHA-256."""
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


class Writer:
    """Writes the ledger's rows, one for each number it is given."""

    def __init__(self, work: LedgerWork, lines: Lines) -> None:
        self._writer = work.writer
        self._timeout = work.ledger.timeout
        self._lines = lines
        self._insert = (
            f"INSERT INTO {quoted(work.ledger.table)} (writer, seq, checksum, payload) "  # noqa: S608 - quoted
            "VALUES (%s, %s, %s, %s)"
        ).encode()
        self.connections = Connections(work.dsn)

    async def write(self, seq: int, scheduled: Ns, sent: Ns) -> None:
        """Write row `seq`: its intent first, its outcome last."""
        payload = f"{self._writer}/{seq} at {sent}"
        digest = checksum(payload)
        self._lines.put(LedgerLine(intent=Intent(self._writer, seq, digest, now())))
        await self._lines.flush()
        what, code = await self._attempt(seq, digest, payload, scheduled + self._timeout)
        self._lines.put(LedgerLine(outcome=Outcome(self._writer, seq, now(), what, code)))

    async def _attempt(self, seq: int, digest: str, payload: str, deadline: Ns) -> tuple[WriteOutcome, str]:
        sent = False
        try:
            async with self.connections.taken(deadline) as connection:
                sent = True
                await connection.execute(self._insert, (self._writer, seq, digest, payload))
        except (psycopg.Error, OSError, TimeoutError) as error:
            return outcome(error, sent=sent)
        return WriteOutcome.OK, ""


async def write_all(work: LedgerWork) -> None:
    """Write until told to stop."""
    stop = stop_when_told()
    async with lines_to() as lines:
        writer = Writer(work, lines)

        def report(made: InstrumentReport) -> None:
            lines.put(LedgerLine(instrument=made))

        stream = Stream(work.ledger.timeout, writer.write, saturated=lambda _number, _scheduled: None)
        try:
            await OpenLoop([stream], period=work.ledger.period, worker="ledger", report=report).run(
                stop=stop, bound=work.bound
            )
        finally:
            await writer.connections.close()


async def read_back(conninfo: str, table: str, *, place: str = "primary", timeout: Ns = seconds(10)) -> Reading:
    """Read the whole ledger in one statement. A table or database that is gone is a reading of no rows.

    Where payload and checksum of a row do not belong together, or rows of one id differ, the checksum says so and so
    matches none that was written. InstrumentError if the server does not answer: what was lost is then not known.
    """
    query = (
        "SELECT writer, seq, string_agg(DISTINCT CASE WHEN checksum = left(encode(sha256(convert_to(payload, 'UTF8')), "  # noqa: S608
        f"'hex'), 16) THEN checksum ELSE checksum || ' with another payload' END, ', '), count(*) FROM {quoted(table)} "
        "GROUP BY writer, seq ORDER BY writer, seq"
    ).encode()
    invoked = now()
    try:
        connection = await connect(conninfo, invoked + timeout)
        try:
            with given_up_at(connection, invoked + timeout):
                rows = await (await connection.execute(query)).fetchall()
        finally:
            await connection.close()
    except (psycopg.Error, OSError, TimeoutError) as error:
        if reason(error) in ("42P01", "3D000"):
            return Reading(place, invoked, now(), ())
        found = str(error).strip() or f"no answer in {show(timeout)}"
        raise InstrumentError(
            f"ledger {table}: expected to read it at the {place}, found {reason(error)}: {found}"
        ) from error
    return Reading(place, invoked, now(), tuple(Row(writer, seq, digest, count) for writer, seq, digest, count in rows))


def main(argv: list[str]) -> int:
    """Run the writer; 2 if its specification cannot be read."""
    try:
        work = msgspec.json.decode(argv[1] if len(argv) == 2 else "", type=LedgerWork)
    except msgspec.DecodeError as error:
        sys.stderr.write(f"harness.load.ledger: expected one LedgerWork as JSON, found {argv[1:]}: {error}\n")
        return 2
    asyncio.run(write_all(work))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
