"""Killed and stopped processes of a real server and a real service."""

import pytest

from harness.clock import now, until
from harness.errors import FaultError
from harness.faults import Kill, Pause
from harness.faults.server import ServerError, session
from harness.measuring.procfs import seen
from harness.model.units import milliseconds, seconds
from harness.ports import Completed, Database, Stage
from tests.faults.conftest import Staged

pytestmark = pytest.mark.real


async def get(stage: Stage) -> Completed:
    peer = stage.environment.peer("api")
    script = f"import urllib.request as r; print(r.urlopen('http://{peer.host}:{peer.port}/products?limit=1', timeout=1).status)"
    return await stage.environment.run((stage.environment.python, "-c", script), timeout=seconds(5))


async def answers(database: Database) -> bool:
    try:
        async with session(database, within=milliseconds(500)) as server:
            return await server.number("SELECT 1") == 1
    except ServerError:
        return False


async def recovered(database: Database) -> bool:
    async def asked() -> bool | None:
        return await answers(database) or None

    return bool(await until(asked, deadline=now() + seconds(5)))


async def test_a_killed_service_is_gone_until_the_fault_ends(staged: Staged) -> None:
    fault = Kill(target="api")
    async with staged(fault, api=True) as stage:
        service = stage.environment.service("api")
        before = service.pids
        async with fault.applied_to(stage) as injection:
            assert injection.felt
            assert injection.evidence["gone"] == 2
            assert not (await get(stage)).ok
        assert len(service.pids) == 2
        assert not set(service.pids) & set(before)
        assert (await get(stage)).ok


async def test_one_process_of_a_service_is_killed_and_the_other_goes_on_serving(staged: Staged) -> None:
    fault = Kill(target="api", which="one", signal="TERM")
    async with staged(fault, api=True) as stage:
        service = stage.environment.service("api")
        async with fault.applied_to(stage) as injection:
            assert injection.felt
            assert len([pid for pid in service.pids if seen(pid)]) == 1
            assert (await get(stage)).ok
        assert len(service.pids) == 2


async def test_a_service_that_the_operator_restarted_is_left_alone(staged: Staged) -> None:
    fault = Kill(target="api")
    async with staged(fault, api=True) as stage:
        service = stage.environment.service("api")
        async with fault.applied_to(stage):
            await service.restart()
            restarted = service.pids
        assert service.pids == restarted


async def test_a_killed_postmaster_is_down_until_the_fault_ends(staged: Staged) -> None:
    fault = Kill(target="main")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        before = database.pid
        async with fault.applied_to(stage) as injection:
            assert injection.felt
            assert not await answers(database)
        assert database.pid != before
        assert await answers(database)


async def test_a_killed_child_of_a_server_ends_every_session_and_the_server_recovers(staged: Staged) -> None:
    fault = Kill(target="main", which="one")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        before = database.pid
        async with session(database) as held, fault.applied_to(stage) as injection:
            assert injection.felt
            with pytest.raises(ServerError):
                await held.ask("SELECT pg_sleep(1)")
            assert await recovered(database)
        assert database.pid == before


async def test_a_paused_server_stands_still_with_its_children_and_then_goes_on(staged: Staged) -> None:
    fault = Pause(target="main")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with session(database) as held:
            async with fault.applied_to(stage) as injection:
                assert injection.felt
                assert set(str(injection.evidence["states"])) == {"T"}
                assert len(str(injection.evidence["states"])) > 5
                assert not await answers(database)
            assert await held.number("SELECT 41 + 1") == 42
        assert await answers(database)


async def test_a_paused_postmaster_lets_nobody_in_and_sessions_go_on(staged: Staged) -> None:
    fault = Pause(target="main", which="one")
    async with staged(fault) as stage:
        database = stage.environment.database("main")
        async with session(database) as held:
            async with fault.applied_to(stage) as injection:
                assert injection.felt
                assert await held.number("SELECT 41 + 1") == 42
                assert not await answers(database)
            assert await answers(database)


async def test_processes_that_were_killed_while_they_stood_still_are_not_missed(staged: Staged) -> None:
    fault = Pause(target="api")
    async with staged(fault, api=True) as stage:
        service = stage.environment.service("api")
        async with fault.applied_to(stage) as injection:
            assert injection.felt
            await service.restart()
        assert all(one.state != "T" for one in map(seen, service.pids) if one)
        assert (await get(stage)).ok


@pytest.mark.parametrize(("fault", "why"), [
    (Kill(target="nowhere"), "none of that name"),
    (Kill(target="main", signal="SHOOT"), "found 'SHOOT'"),
    (Pause(target="nowhere"), "none of that name"),
])  # fmt: skip
async def test_a_signal_that_reaches_nobody_is_the_harness_own_trouble(
    staged: Staged, fault: Kill | Pause, why: str
) -> None:
    async with staged(fault) as stage:
        with pytest.raises(FaultError, match=why):
            async with fault.applied_to(stage):
                pytest.fail("it was applied")


async def test_a_server_that_is_down_cannot_be_killed(staged: Staged) -> None:
    fault = Kill(target="main")
    async with staged(fault) as stage:
        await stage.environment.database("main").stop()
        with pytest.raises(FaultError, match="main"):
            async with fault.applied_to(stage):
                pytest.fail("it was applied")
