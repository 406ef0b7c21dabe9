"""One container as faults see it: killed, paused, running. Not what is in it."""

from contextlib import suppress

from docker.models.containers import Container

from harness.ports import ContainerState
from harness.substrates.containers.daemon import GoneError, do


class Contained:
    """Fulfils ports.Container."""

    def __init__(self, container: Container) -> None:
        self._container = container

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self._container.name)

    async def state(self) -> ContainerState:
        """How it is now; DOWN also if it is gone."""
        try:
            await do(self.name, self._container.reload)
        except GoneError:
            return ContainerState.DOWN
        state = self._container.attrs["State"]
        if state["Paused"]:
            return ContainerState.PAUSED
        return ContainerState.RUNNING if state["Running"] else ContainerState.DOWN

    async def set(self, state: ContainerState) -> None:
        """Kill it, let it stand still, or have it run (again); done on return. Nothing where it is gone."""
        before = await self.state()
        if before is state:
            return
        with suppress(GoneError):
            match state, before:
                case ContainerState.DOWN, _:
                    await do(f"killing {self.name}", self._container.kill)
                case ContainerState.PAUSED, _:
                    await do(f"pausing {self.name}", self._container.pause)
                case ContainerState.RUNNING, ContainerState.PAUSED:
                    await do(f"resuming {self.name}", self._container.unpause)
                case _:
                    await do(f"starting {self.name}", self._container.start)
