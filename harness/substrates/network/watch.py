"""The cluster as its network sees it, now and whenever something changes. Not what follows from it."""

import asyncio
from collections.abc import Callable
from typing import Any

from harness.substrates.network import objects
from harness.substrates.network.api import Api, Followed
from harness.substrates.network.objects import World

TOGETHER_S = 0.005
"""Changes that come this soon after each other are told of once."""


class Watch:
    """Follows everything that World holds, and calls `changed` with it. Nothing is told before all of it is known."""

    def __init__(self, api: Api, changed: Callable[[World], None]) -> None:
        self._changed = changed
        self._due: asyncio.TimerHandle | None = None
        self._complete = False

        def follow(path: str, kind: type[Any]) -> Followed[Any]:
            return Followed(api, path, kind, changed=self._soon)

        self._services: Followed[objects.Service] = follow("/api/v1/services", objects.Service)
        self._slices: Followed[objects.EndpointSlice] = follow(
            "/apis/discovery.k8s.io/v1/endpointslices", objects.EndpointSlice
        )
        self._pods: Followed[objects.Pod] = follow("/api/v1/pods", objects.Pod)
        self._namespaces: Followed[objects.Namespace] = follow("/api/v1/namespaces", objects.Namespace)
        self._policies: Followed[objects.NetworkPolicy] = follow(
            "/apis/networking.k8s.io/v1/networkpolicies", objects.NetworkPolicy
        )
        self._nodes: Followed[objects.Node] = follow("/api/v1/nodes", objects.Node)

    @property
    def world(self) -> World:
        """As last seen."""
        return World(
            services=self._services.objects,
            slices=self._slices.objects,
            pods=self._pods.objects,
            namespaces=self._namespaces.objects,
            policies=self._policies.objects,
            nodes=self._nodes.objects,
        )

    def _soon(self) -> None:
        if self._complete and self._due is None:
            self._due = asyncio.get_running_loop().call_later(TOGETHER_S, self._tell)

    def _tell(self) -> None:
        self._due = None
        self._changed(self.world)

    async def follow(self) -> None:
        """Until cancelled."""
        kinds = (self._services, self._slices, self._pods, self._namespaces, self._policies, self._nodes)
        async with asyncio.TaskGroup() as group:
            for kind in kinds:
                group.create_task(kind.follow())
            for kind in kinds:
                await kind.listed.wait()
            self._complete = True
            self._tell()
