"""The fault of simulated systems."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

from harness.errors import FaultError
from harness.faults.scope import undone
from harness.ports import Capability, Injection, Stage


class _Breakable(Protocol):
    """What simulated environments offer beyond ports.Environment."""

    async def inject(self, fault: str) -> Injection: ...

    async def heal(self, fault: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A simulated system breaks as its Model says. `what` is how reports call it."""

    what: str = "the system breaks"

    def __str__(self) -> str:
        return self.what

    @property
    def needs(self) -> frozenset[Capability]:
        """Nothing."""
        return frozenset()

    @property
    def links(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @asynccontextmanager
    async def applied_to(self, stage: Stage) -> AsyncIterator[Injection]:
        """Break it; afterwards it is whole. FaultError in an environment that is not simulated."""
        if not hasattr(stage.environment, "inject"):
            raise FaultError(f"{self}: expected a simulated environment; found {stage.environment.isolation}")
        system = cast("_Breakable", stage.environment)
        async with undone(partial(system.heal, self.what), what=self.what):
            yield await system.inject(self.what)
