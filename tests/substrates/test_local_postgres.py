"""PostgreSQL in a local environment: as it was asked for, ready at once, with nothing of its durability given up."""

import dataclasses
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from harness.clock import now, until
from harness.errors import SubstrateError
from harness.model.topology import Postgres, Role, Topology
from harness.model.units import SECOND, hours, milliseconds, seconds
from harness.ports import Database
from harness.substrates.local import Local
from tests.substrates.conftest import ORDERS, TOPOLOGY, Bring

pytestmark = pytest.mark.real


async def ask(database: Database, sql: str, **options: str) -> Sequence[tuple[object, ...]]:
    conninfo = database.conninfo(**options)
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        return await (await connection.execute(sql)).fetchall()


def fill(path: Path) -> None:
    with path.open("wb") as file:
        while True:
            file.write(b"x" * 65536)
            file.flush()


def remove(path: Path) -> None:
    path.unlink()


async def test_the_harness_connects_as_superuser_from_outside(isolation: str, bring: Bring) -> None:
    async with bring() as environment:
        assert environment.isolation == isolation
        database = environment.database("orders")
        found = await ask(database, "SELECT current_user, current_database(), current_setting('application_name')")
        assert found == [("postgres", "shop", "rundrill")]
        assert await ask(database, "SELECT current_database()", dbname="postgres") == [("postgres",)]
        assert await ask(database, "SELECT count(*), pg_get_userbyid(relowner) FROM products, pg_class "
                                   "WHERE relname = 'products' GROUP BY 2") == [(2, "shop")]  # fmt: skip


async def test_nothing_of_its_durability_is_given_up(isolation: str, bring: Bring) -> None:
    async with bring() as environment:
        names = "'fsync', 'full_page_writes', 'synchronous_commit'"
        found = await ask(environment.database("orders"), f"SELECT setting FROM pg_settings WHERE name IN ({names})")
    assert found == [("on",)] * 3


async def test_roles_log_in_with_their_passwords_and_others_do_not(namespaces: str, bring: Bring) -> None:
    async with bring() as environment:
        who = await environment.operate(
            ["psql", "-h", "orders-db.prod.svc", "-U", "ops", "shop", "-Atc", "SHOW is_superuser"], timeout=5 * SECOND
        )
        wrong = await environment.operate(
            ["psql", "-h", "db.prod.internal", "-U", "shop", "shop", "-c", "SELECT 1"],
            env={"PGPASSWORD": "wrong"},
            timeout=5 * SECOND,
        )
    assert (who.stdout, who.stderr) == ("on\n", "")
    assert wrong.status == 2
    assert "password authentication failed" in wrong.stderr


async def test_every_host_name_leads_to_the_usual_port(namespaces: str, bring: Bring) -> None:
    second = dataclasses.replace(ORDERS, name="users", database="people", hosts=("users.prod.internal",))
    async with bring(Topology("two", databases=(ORDERS, second))) as environment:
        assert environment.peer("orders").host == "db.prod.internal"
        assert environment.peer("users").port == 5432
        for host, database in (("db.prod.internal", "shop"), ("users.prod.internal", "people"), ("localhost", "shop")):
            done = await environment.operate(
                ["psql", "-w", "-h", host, "-p", "5432", "-U", "shop", database, "-Atc", "SELECT current_database()"],
                timeout=5 * SECOND,
            )
            assert (done.stdout, done.stderr) == (f"{database}\n", "")


async def test_settings_come_from_the_topology_and_alter_system_prevails(isolation: str, bring: Bring) -> None:
    topology = TOPOLOGY.with_database(ORDERS.with_settings(max_connections="17", log_min_duration_statement="5"))
    async with bring(topology) as environment:
        database = environment.database("orders")
        assert await ask(database, "SHOW max_connections") == [("17",)]
        async with await psycopg.AsyncConnection.connect(database.conninfo(), autocommit=True) as connection:
            await connection.execute("ALTER SYSTEM SET max_connections = 23")
        await database.stop()
        await database.start()
        assert await ask(database, "SHOW max_connections") == [("23",)]
        assert await ask(database, "SELECT count(*) > 0 FROM pg_stat_statements") == [(True,)]


async def test_a_killed_server_can_be_started_again(isolation: str, bring: Bring) -> None:
    async with bring() as environment:
        database = environment.database("orders")
        before = database.pid
        os.kill(before, signal.SIGKILL)

        async def down() -> bool | None:
            try:
                return None if database.pid else True
            except SubstrateError:
                return True

        assert await until(down, deadline=now() + 2 * SECOND)
        await database.start()
        assert database.pid != before
        assert await ask(database, "SELECT count(*) FROM products") == [(2,)]
        assert "database system was not properly shut down" in await database.log_tail(50)
        await database.start()  # what is up stays up


async def test_a_paused_server_can_be_stopped(isolation: str, bring: Bring) -> None:
    async with bring() as environment:
        database = environment.database("orders")
        os.kill(database.pid, signal.SIGSTOP)
        begun = now()
        await database.stop(mode="immediate")
        assert now() - begun < 5 * SECOND
        with pytest.raises(SubstrateError, match=r"orders: expected a server that is up"):
            _ = database.pid


async def test_a_server_that_does_not_start_shows_its_log(isolation: str, bring: Bring) -> None:
    with pytest.raises(SubstrateError, match=r"(?s)orders.*invalid value for parameter.*shared_buffers"):
        async with bring(TOPOLOGY.with_database(ORDERS.with_settings(shared_buffers="many"))):
            raise AssertionError("it came up")


async def test_a_schema_that_is_wrong_is_an_error_that_names_the_server(isolation: str, bring: Bring) -> None:
    wrong = dataclasses.replace(ORDERS, schema="CREATE TABEL x (a int);")
    with pytest.raises(SubstrateError, match=r'orders: psql failed: .*syntax error at or near "TABEL"'):
        async with bring(TOPOLOGY.with_database(wrong)):
            raise AssertionError("it came up")


async def test_its_volume_is_limited_and_full_means_full(namespaces: str, bring: Bring) -> None:
    async with bring(TOPOLOGY.with_database(dataclasses.replace(ORDERS, volume_mb=96))) as environment:
        database = environment.database("orders")
        size = os.statvfs(database.volume)
        assert size.f_blocks * size.f_frsize == 96 * 1024 * 1024
        assert await ask(database, "SELECT count(*) FROM products") == [(2,)]
        ballast = database.volume / "ballast"
        with pytest.raises(OSError, match=r"No space left on device"):
            fill(ballast)
        with pytest.raises(psycopg.errors.DiskFull):
            await ask(database, "CREATE TABLE big AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 2000)")
        remove(ballast)
        assert await ask(database, "SELECT count(*) FROM products") == [(2,)]


async def test_data_that_do_not_fit_are_an_error_with_a_remedy(namespaces: str, bring: Bring) -> None:
    async with bring():
        pass  # so that there is a template
    with pytest.raises(SubstrateError, match=r"(?s)volume of 16 MiB.*raise volume_mb"):
        async with bring(TOPOLOGY.with_database(dataclasses.replace(ORDERS, volume_mb=16))):
            raise AssertionError("it came up")


async def test_a_standby_follows(isolation: str, bring: Bring) -> None:
    topology = TOPOLOGY.with_database(dataclasses.replace(ORDERS.with_settings(max_connections="20"), standbys=1))
    async with bring(topology) as environment:
        primary, standby = environment.database("orders"), environment.database("orders-standby-1")
        assert await ask(standby, "SELECT pg_is_in_recovery()") == [(True,)]
        async with await psycopg.AsyncConnection.connect(primary.conninfo(), autocommit=True) as connection:
            await connection.execute("INSERT INTO products VALUES (3)")

        async def there() -> bool | None:
            return True if await ask(standby, "SELECT 1 FROM products WHERE id = 3") else None

        assert await until(there, deadline=now() + 5 * SECOND)
        if isolation == "namespaces":
            assert environment.peer("orders-standby-1").host == "orders-standby-1"


@pytest.mark.parametrize("ahead_s", [0.0, 3600.0])
async def test_its_clock_and_only_its_can_be_moved(isolation: str, bring: Bring, ahead_s: float) -> None:
    spec = dataclasses.replace(ORDERS, clock_ahead_s=ahead_s, movable_clock=True)
    async with bring(TOPOLOGY.with_database(spec)) as environment:
        database = environment.database("orders")
        assert ("3600 s ahead" in " ".join(environment.remarks)) == bool(ahead_s)

        async def ahead(connection: psycopg.AsyncConnection[tuple[float]]) -> float:
            row = await (await connection.execute("SELECT extract(epoch FROM now())::float8")).fetchone()
            assert row
            return row[0] - time.clock_gettime(time.CLOCK_REALTIME)

        async with await psycopg.AsyncConnection.connect(database.conninfo(), autocommit=True) as connection:
            assert await ahead(connection) == pytest.approx(ahead_s, abs=1)
            await database.move_clock(hours(2))

            async def moved() -> bool | None:
                return True if abs(await ahead(connection) - 7200) < 1 else None

            assert await until(moved, deadline=now() + SECOND)
            slept = now()
            await connection.execute("SELECT pg_sleep(0.1)")
            assert milliseconds(90) < now() - slept < SECOND


async def test_a_clock_that_was_not_asked_for_stays(namespaces: str, bring: Bring) -> None:
    async with bring() as environment:
        with pytest.raises(SubstrateError, match=r"movable_clock=True"):
            await environment.database("orders").move_clock(seconds(1))


async def test_an_environment_is_ready_at_once_and_gone_at_once(isolation: str, bring: Bring) -> None:
    async with bring():
        pass  # so that there is a template
    ups, downs = [], []
    for _ in range(4):  # the best of them: the machine may have other things to do
        begun = now()
        async with bring():
            ups.append(now() - begun)
            begun = now()
        downs.append(now() - begun)
    assert min(ups) < milliseconds(1500)
    assert min(downs) < milliseconds(300)


async def test_environments_side_by_side_do_not_meet(isolation: str, bring: Bring) -> None:
    async with bring() as one, bring() as other:
        assert one.id != other.id
        async with await psycopg.AsyncConnection.connect(
            one.database("orders").conninfo(), autocommit=True
        ) as connection:
            await connection.execute("DELETE FROM products")
        assert await ask(other.database("orders"), "SELECT count(*) FROM products") == [(2,)]


async def test_logs_are_kept_with_the_run(isolation: str, bring: Bring, folder: Path) -> None:
    async with bring() as environment:
        name = environment.id
        assert "ready to accept connections" in await environment.database("orders").log_tail()
    kept = (folder / "logs" / name / "postgresql" / "orders.log").read_text()
    assert "ready to accept connections" in kept


def test_a_server_may_be_asked_for_without_anything(isolation: str) -> None:
    assert Local().isolation == isolation
    assert Local().tool("psql")
    assert Local().tool("systemctl")
    assert not Local().tool("no-such-program")


async def test_a_name_with_quotes_is_a_name(namespaces: str, bring: Bring) -> None:
    odd = Postgres(name="odd", database='my"db', owner=Role("o'neil", "it's\\:"), schema="CREATE TABLE t (a int);")
    async with bring(Topology("odd", databases=(odd,))) as environment:
        done = await environment.operate(
            ["psql", "-w", "-h", "odd", "-U", "o'neil", 'my"db', "-Atc", "SELECT count(*) FROM t"], timeout=5 * SECOND
        )
    assert (done.stdout, done.stderr) == ("0\n", "")
