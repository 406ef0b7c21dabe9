"""The parts of a cluster's network put together: what is seen of the cluster becomes what packets, names and policies follow."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.substrates.local.kubernetes.certificates import Authority
from harness.substrates.network import (
    api,
    balancing,
    enforcement,
    furniture,
    links,
    metrics,
    name_server,
    names,
    plan,
    rules,
    wire,
)
from harness.substrates.network.netlink import Netlink
from harness.substrates.network.objects import World
from harness.substrates.network.translation import Translator
from harness.substrates.network.usage import History
from harness.substrates.network.watch import Watch


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    kubeconfig: Path
    cluster_dns: str
    domain: str
    hosts: Path


class Network:
    """What is in force, as it follows from the cluster as last seen."""

    def __init__(self, settings: Settings, translator: Translator, changing: rules.Rules) -> None:
        self._settings = settings
        self._translator = translator
        self._rules = changing
        self._world = World()
        self._hosts: Mapping[str, tuple[str, ...]] = {}
        self._read: tuple[int, int] = (0, 0)
        self._names = names.of(self._world, domain=settings.domain, server=settings.cluster_dns, hosts={})

    def take(self, world: World) -> None:
        """Let everything follow a new state of the cluster."""
        table = balancing.table(world)
        pods = frozenset(socket.inet_aton(pod.address) for pod in world.pods if pod.address)
        self._translator.lead_by(table, pods=pods)
        self._rules.change(enforcement.of(world, dns=self._settings.cluster_dns) | balancing.rules_for(table))
        self._world = world
        self._name()

    def _name(self) -> None:
        self._names = names.of(
            self._world, domain=self._settings.domain, server=self._settings.cluster_dns, hosts=self._hosts
        )

    @property
    def world(self) -> World:
        """The cluster as last seen."""
        return self._world

    @property
    def names(self) -> names.Names:
        """As they are now; the hosts file is read again when it has changed."""
        try:
            status = self._settings.hosts.stat()
        except OSError:
            return self._names
        if (status.st_mtime_ns, status.st_size) != self._read:
            self._read = (status.st_mtime_ns, status.st_size)
            self._hosts = names.hosts(self._settings.hosts.read_text(encoding="utf-8", errors="replace"))
            self._name()
        return self._names


@asynccontextmanager
async def network(settings: Settings) -> AsyncIterator["asyncio.Task[None]"]:
    """The whole of it, while the scope lasts; given is what ends, with the reason, if it cannot go on by itself."""
    links.prepare()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(api.connected(settings.kubeconfig))
        translator = Translator()
        stack.enter_context(wire.leading(translator))
        link = stack.enter_context(Netlink())
        policies = stack.enter_context(rules.in_force(link, rules.standing(settings.cluster_dns)))
        made = Network(settings, translator, policies)
        await stack.enter_async_context(name_server.serving(settings.cluster_dns, lambda: made.names))
        authority = Authority.make("rundrill-network")
        history = History()
        service = metrics.Service(lambda: made.world, history)
        shown = authority.server(furniture.METRICS_NAME, names=(furniture.METRICS_NAME,), addresses=(plan.API_NODE,))
        measured = metrics.serving(service, shown, host=plan.API_NODE, port=furniture.METRICS_PORT)
        await stack.enter_async_context(measured)
        things = furniture.objects(dns=settings.cluster_dns, authority=authority.pair.certificate)

        async def go_on() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(Watch(server, made.take).follow())
                group.create_task(furniture.furnish(server, things))
                group.create_task(metrics.measure(server, lambda: made.world, history))

        task = asyncio.create_task(go_on())
        stack.push_async_callback(_ended, task)
        yield task


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait((task,))
