"""A cache and a document store, and what is asked of them on every substrate: where they are, what the operator has of them, what
they keep."""

import signal

import msgspec
import pytest

from harness.load import reaching
from harness.measuring.stores import Entry, checksum
from harness.model.load import LedgerSpec, LedgerTarget
from harness.model.topology import Mongo, Redis, Topology
from harness.model.units import seconds
from harness.ports import Environment

CACHE = Redis("cache", hosts=("cache.internal",), password="open-sesame/?", settings=(("appendonly", "yes"),))
DOCS = Mongo("docs", database="shop", hosts=("mongo.internal",), journaled=True)
TOPOLOGY = Topology("stores", stores=(CACHE, DOCS))
LEDGERS = (LedgerSpec("cache"), LedgerSpec("docs", concern="majority"))
WRONG = Topology("stores", stores=(Redis("cache", settings=(("no-such-setting", "1"),)),))

_APPEND = """
import asyncio, msgspec, sys
from harness.clock import now
from harness.measuring.stores import Entry, opened
from harness.model.load import LedgerTarget

async def main():
    store = opened(msgspec.json.decode(sys.argv[1], type=LedgerTarget))
    print(await store.append(Entry(*msgspec.json.decode(sys.argv[2])), now() + 10**10))
    await store.close()

asyncio.run(main())
"""


async def written_and_read_where_programs_inside_find_them(up: Environment) -> None:
    """An entry for the ledger of each."""
    for ledger in LEDGERS:
        target = LedgerTarget(
            dsn=reaching.dsn(TOPOLOGY, up, ledger.database),
            table=ledger.table,
            kind=reaching.kind(TOPOLOGY, ledger.database),
        )
        entry = Entry("w1", 1, checksum("it"), "it")
        fields = (entry.writer, entry.seq, entry.checksum, entry.payload)
        words = (msgspec.json.encode(target).decode(), msgspec.json.encode(fields).decode())
        done = await up.run((up.python, "-c", _APPEND, *words), timeout=seconds(40))
        assert done.ok, done.stderr
        assert "ok" in done.stdout
        found = [each async for each in reaching.readings(TOPOLOGY, up, ledger)]
        assert [[(row.writer, row.seq, row.count) for row in each.rows] for each in found] == [[("w1", 1, 1)]] * 2


async def killed_started_stopped_and_seen(up: Environment) -> None:
    """Each of them, in turn; it is down afterwards."""
    for name in ("cache", "docs"):
        store = up.store(name)
        [process, *_] = await store.processes()
        await store.signal([process], signal.SIGKILL)
        await store.start()
        [again, *_] = await store.processes()
        assert again != process
        assert await store.up()
        await store.stop()
        assert not await store.up()
        assert await store.processes() == []
    with pytest.raises(KeyError):
        up.store("nothing")


async def restarted_by_their_usual_names(up: Environment) -> None:
    """By the operator."""
    for name, service in (("cache", "redis-server"), ("docs", "mongod")):
        [before, *_] = await up.store(name).processes()
        done = await up.operate(("service", service, "restart"), timeout=seconds(30))
        assert done.ok, done.stderr
        [after, *_] = await up.store(name).processes()
        assert after != before


async def asked_by_redis_cli(up: Environment) -> None:
    """The operator's, which means the first server and knows its password."""
    for where in ((), ("-h", "cache.internal"), ("-h", "cache", "-p", "6379")):
        done = await up.operate(("redis-cli", *where, "PING"), timeout=seconds(10))
        assert done.stdout.strip() == "PONG", done.stderr
    done = await up.operate(("redis-cli", "CONFIG", "GET", "appendonly"), timeout=seconds(10))
    assert done.stdout.split() == ["appendonly", "yes"]
