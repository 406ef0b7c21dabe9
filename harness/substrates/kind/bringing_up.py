"""From a topology with a cluster to an environment that is up, and down again: a cluster is leased, databases come up beside it,
the stack in it, and the operator gets a way to it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness import clock
from harness.errors import SubstrateError
from harness.model import topology as model
from harness.model.topology import Topology
from harness.model.units import SECOND, Ns, milliseconds
from harness.ports import Peer
from harness.substrates import manifests
from harness.substrates.containers import bringing_up as containers
from harness.substrates.containers.doors import Doors, Way
from harness.substrates.containers.environment import ContainerEnvironment
from harness.substrates.kind import (
    docker,
    exposed,
    images,
    lease,
    leftovers,
    machine,
    names,
    nodes,
    policies,
    preparing,
    stack,
)
from harness.substrates.kind.docker import Network
from harness.substrates.kind.environment import KindEnvironment
from harness.substrates.kind.kubectl import Kubectl
from harness.substrates.kind.lease import Users
from harness.substrates.kind.nodes import API_PORT, KindCluster
from harness.substrates.kind.room import Order, Room
from harness.substrates.kind.settings import Settings
from harness.substrates.local import layout as places
from harness.substrates.local.layout import Address
from harness.substrates.local.site import Site

API = "the API server"
LISTENING: Ns = 60 * SECOND
LOOK: Ns = milliseconds(100)
DOMAIN = "cluster.local"
OWN_KUBECTL = f"{places.TOOLS}/kubectl"


@dataclass(frozen=True, slots=True)
class Held:
    """A cluster that is leased and ready: `administrator` is what removes a drill's traces by comparison with `baseline`."""

    room: Room
    administrator: Kubectl
    baseline: Sequence[str]
    network: Network


@asynccontextmanager
async def environment(  # noqa: PLR0913 - each is a part of what is brought up, and with what
    topology: Topology, cluster: model.Cluster, users: Users, settings: Settings, *, run: str, folder: Path,
    links: frozenset[str],
) -> AsyncIterator[KindEnvironment]:  # fmt: skip
    """Bring one up, and take it down whatever happens. SubstrateError if it does not come up."""
    found = manifests.read(cluster)
    async with _held(users, settings, workers=cluster.nodes) as held, AsyncExitStack() as scope:
        beyond = held.network.gateway if links else ""
        rest = await scope.enter_async_context(
            containers.environment(replace(topology, cluster=None), run=run, folder=folder, links=links, beyond=beyond)
        )
        names.write(held.room.shared, await _reachable(topology, rest, held.network, links))
        wanted = manifests.images_of(found)
        extra = settings.extra_images.split()
        await images.provide(held.room, wanted, extra=extra, kind=machine.kind(settings) or "kind")
        kubectl = _kubectl(held, cluster, folder / f"kubeconfig-{rest.id}")
        scope.callback(kubectl.kubeconfig.unlink, missing_ok=True)
        marks = stack.marks(run, rest.id)
        await stack.bring_up(kubectl, cluster, found, marked=marks, baseline=held.baseline)
        ports = await exposed.expose(kubectl, cluster, marks)
        await stack.until_running(kubectl, cluster, held.baseline)
        kind = KindCluster(cluster, kubectl, await docker.nodes(held.room.name))
        peers = await _ways_out(scope, rest.site, kind, ports, folder=folder)
        _equip(rest.site, kind)
        await scope.enter_async_context(exposed.following(kubectl, cluster, folder))
        remarks = (*_remarks(held, cluster, ports), *await policies.remarks(held.administrator))
        yield KindEnvironment(rest, kind, peers, remarks=remarks)


@asynccontextmanager
async def _held(users: Users, settings: Settings, *, workers: int) -> AsyncIterator[Held]:
    """A cluster with that many workers, with nothing of a drill's in it; a drill that comes to its end leaves nothing in it.

    What one leaves that does not (it was interrupted) is removed before the next, or goes with the cluster.
    """

    async def wanted(room: Room) -> Order:
        await machine.must_fit(settings, room, workers=workers)
        return await machine.order(settings, workers=workers, shared=room.shared)

    async with lease.leased(users, settings, wanted) as room:
        administrator = Kubectl(machine.kubectl(settings) or "kubectl", room.kubeconfig)
        try:
            baseline = await preparing.ready(room, administrator, settings)
        except SubstrateError:
            await lease.have(room, msgspec.structs.replace(await wanted(room), fresh=True), settings)
            baseline = await preparing.ready(room, administrator, settings)
        yield Held(room, administrator, baseline, await docker.network(room.name))
        names.write(room.shared, {})
        with suppress(SubstrateError):  # then the next drill gets a fresh one
            await leftovers.clean(administrator, room.name, baseline)


async def _reachable(
    topology: Topology, rest: ContainerEnvironment, network: Network, links: frozenset[str]
) -> Mapping[str, Sequence[str]]:
    """Put databases and stores on the cluster's network; their names by the address at which pods find them."""
    found: dict[str, list[str]] = {}
    for number, server in enumerate((*places.servers(topology), *topology.stores)):
        address = network.gateway if server.name in links else network.address(number)
        if server.name not in links:
            container = rest.server(server.name).container_name
            await docker.done("network", "connect", "--ip", address, network.name, container)
        found.setdefault(address, []).extend(dict.fromkeys((*server.hosts, server.name)))
    return found


def _kubectl(held: Held, cluster: model.Cluster, path: Path) -> Kubectl:
    text = held.room.kubeconfig.read_text(encoding="utf-8")
    path.touch(mode=0o600)
    path.write_text(nodes.kubeconfig(text, namespace=cluster.namespace), encoding="utf-8")
    return Kubectl(held.administrator.path, path)


async def _ways_out(
    scope: AsyncExitStack, site: Site, kind: KindCluster, ports: Mapping[str, int], *, folder: Path
) -> Mapping[str, Peer]:
    """Let the API server and the exposed Services be reached from inside; where these are then."""
    first = kind.containers[0]
    api = nodes.api_port(kind.kubeconfig.read_text(encoding="utf-8"))
    ways = {API: Way((Address("127.0.4.1", API_PORT),), (("127.0.0.1", api),))}
    inside = {first.name: "127.0.4.1"}
    peers: dict[str, Peer] = {}
    for each in kind.spec.exposed:
        host = f"{each.service or each.name}.{kind.spec.namespace}.svc.{DOMAIN}"
        address = inside.setdefault(host, f"127.0.4.{len(inside) + 1}")
        ways[f"service {each.name}"] = Way((Address(address, each.port),), ((first.address, ports[each.name]),))
        peers[each.name] = Peer(host, each.port)
        await _until_listening(each.name, first.address, ports[each.name])
    doors = Doors(site, folder)
    scope.push_async_callback(doors.close)
    await doors.open(ways)
    hosts = site.layout.seen("/etc/hosts")
    lines = "".join(f"{address} {host}\n" for host, address in inside.items())
    hosts.write_text(hosts.read_text(encoding="utf-8") + lines, encoding="utf-8")
    return peers


async def _until_listening(name: str, address: str, port: int) -> None:
    """Pods that are ready are reached once every node has been told of them."""

    async def connected() -> bool | None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(address, port)
                writer.close()
                return True
        return None

    if await clock.until(connected, deadline=clock.now() + LISTENING, every=LOOK) is None:
        raise SubstrateError(
            f"the exposed service {name!r}: expected to reach it at {address}:{port}, a port of the control plane's node; "
            "nobody answers\n    has it pods that are ready? does a firewall keep this machine from Docker's networks?"
        )


def _equip(site: Site, kind: KindCluster) -> None:
    """Give the operator kubectl, and a kubeconfig of this cluster only."""
    program = Path(kind.kubectl.path)
    seen = site.layout.seen(OWN_KUBECTL)
    inside = site.layout.program(program)
    if site.layout.seen(inside).exists():
        seen.symlink_to(inside)
    else:
        seen.write_bytes(program.read_bytes())
        seen.chmod(0o755)
    text = nodes.kubeconfig(
        kind.kubeconfig.read_text(encoding="utf-8"),
        namespace=kind.spec.namespace,
        server=f"https://{kind.nodes[0]}:{API_PORT}",
    )
    operator = site.users.operator
    site.own_folder(f"{places.HOME}/.kube", operator, mode=0o700)
    site.own_file(f"{places.HOME}/.kube/config", text, operator, mode=0o600)


def _remarks(held: Held, cluster: model.Cluster, ports: Mapping[str, int]) -> tuple[str, ...]:
    made = held.room.made_for()
    image = made.image if made and made.image else "kind's own image"
    found = [f"Kubernetes is a kind cluster ({image}, {nodes.counted(1 + cluster.nodes)})"]
    if ports:
        beside = ", ".join(f"{exposed.PREFIX}{name}" for name in ports)
        found.append(f"Services are probed and loaded through others of type NodePort beside them: {beside}")
    return tuple(found)
