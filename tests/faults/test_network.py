"""A slow, cut and reset network, through the substrate's real link."""

import asyncio

import pytest

from harness.clock import now, until
from harness.errors import FaultError
from harness.faults import CrashDatabase, Latency, Partition, Reset
from harness.faults.network import _by_network, _knock
from harness.faults.server import session
from harness.model.units import milliseconds, seconds
from harness.ports import Stage
from tests.faults.conftest import Staged

pytestmark = pytest.mark.real


async def knock(stage: Stage) -> tuple[str, float]:
    answer = await _knock(stage, "main", timeout=milliseconds(800))
    return answer.trouble, answer.took / 1e6


async def used(stage: Stage) -> None:
    """Return when the service has connected to its database by the network."""

    async def connected() -> bool | None:
        async with session(stage.environment.database("main")) as server:
            return bool(await _by_network(server)) or None

    assert await until(connected, deadline=now() + seconds(5))


async def test_a_slow_network_delays_both_ways_and_is_quick_again(staged: Staged) -> None:
    fault = Latency(database="main", delay=milliseconds(60), jitter=milliseconds(10))
    async with staged(fault) as stage:
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            trouble, took = await knock(stage)
            assert not trouble
            assert took >= 100
        trouble, took = await knock(stage)
        assert not trouble
        assert took < 60


async def test_a_cut_network_is_silent_while_the_server_is_up(staged: Staged) -> None:
    fault = Partition(database="main")
    async with staged(fault) as stage:
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert injection.evidence == {"by_network": "timeout", "server_up": True}
            assert (await knock(stage))[0] == "timeout"
        assert (await knock(stage))[0] == ""


async def test_reset_connections_are_lost_and_new_ones_let_in(staged: Staged) -> None:
    fault = Reset(database="main")
    async with staged(fault, api=True) as stage:
        await used(stage)
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert int(injection.evidence["sessions_lost"] or 0) == injection.evidence["sessions_before"]
            assert (await knock(stage))[0] == ""


async def test_reset_and_refused_there_are_no_connections_until_the_fault_ends(staged: Staged) -> None:
    fault = Reset(database="main", refuse=True)
    async with staged(fault) as stage:
        async with fault.applied_to(stage) as injection:
            assert injection.felt, injection.why
            assert injection.evidence["new"] == "refused"
        assert (await knock(stage))[0] == ""


async def test_a_network_that_nobody_uses_cannot_be_reset(staged: Staged) -> None:
    fault = Reset(database="main")
    async with staged(fault) as stage:
        with pytest.raises(FaultError, match="none is open"):
            async with fault.applied_to(stage):
                pytest.fail("it was applied")


@pytest.mark.parametrize(
    "fault", [Latency(database="main", delay=1), Partition(database="main"), Reset(database="main")], ids=str
)
async def test_an_environment_without_links_has_no_network_to_break(
    staged: Staged, fault: Latency | Partition | Reset
) -> None:
    async with staged(CrashDatabase(database="main")) as stage:
        with pytest.raises(FaultError, match="expected a link"):
            async with fault.applied_to(stage):
                pytest.fail("it was applied")


async def test_cancelled_at_once_a_cut_network_is_whole(staged: Staged) -> None:
    fault = Partition(database="main")

    async def hold(stage: Stage) -> None:
        async with fault.applied_to(stage):
            await asyncio.sleep(60)

    async with staged(fault) as stage:
        for moment in (0.0, 0.01, 0.4, 1.5):
            task = asyncio.create_task(hold(stage))
            await asyncio.sleep(moment)
            task.cancel()
            begun = now()
            await asyncio.wait((task,))
            assert task.cancelled()
            assert now() - begun < seconds(3)
            assert (await knock(stage))[0] == ""
