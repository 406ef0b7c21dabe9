"""The next trial's environment, brought up while this one's trial runs. That trial may feel it: its instrument says so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from harness.errors import Problem
from harness.model.topology import Topology
from harness.ports import Capability, Environment, Substrate


class Ahead:
    """Another substrate for trials in these folders, in this order: as soon as one has its environment, the next one's is
    begun. Fulfils ports.Substrate; a context manager, since at its end what nobody took must go."""

    def __init__(self, substrate: Substrate, folders: Sequence[Path]) -> None:
        self._substrate = substrate
        self._coming = list(folders)
        self._begun: dict[Path, _Kept] = {}

    @property
    def name(self) -> str:
        """The other's."""
        return self._substrate.name

    @property
    def provides(self) -> frozenset[Capability]:
        """The other's."""
        return self._substrate.provides

    @property
    def isolation(self) -> str:
        """The other's."""
        return self._substrate.isolation

    def lacks(self, needs: frozenset[Capability]) -> Sequence[Problem]:
        """The other's."""
        return self._substrate.lacks(needs)

    def tool(self, program: str) -> bool:
        """The other's."""
        return self._substrate.tool(program)

    async def __aenter__(self) -> Self:
        """Nothing is begun yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take down what was begun for trials that did not come."""
        self._coming.clear()
        await asyncio.gather(*(kept.give_up() for kept in self._begun.values()))

    @asynccontextmanager
    async def environment(
        self, topology: Topology, *, run: str, folder: Path, links: frozenset[str] = frozenset()
    ) -> AsyncIterator[Environment]:
        """The one that was begun for `folder`, or one begun now. SubstrateError if it does not come up."""

        def begun(folder: Path) -> _Kept:
            if folder in self._coming:
                self._coming.remove(folder)
            folder.mkdir(exist_ok=True)
            return _Kept(self._substrate.environment(topology, run=run, folder=folder, links=links))

        kept = self._begun.pop(folder, None) or begun(folder)
        try:
            environment = await kept.up()
            if self._coming and not self._begun:
                following = self._coming[0]
                self._begun[following] = begun(following)
            yield environment
        finally:
            await kept.end()


class _Kept:
    """An environment that a task of its own brings up, keeps until it is ended, and takes down."""

    def __init__(self, context: AbstractAsyncContextManager[Environment]) -> None:
        self._over = asyncio.Event()
        self._up: asyncio.Future[Environment] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(context))

    async def _keep(self, context: AbstractAsyncContextManager[Environment]) -> None:
        async with context as environment:
            self._up.set_result(environment)
            await self._over.wait()

    async def up(self) -> Environment:
        """The environment, as soon as it is up; what went wrong if it does not come up."""
        first: tuple[asyncio.Future[Any], ...] = (self._task, self._up)
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
        return self._up.result()

    async def end(self) -> None:
        """Take it down, and return when it is gone; one that is not up yet is given up."""
        self._over.set()
        if self._up.done():
            await self._task
        else:
            await self.give_up()

    async def give_up(self) -> None:
        """Take it down as an interrupted one, whatever comes of that."""
        self._task.cancel()
        await asyncio.wait({self._task})
