"""What faults ask of a cluster is seen to its end, also when nobody waits for it any more."""

import asyncio

import pytest

from harness.errors import FaultError
from harness.faults.kubernetes.api import uninterrupted


async def test_a_change_that_is_under_way_when_its_fault_is_cancelled_has_been_made_when_that_ends() -> None:
    made: list[str] = []

    async def change() -> None:
        await asyncio.sleep(0.05)
        made.append("changed")

    task = asyncio.create_task(uninterrupted(change()))
    await asyncio.sleep(0.01)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made == ["changed"]


async def test_a_change_that_fails_says_so_and_if_it_was_cancelled_that_goes_before() -> None:
    async def refused() -> None:
        await asyncio.sleep(0.01)
        raise FaultError("no")

    with pytest.raises(FaultError, match="no"):
        await uninterrupted(refused())
    task = asyncio.create_task(uninterrupted(refused()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
