"""What became of containers, told at once to whoever listens (the kubelet's evented PLEG)."""

import asyncio
from collections.abc import AsyncIterator

from harness.substrates.cri import runtime_pb2 as cri

_WAITING = 1024


class Events:
    """Tells the kubelet at once what became of containers (evented PLEG)."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[cri.ContainerEventResponse]] = set()

    def tell(self, event: cri.ContainerEventResponse) -> None:
        """Tell everybody who listens; who does not keep up misses some, and lists again anyway."""
        for listener in self._listeners:
            if not listener.full():
                listener.put_nowait(event)

    async def listen(self) -> AsyncIterator[cri.ContainerEventResponse]:
        """What is told from now on."""
        listener: asyncio.Queue[cri.ContainerEventResponse] = asyncio.Queue(_WAITING)
        self._listeners.add(listener)
        try:
            while True:
                yield await listener.get()
        finally:
            self._listeners.discard(listener)
