"""The ledger on a real PostgreSQL: what is acknowledged is there, what is uncertain is called so."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from harness import clock
from harness.codec import writes_of
from harness.errors import InstrumentError
from harness.load.ledger import Writer, read_back
from harness.measuring.lines import Lines, read_ledger
from harness.measuring.stores import checksum
from harness.measuring.stores.postgres import outcome
from harness.model.history import Write, WriteOutcome
from harness.model.load import LedgerSpec, LedgerTarget, LedgerWork
from harness.model.units import SECOND, milliseconds
from tests.real_postgres import Server, postgres

OK, FAIL, INFO = WriteOutcome.OK, WriteOutcome.FAIL, WriteOutcome.INFO


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with postgres(tmp_path_factory.mktemp("ledger") / "pg") as running:
        running.run("CREATE ROLE app LOGIN")
        yield running


@contextlib.asynccontextmanager
async def writing(server: Server, out: Path, spec: LedgerSpec) -> AsyncIterator[asyncio.subprocess.Process]:
    """A ledger process that has acknowledged its first write, on an empty table."""
    server.run(f'DROP TABLE IF EXISTS "{spec.table}"; ' + spec.ddl())
    dsn = server.conninfo.replace("user=postgres", "user=app")
    work = LedgerWork(ledger=spec, dsn=dsn, writer="t", bound=60 * SECOND)
    argv = (sys.executable, "-m", "harness.load.ledger", msgspec.json.encode(work).decode())
    with out.open("wb") as file:
        process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, stdout=file)
    try:
        await until(lambda: any(write.outcome is OK for write in writes(out)))
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 5) == 0


async def until(condition: Callable[[], bool]) -> None:
    async def met() -> bool | None:
        return condition() or None

    assert await clock.until(met, deadline=clock.now() + 10 * SECOND, every=milliseconds(20)), "it did not come about"


def writes(out: Path) -> tuple[Write, ...]:
    return writes_of(read_ledger(out)[0], str(out))


@pytest.mark.real
async def test_what_was_acknowledged_is_read_back(server: Server, tmp_path: Path) -> None:
    out, spec = tmp_path / "ledger.jsonl", LedgerSpec("postgres", "app", period=milliseconds(20))
    async with writing(server, out, spec):
        await until(lambda: len(writes(out)) > 30)
    attempted = writes(out)
    assert {write.outcome for write in attempted} == {OK}
    assert [write.seq for write in attempted] == list(range(1, len(attempted) + 1))
    assert all(0 < write.invoked < write.done for write in attempted)
    reading = await read_back(LedgerTarget(dsn=server.conninfo, table=spec.table))
    assert {(row.writer, row.seq, row.checksum, row.count) for row in reading.rows} == {
        (write.writer, write.seq, write.checksum, 1) for write in attempted
    }
    [final] = [line.instrument for line in read_ledger(out)[0] if line.instrument and line.instrument.final]
    assert (final.asked, final.dropped, final.unfinished) == (len(attempted), 0, 0)


@pytest.mark.real
async def test_nothing_acknowledged_is_lost_when_the_server_crashes_and_uncertain_writes_are_info(
    server: Server, tmp_path: Path
) -> None:
    out, spec = tmp_path / "ledger.jsonl", LedgerSpec("postgres", "app", period=milliseconds(10))
    async with writing(server, out, spec):
        await until(lambda: len(writes(out)) > 10)
        server.stop(signal.SIGQUIT)
        crashed = clock.now()
        await until(lambda: Counter(write.outcome for write in writes(out))[FAIL] > 5)
        server.start()
        await until(lambda: writes(out)[-1].outcome is OK)
    attempted = writes(out)
    refused = [write for write in attempted if write.outcome is FAIL]
    assert {write.code for write in refused} <= {"refused", "57P03", "closed"}  # closed while it connected
    assert all(write.done > crashed - SECOND for write in refused)
    there = {row.seq for row in (await read_back(LedgerTarget(dsn=server.conninfo, table=spec.table))).rows}
    assert {write.seq for write in attempted if write.outcome is OK} <= there
    assert not {write.seq for write in refused} & there


@pytest.mark.real
async def test_a_write_that_is_never_answered_is_info_and_delays_no_other(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "ledger.jsonl"
    spec = LedgerSpec("postgres", "app", period=milliseconds(20), timeout=milliseconds(300))
    async with writing(server, out, spec):
        with psycopg.connect(server.conninfo) as other:
            other.execute(f"LOCK TABLE {spec.table}")
            began = len(writes(out))
            await until(lambda: len(writes(out)) > began + 30)
            other.rollback()
        await until(lambda: writes(out)[-1].outcome is OK)
    attempted = writes(out)
    stuck = Counter((write.outcome, write.code) for write in attempted if write.outcome is not OK)
    assert stuck[INFO, "timeout"] >= 5
    assert set(stuck) == {(INFO, "timeout")}
    gaps = [b.invoked - a.invoked for a, b in itertools.pairwise(attempted)]
    assert sorted(gaps)[len(gaps) // 2] < milliseconds(40)


@pytest.mark.real
async def test_a_writer_that_is_killed_leaves_its_intent(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "ledger.jsonl"
    spec = LedgerSpec("postgres", "app", period=milliseconds(20), timeout=milliseconds(2000))
    with contextlib.suppress(AssertionError):  # it does not end well
        async with writing(server, out, spec) as process:
            with psycopg.connect(server.conninfo) as other:
                other.execute(f"LOCK TABLE {spec.table}")
                began = len(writes(out))
                await until(lambda: len(writes(out)) > began + 3)
                os.kill(process.pid, signal.SIGKILL)
                await process.wait()
    last = writes(out)[-1]
    assert last.outcome is INFO
    assert not any(line.outcome and line.outcome.seq == last.seq for line in read_ledger(out)[0])


@pytest.mark.real
async def test_a_reading_shows_duplicates_and_rows_that_were_changed(server: Server) -> None:
    spec = LedgerSpec("postgres", "app", table="Odd ledger")
    server.run(f'DROP TABLE IF EXISTS "{spec.table}"; ' + spec.ddl())
    rows = [("t", 1, checksum("a"), "a"), ("t", 2, checksum("b"), "b"), ("t", 2, checksum("b"), "b")]
    rows += [("t", 3, checksum("c"), "changed"), ("t", 4, checksum("d"), "d"), ("t", 4, checksum("e"), "e")]
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        for row in rows:
            connection.execute('INSERT INTO "Odd ledger" VALUES (%s, %s, %s, %s)', row)
    reading = await read_back(LedgerTarget(dsn=server.conninfo, table=spec.table), place="standby-1")
    assert reading.place == "standby-1"
    assert [(row.seq, row.count) for row in reading.rows] == [(1, 1), (2, 2), (3, 1), (4, 2)]
    assert [row.checksum for row in reading.rows[:2]] == [checksum("a"), checksum("b")]
    assert reading.rows[2].checksum != checksum("c")
    assert reading.rows[3].checksum not in (checksum("d"), checksum("e"))


@pytest.mark.real
async def test_a_table_that_is_gone_is_a_reading_of_no_rows(server: Server) -> None:
    assert (await read_back(LedgerTarget(dsn=server.conninfo, table="no_such_table"))).rows == ()
    gone = server.conninfo.replace("dbname=postgres", "dbname=no_such_database")
    assert (await read_back(LedgerTarget(dsn=gone, table="rundrill_ledger"))).rows == ()


@pytest.mark.real
async def test_a_role_that_may_not_connect_reads_nothing_and_says_so(server: Server) -> None:
    with pytest.raises(InstrumentError, match="28000"):
        await read_back(
            LedgerTarget(dsn=server.conninfo.replace("user=postgres", "user=nobody"), table="rundrill_ledger")
        )


async def test_a_server_that_is_not_there_cannot_be_read() -> None:
    with pytest.raises(InstrumentError, match="refused"):
        await read_back(LedgerTarget(dsn="host=127.0.0.1 port=9 user=postgres", table="rundrill_ledger"))


async def test_the_intent_is_on_disk_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    on_disk: list[int] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        on_disk.append(sum(line.intent is not None for line in read_ledger(path)[0]))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    dsn = f"host=127.0.0.1 port={server.sockets[0].getsockname()[1]} user=app dbname=app sslmode=disable"
    lines = Lines(file)
    await Writer(LedgerWork(ledger=LedgerSpec("d", "app"), dsn=dsn), lines).write(7, clock.now(), clock.now())
    await lines.flush()
    assert on_disk[0] == 1
    [written] = writes(path)
    assert (written.seq, written.outcome) == (7, FAIL)
    server.close()
    os.close(file)


class _Diagnosed(psycopg.OperationalError):
    """An error as the server reports it, which psycopg cannot make without one."""

    def __init__(self, code: str, severity: str) -> None:
        super().__init__(f"{severity} {code}")
        self.sqlstate = code
        self.severity = severity

    @property
    def diag(self):
        return type("Diagnostic", (), {"severity_nonlocalized": self.severity})


@pytest.mark.parametrize(
    ("error", "sent", "expected"),
    [
        (psycopg.OperationalError("connection failed: Connection refused"), False, (FAIL, "refused")),
        (psycopg.OperationalError("FATAL:  the database system is starting up"), False, (FAIL, "57P03")),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), False, (FAIL, "53300")),
        (TimeoutError(), False, (FAIL, "timeout")),
        (TimeoutError(), True, (INFO, "timeout")),
        (psycopg.OperationalError("could not receive data: Connection reset by peer"), True, (INFO, "reset")),
        (psycopg.OperationalError("server closed the connection unexpectedly"), True, (INFO, "closed")),
        (_Diagnosed("40001", "ERROR"), True, (FAIL, "40001")),
        (_Diagnosed("25006", "ERROR"), True, (FAIL, "25006")),
        (_Diagnosed("57P03", "FATAL"), True, (FAIL, "57P03")),
        (_Diagnosed("42P01", "ERROR"), True, (FAIL, "42P01")),
        (_Diagnosed("53100", "ERROR"), True, (FAIL, "53100")),
        (_Diagnosed("53100", "PANIC"), True, (INFO, "53100")),
        (_Diagnosed("57P01", "FATAL"), True, (INFO, "57P01")),
        (_Diagnosed("57P01", "FATAL"), False, (FAIL, "57P01")),
        (_Diagnosed("40003", "ERROR"), True, (INFO, "40003")),
        (_Diagnosed("08006", "ERROR"), True, (INFO, "08006")),
    ],
)
def test_only_a_definite_answer_is_a_definite_outcome(
    error: Exception, sent: bool, expected: tuple[WriteOutcome, str]
) -> None:
    assert outcome(error, sent=sent) == expected
