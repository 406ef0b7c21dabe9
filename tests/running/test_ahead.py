"""Environments ahead of their trials: there when they are wanted, each trial's own, and none left over however it ends."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from harness.clock import now
from harness.errors import SubstrateError
from harness.model.design import CONTROL, TREATED
from harness.model.history import Name, Phase
from harness.model.units import seconds
from harness.running.ahead import Ahead
from harness.running.experiment import run_experiment, schedule
from harness.running.trial import Bench
from harness.substrates.simulated import Simulated
from tests.running.stage import CURES, TOPOLOGY, ground, planned

pytestmark = pytest.mark.looptime

SLOW = replace(CURES, starting=seconds(4))


async def run(substrate: Simulated, folder: Path, *, ahead: bool, places: int = 1):
    folder.mkdir()  # noqa: ASYNC240 - on virtual time nothing waits
    bench = Bench(substrate, folder.name, ahead=ahead)
    trials = schedule((CONTROL, TREATED), 3, 1)
    return await run_experiment(planned(substrate=substrate), trials, bench, folder, places=asyncio.Semaphore(places))


def waited(histories) -> list[int]:
    """ns that each trial waited for its environment, in the order they were run."""
    found = []
    for history in sorted(histories, key=lambda each: each.header.wall):
        (up,) = (e for e in history.events if e.name is Name.ENVIRONMENT and e.phase is Phase.OK)
        found.append(up.data["took_ns"])
    return found


@pytest.mark.parametrize("places", [1, 2])
async def test_only_the_first_trials_wait_for_their_environments(tmp_path: Path, places: int) -> None:
    substrate = ground(SLOW)
    assessment, histories = await run(substrate, tmp_path / "run", ahead=True, places=places)
    assert sorted(waited(histories))[:-places] == [0] * (6 - places)
    usual, _ = await run(ground(SLOW), tmp_path / "usual", ahead=False, places=places)
    assert assessment.word is usual.word
    assert len({each.id for each in substrate.environments}) == 6
    assert all(each.left for each in substrate.environments)


async def test_without_it_every_trial_waits(tmp_path: Path) -> None:
    _, histories = await run(ground(SLOW), tmp_path / "run", ahead=False)
    assert waited(histories) == [seconds(4)] * 6


async def test_one_that_does_not_come_up_is_the_trouble_of_the_trial_it_was_for(tmp_path: Path) -> None:
    substrate = ground(replace(CURES, trouble="no room"))
    async with Ahead(substrate, [tmp_path / "a"]) as ahead:
        with pytest.raises(SubstrateError, match="no room"):
            async with ahead.environment(TOPOLOGY, run="r", folder=tmp_path / "a"):
                pass


async def test_what_was_begun_for_a_trial_that_never_came_is_taken_down(tmp_path: Path) -> None:
    substrate = ground(SLOW)
    async with Ahead(substrate, [tmp_path / "a", tmp_path / "b"]) as ahead:
        async with ahead.environment(TOPOLOGY, run="r", folder=tmp_path / "a"):
            await asyncio.sleep(5)
        assert [each.left for each in substrate.environments] == [True, False]
    assert [each.left for each in substrate.environments] == [True, True]


@pytest.mark.parametrize("after", [1.0, 6.0, 9.0])
async def test_a_run_that_is_interrupted_leaves_none(tmp_path: Path, after: float) -> None:
    substrate = ground(SLOW)
    running = asyncio.create_task(run(substrate, tmp_path / "run", ahead=True))
    await asyncio.sleep(after)
    before = now()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all(each.left for each in substrate.environments)
    assert now() - before < seconds(3)
