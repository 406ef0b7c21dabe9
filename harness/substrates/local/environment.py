"""One local environment that is up. Not how it is brought up: that is `bringing_up`."""

import functools
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import SubstrateError
from harness.model.units import Ns
from harness.ports import Completed, Container, Instrument, Peer
from harness.substrates.inside.spawn import Program as Order
from harness.substrates.local import redis
from harness.substrates.local.channel import Program
from harness.substrates.local.kubernetes.places import OPERATORS
from harness.substrates.local.layout import HOME, TOOLS, Isolation
from harness.substrates.local.link import LocalLink
from harness.substrates.local.postgres import LocalDatabase
from harness.substrates.local.site import Site
from harness.substrates.local.stores import LocalStore
from harness.substrates.local.workloads import LocalService

if TYPE_CHECKING:
    from harness.substrates.local.kubernetes.cluster import LocalCluster

NOT_FOUND = 127
"""What a shell answers where there is no such program."""


class LocalEnvironment:
    """Fulfils ports.Environment."""

    def __init__(  # noqa: PLR0913 - each is a part of an environment
        self,
        site: Site,
        *,
        databases: Mapping[str, LocalDatabase],
        services: Mapping[str, LocalService],
        links: Mapping[str, LocalLink],
        stores: Mapping[str, LocalStore] | None = None,
        cluster: "LocalCluster | None" = None,
    ) -> None:
        self._site = site
        self._databases = databases
        self._stores = stores or {}
        self._services = services
        self._links = links
        self._cluster = cluster
        self._operating = 0

    def close(self) -> None:
        """Let go of what the harness holds of it."""
        for link in self._links.values():
            link.close()
        if self._cluster:
            self._cluster.close()

    @property
    def id(self) -> str:
        """A name that no other environment has."""
        return self._site.name

    @property
    def isolation(self) -> str:
        """`namespaces` or `processes`."""
        return self._site.layout.isolation.value

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the report must know about it."""
        found = [
            f"the clock of {database.name} runs {database.clock_ahead_s:g} s ahead (libfaketime)"
            for database in self._site.topology.databases
            if database.clock_ahead_s
        ]
        if self._site.layout.isolation is Isolation.PROCESSES:
            found.insert(0, "process isolation: no private network, host names, root or volumes")
            if self._site.under_any_name:
                found.append("PostgreSQL's clients reach the server under any host name (PGHOSTADDR)")
            if self._services and self._site.users.unreadable:
                found.append(f"workloads run as root: {self._site.users.unreadable} is not readable by other users")
        if self._cluster:
            found.append("a local cluster: containers are processes of this machine, whose CPU limits are not enforced")
        return tuple(found)

    @property
    def entrance(self) -> str:
        """The command by which a person enters it, to find what its operator would; empty with process isolation."""
        if not self._site.layout.private:
            return ""
        first, names = self._site.pid, [*self._services, *self._databases, *self._stores]
        member = next((pid for name in names for pid in self._site.pids(name)), first)
        spaces = f"nsenter -t {first} -U -m -n -i -u --pid=/proc/{member}/ns/pid --preserve-credentials"
        return f"{spaces} env HOME={self._operators['HOME']} PATH={self._operators['PATH']} bash"

    def database(self, name: str) -> LocalDatabase:
        """The database of that name; KeyError if the topology has none."""
        return self._databases[name]

    def store(self, name: str) -> LocalStore:
        """The Redis or MongoDB server of that name; KeyError if the topology has none."""
        return self._stores[name]

    def service(self, name: str) -> LocalService:
        """The workload of that name; KeyError if the topology has none."""
        return self._services[name]

    def link(self, name: str) -> LocalLink:
        """The network path to the database of that name; KeyError if it was not asked for."""
        return self._links[name]

    async def containers(self, name: str) -> Sequence[Container]:
        """KeyError: there are processes instead."""
        raise KeyError(name)

    @property
    def cluster(self) -> "LocalCluster":
        """Its Kubernetes cluster; KeyError if the topology has none."""
        if self._cluster is None:
            raise KeyError("cluster")
        return self._cluster

    def peer(self, name: str) -> Peer:
        """Where the workload, database, store or exposed Service of that name is reached, from inside."""
        if self._cluster and (exposed := self._cluster.exposed(name)):
            return exposed
        addresses = self._site.addresses
        address = addresses.workloads.get(name) or addresses.fronts[name]
        if not self._site.layout.private:
            return Peer(address.host, address.port)
        known: tuple[Mapping[str, LocalService | LocalDatabase | LocalStore], ...]
        known = (self._services, self._databases, self._stores)
        spec = next(group[name].spec for group in known if name in group)
        return Peer(spec.hosts[0] if spec.hosts else name, address.port)

    @property
    def python(self) -> str:
        """The path, inside it, of a Python that can import `harness` and what it depends on."""
        return self._site.layout.python

    def instrument(self) -> Instrument | None:
        """None: its programs are probed by programs."""
        return None

    async def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """Run a program of ours inside it, to its end; its process group is killed at `timeout` ns."""
        return await self._site.complete(
            argv, env={**self._ours, **(env or {})}, identity=self._site.users.ours, stdin=stdin, timeout=timeout
        )

    async def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdout: Path, stderr: Path
    ) -> Program:
        """Start a program of ours inside it, appending its output to host files."""
        order = Order(argv=tuple(argv), env={**self._ours, **(env or {})}, cwd="/", identity=self._site.users.ours)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the library's signature
        try:
            with theirs, stdout.open("ab") as out, stderr.open("ab") as err:
                program = await self._site.spawn(order, (theirs.fileno(), out.fileno(), err.fileno()))
        except BaseException:
            ours.close()
            raise
        return program.fed_by(ours)

    async def operate(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str = "", timeout: Ns
    ) -> Completed:
        """Run the *runbook's* program as its operator: contained; only the drill's environment, tools, HOME, cwd and /tmp.

        What it leaves running in the background ends with it, unless another call is under way.
        """
        self._operating += 1
        try:
            return await self._site.complete(
                argv,
                env={**self._operators, **(env or {})},
                identity=self._site.users.operator,
                stdin=stdin,
                timeout=timeout,
                cwd=self._site.layout.path(HOME),
                sweep=self._operating == 1,
            )
        except SubstrateError as error:
            if not self._site.alive:
                raise
            return Completed(tuple(argv), NOT_FOUND, "", str(error), 0)
        finally:
            self._operating -= 1

    @functools.cached_property
    def _ours(self) -> Mapping[str, str]:
        return self._site.python_environment()

    @functools.cached_property
    def _operators(self) -> Mapping[str, str]:
        layout = self._site.layout
        return {
            **self._site.base_environment(),
            **self._site.client_environment(),
            **self._site.under_any_name,
            **redis.client_environment(self._site.topology),
            "PATH": f"{layout.path(TOOLS)}:{self._site.base_environment()['PATH']}",
            "HOME": layout.path(HOME),
            "USER": "operator",
            "LOGNAME": "operator",
            "SHELL": "/bin/bash",
            "TERM": "dumb",
            "PAGER": "cat",
            **({"KUBECONFIG": OPERATORS} if self._cluster else {}),
        }
