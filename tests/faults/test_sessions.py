"""Leaked connections and held locks, on a real server."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from harness.clock import now, until, wall
from harness.errors import FaultError
from harness.faults import ExhaustConnections, HoldLock
from harness.faults.server import session
from harness.load.driver import driving
from harness.model.load import LoadProfile, Task
from harness.model.units import SECOND, milliseconds, minutes, seconds
from harness.ports import Database, Stage
from tests.faults.conftest import Staged

pytestmark = pytest.mark.real

OLDER_THAN_10_MINUTES = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE state = 'idle' AND state_change < now() - interval '10 minutes'"
)
ACTIVE_FOR_5_MINUTES = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE state = 'active' AND now() - query_start > interval '5 minutes'"
)
SHOPPING = LoadProfile(service="api", tasks=(Task("/products?category={n}"),), users=4, pace=milliseconds(100))


async def leaked(database: Database, name: str = "reporting-job") -> int:
    async with session(database) as server:
        return await server.number("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", name)


async def settled(database: Database, wanted: int) -> int:
    """How many sessions of the client there are, once there are as many as wanted, or after two seconds."""

    async def asked() -> int | None:
        return wanted if await leaked(database) == wanted else None

    found = await until(asked, deadline=now() + seconds(2))
    return await leaked(database) if found is None else found


async def refused(stage: Stage, role: str, password: str) -> str:
    """What the server says to an application that connects by the network from inside."""
    script = (
        "import psycopg, sys\ntry: psycopg.connect(sys.argv[1], connect_timeout=2)\nexcept psycopg.Error as e: print(e)"
    )
    peer = stage.environment.peer("main")
    dsn = psycopg.conninfo.make_conninfo(host=peer.host, port=peer.port, user=role, password=password, dbname="store")
    done = await stage.environment.run((stage.environment.python, "-c", script, dsn), timeout=seconds(10))
    assert done.ok, done.stderr
    return done.stdout


async def operate(database: Database, statement: str) -> int:
    """How many rows say true."""
    async with session(database) as server:
        return sum(row == (True,) for row in await server.ask(statement))


async def test_a_leak_takes_every_connection_from_the_application_and_leaves_the_operator_his(staged: Staged) -> None:
    fault = ExhaustConnections(database="main", role="store_app")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        assert await refused(stage, "reader", "secret-of-reader") == ""
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert injection.evidence["refused"] == "53300"
            assert injection.evidence["state"] == "idle"
            assert "remaining connection slots are reserved" in await refused(stage, "reader", "secret-of-reader")
            assert await settled(database, 17) == 17
        assert await leaked(database) == 0
        assert await refused(stage, "reader", "secret-of-reader") == ""


@pytest.mark.parametrize(
    ("state", "shown"), [("idle", "idle"), ("idle_in_transaction", "idle in transaction"), ("active", "active")]
)
async def test_leaked_sessions_sit_as_they_are_told(staged: Staged, state: str, shown: str) -> None:
    fault = ExhaustConnections(database="main", count=4, state=state, role="reader", application_name="nightly/export")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage) as injection, session(database) as server:
            assert injection.felt, injection.why
            assert injection.evidence["sessions"] == 4
            rows = await server.ask(
                "SELECT usename, state, count(*) FROM pg_stat_activity WHERE application_name = 'nightly/export' GROUP BY 1, 2"
            )
            assert rows == [("reader", shown, 4)]
        assert await leaked(database, "nightly/export") == 0


async def test_right_after_the_leak_nothing_is_older_than_ten_minutes(staged: Staged) -> None:
    fault = ExhaustConnections(database="main")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage):
            assert await operate(database, OLDER_THAN_10_MINUTES) == 0
            assert await settled(database, 17) == 17


async def test_an_aged_leak_is_ended_by_the_ten_minutes_rule_and_does_not_come_back(staged: Staged) -> None:
    fault = ExhaustConnections(database="main", count=8, age=minutes(11))
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert injection.evidence["clock_ahead_s"] == 660
            assert injection.evidence["aged"] == 8
            assert await operate(database, OLDER_THAN_10_MINUTES) == 8
            assert await settled(database, 0) == 0
            await asyncio.sleep(0.3)
            assert await leaked(database) == 0
        async with session(database) as server:
            server_says = await server.number("SELECT extract(epoch FROM clock_timestamp())::bigint")
        assert abs(server_says - wall() // SECOND) <= 2


async def test_sessions_that_return_are_there_again_after_they_were_ended(staged: Staged) -> None:
    fault = ExhaustConnections(database="main", count=5, returns=True)
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage):
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reporting-job'"
            assert await operate(database, ended) == 5
            assert await settled(database, 5) == 5


@pytest.mark.parametrize(("keep", "then"), [(True, 17), (False, 7)])
async def test_slots_that_others_free_are_taken_if_it_keeps_at_it(staged: Staged, keep: bool, then: int) -> None:
    fault = ExhaustConnections(database="main", keep=keep)
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        others = [await psycopg.AsyncConnection.connect(database.conninfo()) for _ in range(9)]
        async with fault.applied_to(stage) as injection:
            assert injection.evidence["sessions"] == 7  # of 20: 9, 3 in reserve, and the harness's own
            for other in others:
                await other.close()
            await asyncio.sleep(0.3)
            assert await settled(database, then) == then


async def test_a_leak_into_a_server_that_is_stopped_meanwhile_is_undone(staged: Staged) -> None:
    fault = ExhaustConnections(database="main", count=5)
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage):
            await database.stop(mode="immediate")
        await database.start()
        assert await leaked(database) == 0


@pytest.mark.parametrize("fault", [
    ExhaustConnections(database="nowhere"),
    ExhaustConnections(database="main", role="nobody"),
    HoldLock(database="nowhere", table="products"),
    HoldLock(database="main", table="nothing"),
    HoldLock(database="main", table="products", role="nobody"),
    HoldLock(database="main", table="products", role="reader"),
], ids=str)  # fmt: skip
async def test_a_fault_without_its_target_is_the_harness_own_trouble(
    staged: Staged, fault: ExhaustConnections | HoldLock
) -> None:
    async with staged(fault) as stage:
        with pytest.raises(FaultError):
            async with fault.applied_to(stage):
                pytest.fail("it was applied")
        assert await leaked(stage.environment.database("main")) == 0


async def test_a_held_lock_makes_the_application_wait_until_its_long_query_is_ended(
    staged: Staged, tmp_path: Path
) -> None:
    fault = HoldLock(database="main", table="products", age=minutes(6))
    async with staged(fault, api=True) as up, driving(up.environment, SHOPPING, tmp_path) as load:
        stage = Stage(up.environment, load, folder=tmp_path)
        database = stage.environment.database("main")
        waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert int(injection.evidence["waiting"] or 0) > 0
            assert await operate(database, waiting) == 1
            assert await operate(database, ACTIVE_FOR_5_MINUTES) >= 1
            assert await settled(database, 0) == 0

            async def over() -> bool | None:
                return None if await operate(database, waiting) else True

            assert await until(over, deadline=now() + seconds(3))


async def test_a_lock_that_was_just_taken_is_not_five_minutes_old(staged: Staged) -> None:
    fault = HoldLock(database="main", table="public.products", mode="SHARE ROW EXCLUSIVE")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert await operate(database, ACTIVE_FOR_5_MINUTES) == 0
            assert await settled(database, 1) == 1
        assert await leaked(database) == 0


async def test_an_idle_transaction_holds_a_lock_that_ending_active_queries_does_not_free(staged: Staged) -> None:
    fault = HoldLock(database="main", table="products", state="idle_in_transaction", age=minutes(6))
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert await operate(database, ACTIVE_FOR_5_MINUTES) == 0
            assert (
                await operate(
                    database, "SELECT count(*) = 1 FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'"
                )
                == 1
            )
