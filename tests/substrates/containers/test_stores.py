"""Redis and MongoDB in containers: what is asked of them on `local`, compose's and Docker's view of them, drills, and pods."""

from pathlib import Path

import pytest

from harness.errors import SubstrateError
from harness.faults import KillContainer, PauseContainer
from harness.model.units import seconds
from harness.ports import Capability, Stage
from harness.substrates.containers import Containers
from harness.substrates.local import redis
from harness.testing import check_fault
from tests.substrates import storing
from tests.substrates.containers.conftest import there
from tests.substrates.storing import TOPOLOGY, WRONG

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def substrate(containers: Containers) -> Containers:
    if problems := containers.lacks(frozenset({Capability.REDIS, Capability.MONGO})):
        pytest.skip("; ".join(str(problem) for problem in problems))
    return containers


async def test_stores_are_written_operated_killed_and_started_again_and_leave_nothing(
    substrate: Containers, tmp_path: Path
) -> None:
    """One environment for everything: it takes seconds to come up."""
    async with substrate.environment(TOPOLOGY, run="stores", folder=tmp_path) as up:
        await storing.written_and_read_where_programs_inside_find_them(up)
        await storing.restarted_by_their_usual_names(up)
        if redis.client():
            assert substrate.tool("redis-cli")
            await storing.asked_by_redis_cli(up)
        if substrate.tool("docker"):
            done = await up.operate(("docker", "ps", "--format", "{{.Names}} {{.Mounts}}"), timeout=seconds(20))
            shown = sorted(line.split()[0] for line in done.stdout.splitlines())
            assert shown == [f"{up.id.lower()}-{name}-1" for name in ("cache", "docs")]
        if substrate.tool("docker-compose"):
            # Made anew by compose only where something has changed: nothing has.
            done = await up.operate(("docker-compose", "up", "-d"), timeout=seconds(60))
            assert done.ok, done.stderr
            assert "Recreating" not in done.stdout + done.stderr
        for fault in (KillContainer(target="cache"), PauseContainer(target="docs")):

            async def both_answer() -> bool:
                return all([await up.store(name).answers() for name in ("cache", "docs")])

            assert (await check_fault(fault, Stage(up, folder=tmp_path), intact=both_answer)).felt
        await storing.killed_started_stopped_and_seen(up)
        mine = up.id
        assert len(there(mine)) == 5
    assert there(mine) == set()


async def test_settings_that_a_server_does_not_know_are_told_with_its_log(
    substrate: Containers, tmp_path: Path
) -> None:
    with pytest.raises(SubstrateError, match="no-such-setting"):
        async with substrate.environment(WRONG, run="stores", folder=tmp_path):
            pass
