"""Where things are in a local environment: paths inside and as the harness sees them, addresses, users. No effects but one:
in process isolation free ports are looked up.
"""

import os
import pwd
import random
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

from harness.errors import SubstrateError
from harness.model.topology import Mongo, Postgres, Redis, Store, Topology
from harness.substrates.inside.spawn import Identity

POSTGRES_PORT = 5432
REDIS_PORT = 6379
MONGO_PORT = 27017
NOBODY = 65534
SOCKETS = "/run/postgresql"
HOME = "/home/operator"
TOOLS = "/run/rundrill/bin"
CONTROL = "/run/rundrill/control"
COMMAND = "/run/rundrill/command.py"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


EMPTIED = ("/tmp", "/var", "/run", "/srv", "/home", "/dev")  # noqa: S108 - the environment's own
"""What is the environment's own and may well be emptied by a runbook: nothing of the host's is bound from there."""

MOVED = "/rundrill/host"
"""Where in namespaces it is instead."""


class Isolation(StrEnum):
    """How an environment is kept apart from the machine."""

    NAMESPACES = "namespaces"
    PROCESSES = "processes"


@dataclass(frozen=True, slots=True)
class Layout:
    """`inside` is what the environment calls its root, `host` what the harness calls it.

    `moved`: folders and files of the harness's, with what programs inside find them by instead.
    """

    isolation: Isolation
    inside: Path
    host: Path
    moved: tuple[tuple[str, str], ...] = ()

    @property
    def private(self) -> bool:
        """Whether it has a root, a network and users of its own."""
        return self.isolation is Isolation.NAMESPACES

    def path(self, path: str) -> str:
        """A path such as /var/log as programs inside say it."""
        return str(self.inside / path.lstrip("/"))

    def seen(self, path: str) -> Path:
        """The same as the harness says it."""
        return self.host / path.lstrip("/")

    def program(self, path: Path | str) -> str:
        """What a file that the harness brings along (Python, packages, wheels, images) is called inside."""
        for place, instead in self.moved:
            if Path(path).is_relative_to(place):
                return str(Path(instead) / Path(path).relative_to(place))
        return str(path)

    @property
    def python(self) -> str:
        """Our Python inside; by its own name where that of the virtual environment is a link to what is moved too."""
        real = os.path.realpath(sys.executable)
        return self.program(sys.executable if self.program(real) == real else real)

    def imports(self, *first: Path) -> Mapping[str, str]:
        """The variables by which that Python finds `first` and what we import."""
        found = {"PYTHONPATH": os.pathsep.join(self.program(path) for path in (*map(str, first), *packages()))}
        libraries = Path(sys.base_prefix, "lib")
        if self.program(libraries) != str(libraries):
            found["LD_LIBRARY_PATH"] = self.program(
                libraries
            )  # a path to libpython in the program would be the old one
        return found


@dataclass(frozen=True, slots=True)
class Users:
    """Who runs what."""

    ours: Identity
    postgres: Identity
    redis: Identity
    mongo: Identity
    app: Identity
    operator: Identity
    unreadable: str = ""

    @classmethod
    def of(cls, isolation: Isolation, *, images: Path) -> Self:
        """In namespaces users of the environment's own; otherwise the harness's, or nobody where that is root.

        `unreadable` is what keeps workloads, which are in `images`, from being nobody: they are root then.
        """
        ours = Identity(uid=-1, gid=-1, nested=False, apart=False, hidden=True, confined=False)
        if isolation is Isolation.NAMESPACES:
            return cls(
                ours=ours,
                postgres=Identity(uid=999, gid=999, nested=True, apart=False, hidden=False, confined=False),
                redis=Identity(uid=997, gid=997, nested=True, apart=False, hidden=False, confined=False),
                mongo=Identity(uid=996, gid=996, nested=True, apart=False, hidden=False, confined=False),
                app=Identity(uid=998, gid=998, nested=True, apart=False, hidden=False, confined=False),
                operator=Identity(uid=1000, gid=1000, nested=True, apart=True, hidden=False, confined=False),
            )
        number = NOBODY if os.getuid() == 0 else -1
        server = Identity(uid=number, gid=number, nested=False, apart=False, hidden=False, confined=False)
        needed = (sys.executable, *packages(), str(images)) if os.getuid() == 0 else ()
        unreadable = next((str(path) for path in needed if not open_to_all(Path(path))), "")
        operator = Identity(uid=number, gid=number, nested=False, apart=False, hidden=False, confined=True)
        app = ours if unreadable else server
        return cls(
            ours=ours, postgres=server, redis=server, mongo=app, app=app, operator=operator, unreadable=unreadable
        )


def open_to_all(path: Path) -> bool:
    """Whether every user may reach and read the file or folder, by that name."""
    names = [path.absolute()]
    while names[-1].is_symlink():
        names.append(names[-1].parent / names[-1].readlink())
    real = path.resolve()
    wanted = 0o005 if real.is_dir() else 0o004
    parents = {parent for name in (*names, real) for parent in name.parents}
    return real.stat().st_mode & wanted == wanted and all(parent.stat().st_mode & 0o001 for parent in parents)


def packages() -> tuple[str, ...]:
    """The folders our imports come from, besides the standard library's."""
    return tuple(
        path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"} and Path(path).is_dir()
    )


ACCOUNTS = """\
root:x:0:0:root:/root:/bin/bash
postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/bash
app:x:998:998:application:/srv:/bin/bash
redis:x:997:997:Redis:/var/lib/redis:/usr/sbin/nologin
mongodb:x:996:996:MongoDB:/var/lib/mongodb:/usr/sbin/nologin
operator:x:1000:1000:operator:/home/operator:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""

GROUP = """\
root:x:0:
postgres:x:999:
app:x:998:
redis:x:997:
mongodb:x:996:
operator:x:1000:
nogroup:x:65534:
"""


def own_user() -> str | None:
    """The name of the user the harness runs as; None if it has no passwd entry."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return None


@dataclass(frozen=True, slots=True)
class Address:
    """An IPv4 address and port inside the environment."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where each database and store listens, where its names lead to (a proxy, if its link can be faulty), and each workload."""

    databases: Mapping[str, Address]
    fronts: Mapping[str, Address]
    workloads: Mapping[str, Address]


def with_standbys(database: Postgres) -> tuple[Postgres, ...]:
    """The server and its standbys, each a server with a name of its own."""
    names = [f"{database.name}-standby-{number}" for number in range(1, database.standbys + 1)]
    return (database, *(replace(database, name=name, hosts=(name,), standbys=0) for name in names))


def servers(topology: Topology) -> tuple[Postgres, ...]:
    """Every server of the topology, standbys included."""
    return tuple(server for database in topology.databases for server in with_standbys(database))


def port(store: Store) -> int:
    """The port that such a server is known for."""
    match store:
        case Redis():
            return REDIS_PORT
        case Mongo():
            return MONGO_PORT


def allot(topology: Topology, links: frozenset[str], *, private: bool) -> Addresses:
    """Addresses for everything: its own and the port it is known for where the network is private, else free ports."""
    ports_of = {server.name: POSTGRES_PORT for server in servers(topology)}
    ports_of |= {store.name: port(store) for store in topology.stores}
    names = list(ports_of)
    services = topology.workloads
    if private:
        loopback = "10.0" if topology.cluster else "127.0"  # pods have a loopback of their own
        databases = {name: Address(f"{loopback}.1.{number}", ports_of[name]) for number, name in enumerate(names, 1)}
        proxies = {name: Address(f"{loopback}.3.{number}", ports_of[name]) for number, name in enumerate(names, 1)}
        workloads = {service.name: Address(f"{loopback}.2.{n}", service.port) for n, service in enumerate(services, 1)}
    else:
        ports = iter(free_ports(2 * len(names) + len(services)))
        databases = {name: Address("127.0.0.1", next(ports)) for name in names}
        proxies = {name: Address("127.0.0.1", next(ports)) for name in names}
        workloads = {service.name: Address("127.0.0.1", next(ports)) for service in services}
    fronts = {name: proxies[name] if name in links else databases[name] for name in names}
    return Addresses(databases, fronts, workloads)


PORTS = range(20000, 32000)
"""Below Linux's ephemeral ports (32768 and up, ip(7)): whoever tries a closed one of those again and again can be given
the very port as its own, and is then connected to itself."""


def free_ports(count: int) -> list[int]:
    """Ports of PORTS that nobody listens at; SubstrateError if there are not that many."""
    found: list[int] = []
    with ExitStack() as stack:
        for port in random.sample(PORTS, len(PORTS)):
            if len(found) < count:
                sock = stack.enter_context(socket.socket())
                with suppress(OSError):
                    sock.bind(("127.0.0.1", port))
                    found.append(port)
    if len(found) < count:
        raise SubstrateError(f"expected {count} free ports of {PORTS.start} to {PORTS.stop - 1}; found {len(found)}")
    return found


def hosts_file(topology: Topology, addresses: Addresses, hostname: str) -> str:
    """The environment's /etc/hosts."""
    lines = [f"127.0.0.1 localhost {hostname}"]
    lines += [
        f"{addresses.fronts[server.name].host} {' '.join(dict.fromkeys((*server.hosts, server.name)))}"
        for server in (*servers(topology), *topology.stores)
    ]
    lines += [
        f"{addresses.workloads[service.name].host} {' '.join(dict.fromkeys((*service.hosts, service.name)))}"
        for service in topology.workloads
    ]
    return "\n".join(lines) + "\n"


def password_file(topology: Topology, addresses: Addresses, *, private: bool) -> str:
    """The operator's .pgpass: every role of every server, by each of the server's names; where the network is not private
    by its port alone, since libpq looks up the name that was said, not PGHOSTADDR (PostgreSQL, "The Password File").
    """
    lines = []
    for database in topology.databases:
        passwords = {"postgres": SUPERUSER_PASSWORD, **{r.name: r.password for r in (*database.roles, database.owner)}}
        for server in with_standbys(database):
            places = {Address(name, POSTGRES_PORT): None for name in (*server.hosts, server.name)}
            places |= {addresses.fronts[server.name]: None, addresses.databases[server.name]: None}
            if not private:
                places = {
                    Address("*", place.port): None
                    for place in (addresses.fronts[server.name], addresses.databases[server.name])
                }
            elif server is topology.databases[0]:
                places[Address("localhost", POSTGRES_PORT)] = places[Address("127.0.0.1", POSTGRES_PORT)] = None
            lines += [
                ":".join((place.host, str(place.port), "*", _escaped(role), _escaped(password)))
                for place in places
                for role, password in passwords.items()
            ]
    return "\n".join(lines) + "\n"


SUPERUSER_PASSWORD = "postgres"  # noqa: S105 - of a server nobody outside can reach; the socket needs none


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
