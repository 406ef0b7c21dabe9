"""Faults made of load: more users than before. The users are the background load's own, in its own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness import clock
from harness.errors import FaultError
from harness.faults.scope import undone
from harness.model.units import SECOND, Ns, milliseconds, seconds
from harness.ports import Capability, Injection, Load, Stage

_LOOK: Ns = milliseconds(20)
_BEFORE: Ns = seconds(4)
_AFTER: Ns = seconds(6)
_RISE = 0.2
"""By what share requests, or failures among them, have to rise to count as risen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpike:
    """There are `factor` times as many users of the background load as before, until the fault ends.

    Felt: more requests a second are finished than before, by a fifth at least; or, where the system has no more to give,
    more of them fail.
    """

    factor: float

    def __str__(self) -> str:
        return f"{self.factor:g} times as many users"

    @property
    def needs(self) -> frozenset[Capability]:
        """Background load."""
        return frozenset({Capability.LOAD})

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Let them come; afterwards there are as many as before. FaultError without a load, or for a factor of 1 or less."""
        load = stage.load
        if load is None:
            raise FaultError(f"{self}: expected a background load; the trial has none\n    give the scenario a load")
        if self.factor <= 1:
            raise FaultError(f"expected a factor above 1; found {self.factor:g}")
        users = load.users

        async def back() -> None:
            await load.set_users(users)

        before = await _rate(load, within=_BEFORE)
        async with undone(back, what=str(self)):
            await load.set_users(round(users * self.factor))
            yield await self._rise(load, before, users=users)

    async def _rise(self, load: Load, before: "_Rate", *, users: int) -> Injection:
        more = 1 + min(_RISE, (self.factor - 1) / 2)
        deadline = clock.now() + _AFTER
        while True:
            after = await _rate(load, within=_AFTER)
            felt = after.requests > more * before.requests or after.failures > more * before.failures + 1
            if felt or clock.now() >= deadline:
                break
        return Injection(
            felt=felt,
            at=clock.now(),
            evidence={
                "users_before": users,
                "users_after": load.users,
                "rps_before": round(before.requests, 1),
                "rps_after": round(after.requests, 1),
                "failures_before": round(before.failures, 1),
                "failures_after": round(after.failures, 1),
            },
            why="" if felt else "neither requests a second nor failures among them rose",
        )


@dataclass(frozen=True, slots=True)
class _Rate:
    """Finished requests and failures, each a second."""

    requests: float
    failures: float


async def _rate(load: Load, *, within: Ns) -> _Rate:
    """Over the time between two new counts, which are a second apart: the count that was there may be old."""
    first = await _next(load, within=within)
    second = await _next(load, within=within)
    span = max(second[0] - first[0], 1) / SECOND
    return _Rate((second[1] - first[1]) / span, (second[2] - first[2]) / span)


async def _next(load: Load, *, within: Ns) -> tuple[Ns, int, int]:
    """The next count that differs, and when it was seen; the same one again where the load stands still."""
    old = await load.requests()

    async def changed() -> tuple[int, int] | None:
        new = await load.requests()
        return new if new != old else None

    new = await clock.until(changed, deadline=clock.now() + within, every=_LOOK) or old
    return clock.now(), *new
