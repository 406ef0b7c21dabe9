"""From a topology to an environment in containers that is up, and down again: Docker's part and the local part side by side."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import docker

from harness import execution
from harness.errors import SubstrateError
from harness.model.topology import Mongo, Redis, Store, Topology
from harness.model.units import SECOND, Ns
from harness.substrates import labels
from harness.substrates.containers import daemon as way
from harness.substrates.containers import operating, settings, sweeping, tools, watchdog
from harness.substrates.containers.daemon import do
from harness.substrates.containers.database import ContainerDatabase
from harness.substrates.containers.doors import DoorLink, Doors, Way
from harness.substrates.containers.environment import ContainerEnvironment
from harness.substrates.containers.service import ContainerService
from harness.substrates.containers.settings import Images
from harness.substrates.containers.stores import ContainerMongo, ContainerRedis, ContainerStore
from harness.substrates.containers.yard import Keeper, Yard
from harness.substrates.disk import Need, must_hold
from harness.substrates.journal import Journal
from harness.substrates.local import layout as places
from harness.substrates.local.bringing_up import keep_logs, supervised
from harness.substrates.local.environment import LocalEnvironment
from harness.substrates.local.layout import Address, Isolation
from harness.substrates.local.site import Site

ENDING: Ns = 5 * SECOND
LOG_LINES = 20_000
"""How many lines at the end of each container's log are kept in the run's folder."""

IMAGE_MIB = 600
"""What an image takes while it is pulled: itself, and its layers as they come."""

CONTAINER_MIB = 32
"""What a container writes beside its volume, which is in memory: its log, and files of its own."""


@asynccontextmanager
async def environment(
    topology: Topology, *, run: str, folder: Path, links: frozenset[str], beyond: str = ""
) -> AsyncIterator[ContainerEnvironment]:
    """Bring one up, and take it down whatever happens. `beyond` is an address of this machine at which others find the
    databases whose links can be faulty. SubstrateError if it does not come up."""
    name = labels.environment_name(run)
    known = {server.name for server in places.servers(topology)}
    if unknown := links - known:
        raise SubstrateError(f"links: expected names of databases; found {', '.join(sorted(unknown))}")
    yard = Yard(way.client(), name, run, settings.images())
    addresses = places.allot(topology, frozenset(), private=True)
    async with AsyncExitStack() as stack:
        stack.callback(yard.daemon.close)
        await do("Docker's disk", partial(_must_fit, yard, topology))
        journal = Journal(folder, name)
        site = await stack.enter_async_context(
            supervised(
                name,
                topology,
                addresses=addresses,
                isolation=Isolation.NAMESPACES,
                journal=journal,
                with_volumes=False,
            )
        )
        stack.callback(keep_logs, site.layout, folder / "logs" / name)
        await stack.enter_async_context(_swept(yard, journal, folder))
        yield await _filled(stack, yard, site, folder=folder, links=links, beyond=beyond)


def _must_fit(yard: Yard, topology: Topology) -> None:
    """SubstrateError unless Docker's disk has room for the topology; it blocks."""
    names = _images(topology, yard.images)
    servers = len(places.servers(topology)) + len(topology.stores)
    count = servers + sum(workload.processes for workload in topology.workloads)
    needs = [Need(f"the image {name}", IMAGE_MIB) for name in names if not way.has(yard.daemon, name)]
    must_hold(way.root(yard.daemon), [*needs, Need(f"{count} containers", count * CONTAINER_MIB)])


def _images(topology: Topology, images: Images) -> dict[str, str]:
    """The images that the topology takes, with the settings that name them."""
    kinds: tuple[tuple[str, str, object], ...] = (
        (images.postgres, "postgres", topology.databases),
        (images.redis, "redis", [one for one in topology.stores if isinstance(one, Redis)]),
        (images.mongo, "mongo", [one for one in topology.stores if isinstance(one, Mongo)]),
        (images.python, "python", topology.workloads),
    )
    return {image: setting for image, setting, users in kinds if users}


@asynccontextmanager
async def _swept(yard: Yard, journal: Journal, folder: Path) -> AsyncIterator[None]:
    """Whatever is made in Docker meanwhile is gone afterwards: by us, or by a watchdog if we are killed."""
    journal.labelled(way.endpoint())
    log = folder / f"watchdog-{yard.name}.log"
    dog = execution.start(
        (
            sys.executable,
            "-I",
            "-S",
            str(Path(watchdog.__file__)),
            yard.name,
            ":".join(path for path in sys.path if path),
        ),
        env=dict(way.variables()),
        stderr=log,
    )
    try:
        yield
    finally:
        with suppress(SubstrateError):  # logs are worth less than what is removed next
            await do("taking the logs", partial(_keep_logs, yard, folder / "logs" / yard.name))
        await _removed(yard)
        with suppress(BrokenPipeError):
            await dog.send("over")
        if await dog.wait(ENDING) is None:
            await dog.kill()
        if log.exists() and not log.stat().st_size:
            log.unlink()


async def _removed(yard: Yard) -> None:
    """Remove everything of it. If that fails, the watchdog is not told that it is over: it tries again when we are gone."""
    try:
        await do(f"removing {yard.name}", partial(sweeping.sweep_whole, yard.daemon, yard.name))
    except SubstrateError as error:
        raise SubstrateError(
            f"{error}\n    what Docker still has of {yard.name} is removed by its watchdog, if Docker is back within "
            f"{sweeping.BACK_S:.0f} s of this run's end; else by: rundrill reap"
        ) from error


def _keep_logs(yard: Yard, folder: Path) -> None:
    """The end of every container's log, in a file of its name."""
    wanted: dict[str, str | list[str] | bool] = {"label": f"{labels.ENVIRONMENT}={yard.name}"}
    for container in yard.daemon.containers.list(all=True, filters=wanted, ignore_removed=True):
        text = way.tail(container, LOG_LINES)
        if text:
            folder.mkdir(parents=True, exist_ok=True)
            short = str(container.name).removeprefix(f"{yard.project}-")
            (folder / f"{short}.log").write_text(text + "\n", encoding="utf-8")


async def _filled(  # noqa: PLR0913 - each is a part of what is brought up
    stack: AsyncExitStack, yard: Yard, site: Site, *, folder: Path, links: frozenset[str], beyond: str
) -> ContainerEnvironment:
    """Everything started: what needs nothing of each other at once."""
    topology = site.topology
    images = _images(topology, yard.images)
    for image, setting in images.items():
        await way.image(yard.daemon, image, setting)
    network = await yard.network()
    databases, stores = await _housed(yard, site, next(iter(images), ""))
    servers: Sequence[ContainerDatabase | ContainerStore] = (*databases.values(), *stores.values())
    gateway = await do("the network's address", lambda: _gateway(yard.daemon, str(network.id))) if links else ""
    elsewhere = {
        name: gateway for one in databases.values() if one.name in links for name in (*one.spec.hosts, one.name)
    }
    services = {spec.name: ContainerService(spec, yard, site, elsewhere=elsewhere) for spec in topology.workloads}
    await _together(
        *(database.look() for database in databases.values()), *(service.prepare() for service in services.values())
    )
    doors = Doors(site, folder)
    stack.push_async_callback(doors.close)
    gateways = tuple(each for each in (gateway, beyond) if each)
    await operating.equip(stack, yard, site)
    hashes = await operating.define(yard, site, servers, services)
    await _together(
        doors.open(_ways(site, servers, services, links=links, gateways=gateways)),
        *(
            _cluster([databases[each.name] for each in places.with_standbys(spec)], hashes)
            for spec in topology.databases
        ),
        *(_started(store, hashes) for store in stores.values()),
        *(service.start(hashes.get(name, "")) for name, service in services.items()),
    )
    for server in servers:
        await doors.lead(server.name, [("127.0.0.1", server.port)])
    operating.open_desk(stack, yard, site, servers, services)
    return ContainerEnvironment(
        yard,
        site,
        LocalEnvironment(site, databases={}, services={}, links={}),
        databases=databases,
        stores=stores,
        services=services,
        links={name: DoorLink(name, doors) for name in links},
        remarks=(f"databases and workloads are containers of Docker ({', '.join(images)})",) if images else (),
        variables=operating.variables(yard, site) if tools.docker() else {},
    )


async def _housed(
    yard: Yard, site: Site, image: str
) -> tuple[Mapping[str, ContainerDatabase], Mapping[str, ContainerStore]]:
    """The servers, none of which has a container yet; their volumes, kept by a container of that image."""
    specs = (*places.servers(site.topology), *site.topology.stores)
    volumes = {spec.name: await yard.volume(spec.name, spec.volume_mb) for spec in specs}
    if not volumes:
        return {}, {}
    keeper = await yard.keeper(volumes, image=image)
    databases: dict[str, ContainerDatabase] = {}
    for database in site.topology.databases:
        for spec in places.with_standbys(database):
            databases[spec.name] = ContainerDatabase(
                spec, yard, volume=volumes[spec.name], keeper=keeper, primary=databases.get(database.name)
            )
    stores = {
        spec.name: _store(spec, yard, site, volume=volumes[spec.name], keeper=keeper) for spec in site.topology.stores
    }
    return databases, stores


def _store(spec: Store, yard: Yard, site: Site, *, volume: str, keeper: Keeper) -> ContainerStore:
    address = site.addresses.databases[spec.name]
    match spec:
        case Redis():
            return ContainerRedis(spec, yard, address, volume=volume, keeper=keeper)
        case Mongo():
            return ContainerMongo(spec, yard, address, volume=volume)


def _gateway(daemon: docker.DockerClient, network: str) -> str:
    """This machine's address on the environment's network."""
    return str(daemon.networks.get(network).attrs["IPAM"]["Config"][0]["Gateway"])


def _ways(
    site: Site,
    servers: Sequence[ContainerDatabase | ContainerStore],
    services: Mapping[str, ContainerService],
    *,
    links: frozenset[str],
    gateways: tuple[str, ...],
) -> Mapping[str, Way]:
    """The doors of servers and workloads: a link is reached by containers through the same door."""
    found = {}
    for server in servers:
        own = site.addresses.databases[server.name]
        addresses = (own, Address("127.0.0.1", own.port)) if site.is_first(server.spec) else (own,)
        outside = tuple((gateway, own.port) for gateway in gateways) if server.name in links else ()
        found[server.name] = Way(addresses, (("127.0.0.1", server.port),), outside)
    for name, service in services.items():
        found[name] = Way((site.addresses.workloads[name],), tuple(("127.0.0.1", port) for port in service.ports))
    return found


async def _together(*jobs: Coroutine[None, None, None]) -> None:
    """Do all at once; one SubstrateError with what went wrong, after the others were given up."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except* SubstrateError as errors:
        raise SubstrateError("\n".join(str(error) for error in errors.exceptions)) from errors


async def _cluster(members: list[ContainerDatabase], hashes: Mapping[str, str]) -> None:
    """A server, then its standbys, which are copied from it."""
    primary, *standbys = members
    await _started(primary, hashes)
    await _together(*(_started(standby, hashes) for standby in standbys))


async def _started(server: ContainerDatabase | ContainerStore, hashes: Mapping[str, str]) -> None:
    await server.prepare()
    await server.create(hashes.get(server.name, ""))
    await server.ready()
