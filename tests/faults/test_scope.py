"""What all faults promise: undone to the end, whatever happens."""

import asyncio

import pytest

from harness.clock import now
from harness.errors import FaultError
from harness.faults.scope import undone
from harness.model.units import SECOND, seconds

pytestmark = pytest.mark.looptime


class Undoing:
    """An undo that takes a second, and knows whether it was run to its end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.ended = 0
        self._error = error

    async def __call__(self) -> None:
        await asyncio.sleep(1)
        self.ended += 1
        if self._error is not None:
            raise self._error


async def test_it_is_undone_when_the_scope_is_left() -> None:
    undo = Undoing()
    async with undone(undo, what="a fault"):
        assert undo.ended == 0
    assert undo.ended == 1


async def test_an_error_is_undone_and_comes_out_as_it_was() -> None:
    undo, error = Undoing(), ValueError("in the trial")
    with pytest.raises(ValueError, match="in the trial") as caught:
        async with undone(undo, what="a fault"):
            raise error
    assert caught.value is error
    assert undo.ended == 1


@pytest.mark.parametrize("again_after", [None, 0.0, 0.5, 0.999])
async def test_cancelled_once_or_twice_it_is_undone_to_the_end(again_after: float | None) -> None:
    undo = Undoing()

    async def hold() -> None:
        async with undone(undo, what="a fault"):
            await asyncio.sleep(100)

    task = asyncio.create_task(hold())
    await asyncio.sleep(1)
    task.cancel()
    if again_after is not None:
        await asyncio.sleep(again_after)
        task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert undo.ended == 1


async def test_cancelled_while_it_is_being_undone_anyway_it_is_undone_and_then_cancelled() -> None:
    undo = Undoing()

    async def pass_through() -> None:
        async with undone(undo, what="a fault"):
            pass

    task = asyncio.create_task(pass_through())
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert undo.ended == 1


async def test_an_undo_that_fails_is_the_harness_own_trouble() -> None:
    with pytest.raises(FaultError, match="a fault: could not be undone: ValueError: no way"):
        async with undone(Undoing(ValueError("no way")), what="a fault"):
            pass


async def test_an_undo_that_fails_after_an_error_has_that_error_as_its_cause() -> None:
    error = ValueError("in the trial")
    with pytest.raises(FaultError, match="no way") as caught:
        async with undone(Undoing(FaultError("no way")), what="a fault"):
            raise error
    assert caught.value.__cause__ is error


async def test_cancelled_with_an_undo_that_fails_it_is_still_a_cancellation_with_a_note() -> None:
    async def hold() -> None:
        async with undone(Undoing(FaultError("no way")), what="a fault"):
            await asyncio.sleep(100)

    task = asyncio.create_task(hold())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.__notes__ == ["no way"]


async def test_an_undo_that_does_not_end_is_given_up_in_time() -> None:
    async def hang() -> None:
        await asyncio.sleep(1e6)

    begun = now()
    with pytest.raises(FaultError, match="expected to be undone within 3 s"):
        async with undone(hang, what="a fault", within=seconds(3)):
            pass
    assert now() - begun == 3 * SECOND
