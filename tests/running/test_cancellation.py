"""Whenever a trial is cancelled, the fault is undone and the environment left; under virtual time, at any instant."""

import asyncio
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

import looptime
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import codec
from harness.checking.judge import judge
from harness.model.design import TREATED, Trial
from harness.model.history import Name, Phase
from harness.model.units import SECOND, milliseconds, seconds
from harness.model.verdict import Status
from harness.running.trial import Bench, run_trial
from harness.substrates.simulated import Model, Reaction
from tests.running.stage import ground, planned

SLOWLY = Model(
    starting=seconds(1),
    stopping=seconds(1),
    injecting=seconds(1),
    healing=seconds(1),
    reactions=(Reaction(pattern="mend-it", took=seconds(1), cures_after=milliseconds(500)),),
)
LAST = 21.0


def cancelled(*instants: float) -> None:
    """Run a trial that is cancelled at these instants, in seconds from its start; check what is left of it."""
    substrate = ground(SLOWLY)
    loop = looptime.new_event_loop(end=120)

    async def run(folder: Path) -> None:
        trial = asyncio.create_task(
            run_trial(planned(substrate=substrate), Trial(TREATED, 1, 7), Bench(substrate, "t"), folder)
        )
        begun, running = loop.time(), False
        for instant in sorted(instants):
            await asyncio.wait((trial,), timeout=max(0.0, begun + instant - loop.time()))
            running |= trial.cancel()
        await asyncio.wait((trial,), timeout=60)
        assert trial.done()
        assert trial.cancelled() is running
        assert running or trial.exception() is None
        for environment in substrate.environments:
            assert environment.left
            assert environment.left_behind == ()
            assert environment.in_force == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with closing(loop), tempfile.TemporaryDirectory() as folder:
        loop.run_until_complete(run(Path(folder)))


@cache
def landmarks() -> tuple[float, ...]:
    """When things happen in an undisturbed trial, in seconds from its start."""
    substrate = ground(SLOWLY)
    loop = looptime.new_event_loop(end=120)

    async def run(folder: Path) -> tuple[float, ...]:
        history = await run_trial(planned(substrate=substrate), Trial(TREATED, 1, 7), Bench(substrate, "t"), folder)
        assert history.first(Name.HEAL, Phase.OK) is not None
        begun = history.events[0].at
        return tuple((event.at - begun) / SECOND for event in history.events)

    with closing(loop), tempfile.TemporaryDirectory() as folder:
        found = loop.run_until_complete(run(Path(folder)))
    assert found[-1] < LAST
    return found


def instants() -> st.SearchStrategy[float]:
    """Any instant, and as often one at or next to an event."""
    nearby = st.builds(
        lambda at, off: max(0.0, at + off), st.sampled_from(landmarks()), st.sampled_from((-0.001, 0, 0.001))
    )
    return st.one_of(st.floats(0, LAST), nearby)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cancelled_at_any_instant_the_fault_is_undone_and_the_environment_left(data: st.DataObject) -> None:
    cancelled(data.draw(instants()))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_cancelled_twice_the_fault_is_still_undone(data: st.DataObject) -> None:
    first = data.draw(instants())
    cancelled(first, first + data.draw(st.floats(0, 2)))


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_what_a_cancelled_trial_leaves_on_disk_can_be_read_and_does_not_count(data: st.DataObject) -> None:
    substrate = ground(SLOWLY)
    loop = looptime.new_event_loop(end=120)
    instant = data.draw(st.floats(0.001, landmarks()[-1] - 1))

    async def run(folder: Path) -> None:
        trial = asyncio.create_task(
            run_trial(planned(substrate=substrate), Trial(TREATED, 1, 7), Bench(substrate, "t"), folder)
        )
        await asyncio.wait((trial,), timeout=instant)
        trial.cancel()
        await asyncio.wait((trial,))
        history = codec.read_history(folder)
        assert history.events[0].name is Name.TRIAL
        assert judge(history).status is Status.INVALID

    with closing(loop), tempfile.TemporaryDirectory() as folder:
        loop.run_until_complete(run(Path(folder)))
