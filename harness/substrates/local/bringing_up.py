"""From a topology to a local environment that is up, and down again: the supervisor, then databases, links, workloads."""

import asyncio
import os
import secrets
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness import execution
from harness.errors import SubstrateError
from harness.model.topology import Cluster, Redis, Topology
from harness.model.units import SECOND, Ns
from harness.ports import Capability
from harness.substrates import inside, labels
from harness.substrates.inside.root import OTHER_TMP, Plan, Volume
from harness.substrates.inside.spawn import Confinement
from harness.substrates.journal import Journal
from harness.substrates.local import layout as places
from harness.substrates.local import machine, mongo, redis, wheels
from harness.substrates.local.channel import Channel
from harness.substrates.local.environment import LocalEnvironment
from harness.substrates.local.kubernetes import binaries
from harness.substrates.local.kubernetes import places as kubernetes_places
from harness.substrates.local.layout import Addresses, Isolation, Layout, Users, open_to_all
from harness.substrates.local.link import LocalLink
from harness.substrates.local.mongo import LocalMongo
from harness.substrates.local.postgres import LocalDatabase
from harness.substrates.local.redis import LocalRedis
from harness.substrates.local.site import Site
from harness.substrates.local.stores import LocalStore
from harness.substrates.local.workloads import LocalService, images
from harness.substrates.network import plan

if TYPE_CHECKING:
    from harness.substrates.local.kubernetes.cluster import LocalCluster

ENDING: Ns = 5 * SECOND
ROOM_MIB = 1024
"""Size limit of each of the private writable file systems but the databases' volumes."""

LOG_KEPT = 8 * 1024 * 1024
"""How many bytes at the end of each log are kept in the run's folder."""

LONGEST_SOCKET = 107
"""Bytes of a Unix socket's path (unix(7))."""

HOSTNAME_MAX = 60

_ETC = (
    *("alternatives", "ssl", "ca-certificates", "ca-certificates.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("localtime", "timezone", "services", "protocols", "rpc", "mime.types", "os-release", "debian_version"),
    *("bash.bashrc", "profile", "inputrc", "terminfo", "perl", "python3", "python3.11", "python3.12", "python3.13"),
    *("gai.conf", "host.conf", "locale.alias", "postgresql-common", "java-17-openjdk", "java-21-openjdk", "vim"),
)
"""What programs look for in /etc. Everything else there is the host's own business."""


_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm")  # noqa: S108 - devices
_READABLE = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/etc", "/proc", "/dev")
_FOLDERS = ("/tmp", "/var/tmp", "/var/log", "/srv", places.HOME, places.TOOLS, places.SOCKETS)  # noqa: S108 - private


@asynccontextmanager
async def environment(
    topology: Topology, *, run: str, folder: Path, links: frozenset[str] = frozenset(), tables: Sequence[Path] = ()
) -> AsyncIterator[LocalEnvironment]:
    """Bring one up, and take it down whatever happens. `tables` are TOML files of more images for its cluster's pods.

    SubstrateError if it does not come up.
    """
    if trouble := machine.user_problem():
        raise SubstrateError(str(trouble))
    if topology.cluster and Capability.KUBERNETES not in machine.provides():
        raise SubstrateError(str(machine.problem(Capability.KUBERNETES)))
    name = labels.environment_name(run)
    isolation = machine.isolation()
    addresses = places.allot(topology, links, private=isolation is Isolation.NAMESPACES)
    async with supervised(
        name, topology, addresses=addresses, isolation=isolation, journal=Journal(folder, name), tables=tables
    ) as site:
        try:
            environment = _empty(site, links, folder=folder, tables=tables)
            try:
                await _fill(environment, site)
                yield environment
            finally:
                environment.close()
        finally:
            keep_logs(site.layout, folder / "logs" / name)


@asynccontextmanager
async def supervised(  # noqa: PLR0913 - each is a part of what it is to be
    name: str,
    topology: Topology,
    *,
    addresses: Addresses,
    isolation: Isolation,
    journal: Journal,
    with_volumes: bool = True,
    tables: Sequence[Path] = (),
) -> AsyncIterator[Site]:
    """A supervisor that is up and has nothing to do yet; without volumes for servers that are elsewhere. What lies beside
    the `tables` of images is seen in it."""
    private = isolation is Isolation.NAMESPACES
    with nullcontext() if private else _own_folder(journal) as own:
        layout = Layout(isolation, own or Path("/"), own or Path("/"), await _moved(isolation))
        users = Users.of(isolation, images=images())
        async with _connected(name, own, journal) as channel:
            site = Site(name, topology, channel=channel, layout=layout, addresses=addresses, users=users)
            await site.boot(
                {
                    "root": _root(topology, addresses, layout, with_volumes=with_volumes, tables=tables)
                    if private
                    else None,
                    "socket": layout.path(places.CONTROL),
                    "writable": (*_WRITABLE, str(own), str(journal.folder)),
                    "confinement": _confinement(layout, addresses),
                }
            )
            _furnish(site)
            yield site
    journal.over()


@asynccontextmanager
async def _connected(name: str, own: Path | None, journal: Journal) -> AsyncIterator[Channel]:
    """Start the supervisor's process; at the end let go of it, which ends it and everything, or kill it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    complaints = journal.folder / f"supervisor-{name}.log"
    with theirs:
        child = execution.start(
            _command(theirs.fileno(), own),
            env={"PATH": places.SYSTEM_PATH, labels.VARIABLE: name},
            stderr=complaints,
            pass_fds=(theirs.fileno(),),
        )
    channel = Channel(ours)
    try:
        journal.process(child.pid, "the supervisor")
        yield channel
    finally:
        channel.close()
        if await child.wait(ENDING) is None:
            await child.kill()
        if not complaints.stat().st_size:
            complaints.unlink()


def _command(control: int, own: Path | None) -> Sequence[str]:
    supervisor = str(Path(inside.__file__).parent / "supervisor.py")
    program = (sys.executable, "-I", "-S", supervisor, str(control))
    return (*program, str(own), *_FOLDERS) if own else (*machine.ENTER, *program)


@contextmanager
def _own_folder(journal: Journal) -> Iterator[Path]:
    """Process isolation: a folder under TMPDIR, since sockets need a short path and another user has to get there.

    The supervisor's parent makes it, so that there is never a folder without somebody who will remove it.
    """
    base = Path(tempfile.gettempdir())
    folder = base / f"rd-{secrets.token_hex(4)}"
    longest = max(len(f"{folder}{places.SOCKETS}/{name}/.s.PGSQL.65535") for name in ("", "x" * 30))
    if longest > LONGEST_SOCKET:
        raise SubstrateError(f"{base}: expected a path short enough for Unix sockets\n    set TMPDIR to a shorter one")
    if os.getuid() == 0 and not open_to_all(base):
        raise SubstrateError(
            f"{base}: expected a folder that user nobody can reach\n    set TMPDIR, for instance to /tmp"
        )
    journal.made(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _moved(isolation: Isolation) -> tuple[tuple[str, str], ...]:
    """Where what we bring along has another name inside: see Layout."""
    if isolation is Isolation.NAMESPACES:
        return tuple((folder, places.MOVED + folder) for folder in places.EMPTIED)
    return (*await wheels.readable(), *await redis.readable()) if os.getuid() == 0 else ()


def _programs(*more: str) -> Sequence[str]:
    """The folders that hold our Python, what it imports, and what it starts, and `more`; none that lies in another."""
    wanted = {sys.prefix, sys.base_prefix, *places.packages(), str(Path(harness.__file__).parent), str(images()), *more}
    wanted |= {str(path) for path in (wheels.installation(), wheels.faketime()) if path}
    found: list[str] = []
    for path in sorted(wanted):
        if not any(Path(path).is_relative_to(other) for other in ("/usr", "/opt", *found)):
            found.append(path)
    return found


def _kubernetes() -> dict[str, str]:
    """The programs of a cluster and its client: where they are to be, and what they really are."""
    found = {name: str(path) for name, path in binaries.demanded().programs.items()}
    if path := binaries.kubectl():
        found["kubectl"] = str(path)
    return {f"{kubernetes_places.PROGRAMS}/{name}": os.path.realpath(path) for name, path in found.items()}


def _root(
    topology: Topology, addresses: Addresses, layout: Layout, *, with_volumes: bool, tables: Sequence[Path]
) -> Plan:
    cluster = topology.cluster
    nodes = kubernetes_places.nodes(cluster.nodes) if cluster else ()
    hostname = topology.stack[:HOSTNAME_MAX] or "rundrill"
    volumes = [
        Volume(path=f"/var/lib/postgresql/{server.name}", mib=server.volume_mb) for server in places.servers(topology)
    ]
    volumes += [
        Volume(path=f"{redis.HOME if isinstance(store, Redis) else mongo.HOME}/{store.name}", mib=store.volume_mb)
        for store in topology.stores
    ]
    return Plan(
        hostname=hostname,
        programs={
            layout.program(place): os.path.realpath(path)
            for path in _programs(*(str(table.parent.absolute()) for table in tables))
            for place in (path, os.path.realpath(path))
            if Path(path).exists()
        }
        | (_kubernetes() if cluster else {}),
        etc=[f"/etc/{name}" for name in _ETC],
        files={
            "/etc/hosts": places.hosts_file(topology, addresses, hostname),
            "/etc/passwd": places.ACCOUNTS,
            "/etc/group": places.GROUP,
            "/etc/hostname": f"{hostname}\n",
            **({"/etc/machine-id": f"{secrets.token_hex(16)}\n"} if cluster else {}),
            "/etc/resolv.conf": kubernetes_places.RESOLVING if cluster else "# names are in /etc/hosts\n",
            "/etc/nsswitch.conf": f"passwd: files\ngroup: files\nhosts: files{' dns' if cluster else ''}\n",
        },
        directories=(*_FOLDERS, OTHER_TMP) if cluster else _FOLDERS,
        volumes=volumes if with_volumes else [],
        size_mib=ROOM_MIB,
        addresses=[node.address for node in nodes],
        networks=(kubernetes_places.NODE_NETWORK, kubernetes_places.SERVICE_NETWORK) if cluster else (),
        devices=bool(cluster),
        clients=plan.CLIENT_PORTS if cluster else "",
    )


def _confinement(layout: Layout, addresses: Addresses) -> Confinement:
    ports = {
        address.port
        for group in (addresses.databases, addresses.fronts, addresses.workloads)
        for address in group.values()
    }
    return Confinement(
        readable=(*_READABLE, *_programs(), *(instead for _, instead in layout.moved)),
        writable=(*_WRITABLE, str(layout.inside)),
        ports=sorted(ports),
    )


def _furnish(site: Site) -> None:
    """The operator's home and tools."""
    operator, layout = site.users.operator, site.layout
    for path, mode in ((places.HOME, 0o755), ("/tmp", 0o1777), ("/var/tmp", 0o1777)):  # noqa: S108 - private ones
        site.own_folder(path, operator, mode=mode)
    passwords = places.password_file(site.topology, site.addresses, private=layout.private)
    site.own_file(f"{places.HOME}/.pgpass", passwords, operator, mode=0o600)
    text = (Path(inside.__file__).parent / "command.py").read_text(encoding="utf-8")
    site.own_file(places.COMMAND, text, site.users.ours)
    for name, kind in (("service", "service"), ("systemctl", "service"), ("sudo", "sudo")):
        words = shlex.join(
            (_operators_python(layout), "-I", "-S", layout.path(places.COMMAND), kind, layout.path(places.CONTROL))
        )
        site.own_file(f"{places.TOOLS}/{name}", f'#!/bin/sh\nexec {words} "$@"\n', site.users.ours, mode=0o755)
    if site.topology.cluster:
        site.own_folder(OTHER_TMP, operator, mode=0o1777)
        layout.seen(f"{places.TOOLS}/kubectl").symlink_to(f"{kubernetes_places.PROGRAMS}/kubectl")
    for name, path in {**wheels.programs(), **redis.programs()}.items():
        layout.seen(f"{places.TOOLS}/{name}").symlink_to(layout.program(path))


def _operators_python(layout: Layout) -> str:
    """A Python that the operator may run as it is; its standard library is enough."""

    def usable(path: str) -> bool:
        return Path(path).exists() and layout.program(path) == path and (layout.private or open_to_all(Path(path)))

    candidates = (os.path.realpath(sys.executable), "/usr/local/bin/python3", "/usr/bin/python3")
    return next(filter(usable, candidates), layout.python)


def _empty(site: Site, linked: frozenset[str], *, folder: Path, tables: Sequence[Path]) -> LocalEnvironment:
    """The environment with nothing in it started yet."""
    databases: dict[str, LocalDatabase] = {}
    for spec in site.topology.databases:
        for server in places.with_standbys(spec):
            databases[server.name] = LocalDatabase(server, site, primary=databases.get(spec.name))
    stores: dict[str, LocalStore] = {
        spec.name: LocalRedis(spec, site) if isinstance(spec, Redis) else LocalMongo(spec, site)
        for spec in site.topology.stores
    }
    if unknown := linked - set(databases) - set(stores):
        raise SubstrateError(f"links: expected names of databases or stores; found {', '.join(sorted(unknown))}")
    services = {spec.name: LocalService(spec, site) for spec in site.topology.workloads}
    links = {name: LocalLink(name, site) for name in linked}
    wanted = site.topology.cluster
    cluster = _cluster_of(wanted, site, folder, tables) if wanted else None
    return LocalEnvironment(site, databases=databases, stores=stores, services=services, links=links, cluster=cluster)


def _cluster_of(spec: Cluster, site: Site, folder: Path, tables: Sequence[Path]) -> "LocalCluster":
    from harness.substrates.local.kubernetes.cluster import LocalCluster  # noqa: PLC0415 - what not everybody installs

    there = (*sorted(images().glob("*/image.toml")), *(table.absolute() for table in tables))
    return LocalCluster(spec, site, folder=folder, images=there)


async def _fill(environment: LocalEnvironment, site: Site) -> None:
    """Start everything at once: a workload comes up while its database does."""
    topology = site.topology
    clusters = [
        _cluster([environment.database(server.name) for server in places.with_standbys(spec)])
        for spec in topology.databases
    ]
    links = [
        environment.link(name).start(at=front, to=site.addresses.databases[name])
        for name, front in site.addresses.fronts.items()
        if front != site.addresses.databases[name]
    ]
    stores = [_store(environment.store(spec.name)) for spec in topology.stores]
    services = [_service(environment.service(spec.name)) for spec in topology.workloads]
    kubernetes = [environment.cluster.start()] if topology.cluster else []
    await _together(*clusters, *stores, *links, *services, *kubernetes)


async def _together(*jobs: Coroutine[None, None, None]) -> None:
    """Do all at once; one SubstrateError with what went wrong first, after the others were given up."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except* SubstrateError as errors:
        raise SubstrateError("\n".join(str(error) for error in errors.exceptions)) from errors


async def _cluster(members: Sequence[LocalDatabase]) -> None:
    """A server, then its standbys, which are copied from it."""
    primary, *standbys = members
    await _database(primary)
    await _together(*(_database(standby) for standby in standbys))


async def _database(database: LocalDatabase) -> None:
    await database.prepare()
    await database.start()


async def _store(store: LocalStore) -> None:
    await store.prepare()
    await store.start()


async def _service(service: LocalService) -> None:
    await service.prepare()
    await service.start()


def keep_logs(layout: Layout, folder: Path) -> None:
    """Copy the end of every log out of the environment."""
    places_of_logs = {"/var/log": folder, kubernetes_places.LOGS: folder / "kubernetes",
                      kubernetes_places.POD_LOGS: folder / "pods"}  # fmt: skip
    for place, kept in places_of_logs.items():
        _keep(layout.seen(place), kept)


def _keep(logs: Path, folder: Path) -> None:
    for path in sorted(logs.rglob("*.log")):
        if path.is_file() and not path.is_symlink():
            copy = folder / path.relative_to(logs)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as file, copy.open("wb") as kept:
                file.seek(max(0, path.stat().st_size - LOG_KEPT))
                shutil.copyfileobj(file, kept)
