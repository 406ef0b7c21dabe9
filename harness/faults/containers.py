"""Faults done to containers, whatever runs in them: killed as by `docker kill`, paused as by `docker pause`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

from harness import clock
from harness.errors import FaultError, SubstrateError
from harness.faults.scope import server, service, undone
from harness.model.units import Ns, milliseconds, seconds
from harness.ports import Capability, Container, ContainerState, Injection, Stage

Which = Literal["all", "one"]

_NEEDS = frozenset({Capability.DOCKER})
_FELT_WITHIN: Ns = seconds(5)
_LOOK: Ns = milliseconds(50)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillContainer:
    """The containers of `target`, a workload, a database or a store, are killed and stay down: "all" of them or the first "one".

    When the fault ends, those that are still down are started, and the target is up. Felt: Docker shows them down.
    """

    target: str
    which: Which = "all"

    def __str__(self) -> str:
        return f"{_who(self.which, self.target)} {'are' if self.which == 'all' else 'is'} killed"

    @property
    def needs(self) -> frozenset[Capability]:
        """Docker."""
        return _NEEDS

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Kill them; afterwards the target is up. FaultError without such a target, or if none of its containers runs."""
        victims = await _victims(stage, self.target, self.which)
        async with undone(partial(_up_again, stage, self.target, victims), what=str(self)):
            yield await _made(victims, ContainerState.DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseContainer:
    """The containers of `target`, a workload, a database or a store, stand still: "all" of them or the first "one".
    Nothing in them runs, connections stay open, new ones are taken by the kernel and not answered.

    When the fault ends, those that are still there go on. Felt: Docker shows them paused.
    """

    target: str
    which: Which = "all"

    def __str__(self) -> str:
        return f"{_who(self.which, self.target)} {'stand' if self.which == 'all' else 'stands'} still"

    @property
    def needs(self) -> frozenset[Capability]:
        """Docker."""
        return _NEEDS

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Pause them; afterwards they go on. FaultError without such a target, or if none of its containers runs."""
        victims = await _victims(stage, self.target, self.which)

        async def going_on() -> None:
            for one in victims:
                if await one.state() is ContainerState.PAUSED:
                    await one.set(ContainerState.RUNNING)

        async with undone(going_on, what=str(self)):
            yield await _made(victims, ContainerState.PAUSED)


def _who(which: Which, target: str) -> str:
    return f"all containers of {target}" if which == "all" else f"one container of {target}"


async def _victims(stage: Stage, target: str, which: Which) -> Sequence[Container]:
    """The containers that are meant. FaultError if there are none that run."""
    try:
        found = await stage.environment.containers(target)
    except KeyError:
        raise FaultError(
            f"expected containers of {target!r}; the environment has none\n"
            "    choose a substrate with containers, or Kill and Pause, which need processes only"
        ) from None
    running = [one for one in found if await one.state() is ContainerState.RUNNING]
    if not running:
        raise FaultError(f"{target}: expected containers that run; none of {len(found)} does")
    return running if which == "all" else running[:1]


async def _made(victims: Sequence[Container], state: ContainerState) -> Injection:
    """Have them be so, all at once, and look whether they are."""
    try:
        await asyncio.gather(*(one.set(state) for one in victims))
    except SubstrateError as error:
        raise FaultError(str(error)) from error
    states: list[ContainerState] = []

    async def seen() -> bool | None:
        states[:] = [await one.state() for one in victims]
        return True if set(states) == {state} else None

    felt = await clock.until(seen, deadline=clock.now() + _FELT_WITHIN, every=_LOOK)
    return Injection(
        felt=bool(felt),
        at=clock.now(),
        evidence={"containers": ", ".join(one.name for one in victims), "states": ", ".join(states)},
        why="" if felt else f"not all are {state}: {', '.join(states)}",
    )


async def _up_again(stage: Stage, target: str, victims: Sequence[Container]) -> None:
    """Have what is down started, and wait until the target is up."""
    for one in victims:
        if await one.state() is ContainerState.DOWN:
            await one.set(ContainerState.RUNNING)
    workload = service(stage, target)
    if workload is None:
        await server(stage, target).start()
    elif len(await stage.environment.containers(target)) < workload.spec.processes:
        await workload.restart()
