"""More users than before, in the load's own process."""

import asyncio
from pathlib import Path

import pytest

from harness.clock import now
from harness.errors import FaultError
from harness.faults import LoadSpike
from harness.load.driver import driving
from harness.model.load import LoadProfile, Task
from harness.model.topology import Topology
from harness.model.units import SECOND, milliseconds
from harness.ports import Stage
from harness.substrates.simulated import Simulated
from tests.faults.conftest import Staged

PROFILE = LoadProfile(service="api", tasks=(Task("/products?category={n}&limit=5"),), users=3, pace=milliseconds(250))


class Modelled:
    """A load whose users do one request a second each, of which the system takes `most`; the rest fail or are not done."""

    def __init__(self, *, most: float = 1e9, failing: bool = False) -> None:
        self.users = 10
        self._most = most
        self._failing = failing
        self._requests = 0.0
        self._failures = 0.0
        self._counted = 0

    async def set_users(self, users: int) -> None:
        await self.requests()
        self.users = users

    async def requests(self) -> tuple[int, int]:
        """Counts a second old at most."""
        while self._counted + SECOND <= now():
            self._counted += SECOND
            done = min(self.users, self._most)
            self._requests += self.users if self._failing else done
            self._failures += self.users - done if self._failing else 0
        return round(self._requests), round(self._failures)


async def stage(tmp_path: Path, load: Modelled | None) -> Stage:
    async with Simulated().environment(Topology("t"), run="t", folder=tmp_path) as environment:
        return Stage(environment, load)


@pytest.mark.looptime
@pytest.mark.parametrize("load", [Modelled(), Modelled(most=12, failing=True)], ids=["it keeps up", "it fails"])
async def test_a_spike_is_felt_by_more_requests_or_more_failures(tmp_path: Path, load: Modelled) -> None:
    async with LoadSpike(factor=3).applied_to(await stage(tmp_path, load)) as injection:
        assert load.users == 30
        assert injection.felt, injection.evidence
    assert load.users == 10


@pytest.mark.looptime
async def test_a_spike_that_changes_nothing_is_not_felt(tmp_path: Path) -> None:
    load = Modelled(most=10)
    async with LoadSpike(factor=3).applied_to(await stage(tmp_path, load)) as injection:
        assert not injection.felt
        assert injection.why
    assert load.users == 10


@pytest.mark.looptime
async def test_cancelled_at_any_moment_the_users_are_as_many_as_before(tmp_path: Path) -> None:
    async def hold(stage: Stage) -> None:
        async with LoadSpike(factor=3).applied_to(stage):
            await asyncio.sleep(100)

    for moment in (0.0, 0.5, 2.5, 4.0, 50.0):
        load = Modelled()
        task = asyncio.create_task(hold(await stage(tmp_path, load)))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait((task,))
        assert load.users == 10


@pytest.mark.looptime
async def test_a_spike_needs_a_load_and_more_of_it(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match="the trial has none"):
        async with LoadSpike(factor=2).applied_to(await stage(tmp_path, None)):
            pytest.fail("it was applied")
    with pytest.raises(FaultError, match="a factor above 1"):
        async with LoadSpike(factor=1).applied_to(await stage(tmp_path, Modelled())):
            pytest.fail("it was applied")


@pytest.mark.real
@pytest.mark.slow
async def test_real_users_come_and_go(staged: Staged, tmp_path: Path) -> None:
    fault = LoadSpike(factor=4)
    async with staged(fault, api=True) as up, driving(up.environment, PROFILE, tmp_path) as load:
        async with fault.applied_to(Stage(up.environment, load)) as injection:
            assert injection.felt, injection.why
            assert load.users == 12
            assert float(injection.evidence["rps_after"] or 0) > 2 * float(injection.evidence["rps_before"] or 0)
        assert load.users == 3
