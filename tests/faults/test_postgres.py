"""Indexes, data and servers that go, on a real server."""

import asyncio

import pytest

from harness.clock import now, until
from harness.errors import FaultError
from harness.faults import CrashDatabase, DropIndex, LoseData
from harness.faults.server import session
from harness.model.units import seconds
from harness.ports import Database
from tests.faults.conftest import Staged

pytestmark = pytest.mark.real

INDEX = "idx_orders_user_created"
DROP = DropIndex(database="main", index=INDEX)


async def definition(database: Database, index: str = INDEX) -> str | None:
    async with session(database) as server:
        rows = await server.ask("SELECT pg_get_indexdef(to_regclass(%s))", index)
    return rows[0][0]


async def do(database: Database, *statements: str) -> None:
    async with session(database) as server:
        for statement in statements:
            await server.ask(statement)


async def rows(database: Database, table: str) -> int:
    async with session(database) as server:
        return await server.number(f"SELECT count(*) FROM {table}")


async def test_a_dropped_index_is_gone_and_comes_back_as_it_was(staged: Staged) -> None:
    async with staged(DROP) as stage:
        database = stage.environment.database("main")
        before = await definition(database)
        async with DROP.applied_to(stage) as injection:
            assert injection.felt
            assert injection.evidence["indexes_left"] == 0
            assert injection.evidence["definition"] == before
            assert await definition(database) is None
        assert await definition(database) == before


@pytest.mark.parametrize("meanwhile", [
    (f"CREATE INDEX {INDEX} ON orders (user_id)",),
    ("CREATE INDEX other ON orders (user_id, created_at)",),
    ("DROP TABLE orders",),
    ("ALTER TABLE orders DROP COLUMN created_at",),
])  # fmt: skip
async def test_an_index_is_made_again_only_where_nobody_did_and_it_can_be(
    staged: Staged, meanwhile: tuple[str, ...]
) -> None:
    async with staged(DROP) as stage:
        database = stage.environment.database("main")
        before = await definition(database)
        async with DROP.applied_to(stage):
            await do(database, *meanwhile)
            made = await definition(database)
        possible = "DROP" not in meanwhile[0]
        assert await definition(database) == (made or (before if possible else None))


async def test_an_index_is_not_made_on_a_server_that_was_stopped(staged: Staged) -> None:
    async with staged(DROP) as stage:
        database = stage.environment.database("main")
        async with DROP.applied_to(stage):
            await database.stop()
        assert not await database.up()


@pytest.mark.parametrize(
    ("index", "why"), [("nothing", "there is none"), ("orders_pkey", "the constraint orders_pkey|needs")]
)
async def test_an_index_that_is_not_there_or_needed_cannot_be_dropped(staged: Staged, index: str, why: str) -> None:
    fault = DropIndex(database="main", index=index)
    async with staged(fault) as stage:
        with pytest.raises(FaultError, match=why):
            async with fault.applied_to(stage):
                pytest.fail("it was applied")


async def test_a_dropped_table_is_gone_with_its_rows_and_nobody_brings_it_back(staged: Staged) -> None:
    fault = LoseData(database="main", tables=("orders",))
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage) as injection:
            assert injection.felt
            assert injection.evidence["orders_before"] == 4000
            assert injection.evidence["orders_after"] is None
            assert injection.evidence["tables_gone"] == 1
        async with session(database) as server:
            assert await server.number("SELECT count(to_regclass('orders'))") == 0


async def test_deleted_rows_are_about_the_share_that_was_asked_for_and_the_same_for_a_seed(staged: Staged) -> None:
    fault = LoseData(database="main", tables=("orders",), how="delete", share=0.25)
    left = []
    for _ in range(2):
        async with staged(fault) as stage:
            async with fault.applied_to(stage) as injection:
                assert injection.felt
            left.append(injection.evidence["rows_after"])
            assert await rows(stage.environment.database("main"), "orders") == left[-1]
    assert 2800 < left[0] < 3200
    assert left[0] == left[1]


async def test_truncated_tables_are_empty(staged: Staged) -> None:
    fault = LoseData(database="main", tables=("orders", "products"), how="truncate")
    async with staged(fault) as stage, fault.applied_to(stage) as injection:
        assert injection.evidence["rows_before"] == 6000
        assert injection.evidence["rows_after"] == 0
        assert await rows(stage.environment.database("main"), "products") == 0


async def test_a_statement_of_ones_own_loses_what_it_loses(staged: Staged) -> None:
    fault = LoseData(database="main", tables=("orders",), statement="DELETE FROM orders WHERE user_id % 2 = 0")
    async with staged(fault) as stage, fault.applied_to(stage) as injection:
        assert injection.felt
        assert 0 < int(injection.evidence["rows_after"] or 0) < 4000


async def test_a_loss_of_nothing_is_not_felt(staged: Staged) -> None:
    fault = LoseData(database="main", tables=("orders",), statement="DELETE FROM orders WHERE false")
    async with staged(fault) as stage, fault.applied_to(stage) as injection:
        assert not injection.felt
        assert injection.why


@pytest.mark.parametrize(
    ("tables", "why"), [(("products", "nothing"), "there is none"), (("products",), "other objects depend on it")]
)
async def test_all_tables_are_lost_or_none(staged: Staged, tables: tuple[str, ...], why: str) -> None:
    fault = LoseData(database="main", tables=tables)
    async with staged(fault) as stage:
        with pytest.raises(FaultError, match=why):
            async with fault.applied_to(stage):
                pytest.fail("it was applied")
        assert await rows(stage.environment.database("main"), "products") == 2000


async def test_a_crashed_server_is_down_until_the_fault_ends(staged: Staged) -> None:
    fault = CrashDatabase(database="main")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        before = await rows(database, "orders")
        async with fault.applied_to(stage) as injection:
            assert injection.felt
            assert injection.evidence["connecting"] == "refused"
            assert not await database.up()
            with pytest.raises(FaultError, match="it is down"):
                async with fault.applied_to(stage):
                    pytest.fail("it was applied")
        assert await rows(database, "orders") == before
        assert "was not properly shut down" in await database.log_tail(50)


async def test_a_crashed_server_that_the_operator_started_is_left_alone(staged: Staged) -> None:
    fault = CrashDatabase(database="main")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage):
            await database.start()
            started = database.pid
        assert database.pid == started


async def test_a_table_is_dropped_while_somebody_writes_to_what_it_refers_to(staged: Staged) -> None:
    fault = LoseData(database="main", tables=("orders",))
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with session(database) as writer, session(database) as watcher:
            await writer.ask("BEGIN")
            await writer.ask("SELECT 1 FROM products WHERE id = 1 FOR UPDATE")
            losing = asyncio.create_task(fault.applied_to(stage).__aenter__())

            async def waits() -> bool | None:
                return True if await watcher.number("SELECT count(*) FROM pg_locks WHERE NOT granted") else None

            assert await until(waits, deadline=now() + seconds(5))
            await writer.ask("INSERT INTO orders (user_id, product_id, quantity) VALUES (1, 1, 1)")
            await writer.ask("COMMIT")
            assert (await losing).felt
