"""What a drill's replica consists of, the same on every substrate: databases and workloads. Not how they are started."""

from dataclasses import dataclass, replace
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Role:
    """A login role of a database server. `superuser` is for the operator's role where the runbook needs it."""

    name: str
    password: str = ""
    superuser: bool = False


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL server and the one database in it that the system uses.

    `hosts` are the names it is known by in the environment (`db.prod.internal`); `settings` go to postgresql.conf;
    `schema` is SQL run once as `owner` when the template is made; `volume_mb` limits the server's own volume;
    `clock_ahead_s` lets the server's clock run ahead (libfaketime) and is printed in every report;
    `movable_clock` lets a fault move it later on;
    `standbys` is the number of streaming replicas, named `<name>-standby-<n>`.
    """

    name: str
    database: str
    owner: Role
    roles: tuple[Role, ...] = ()
    hosts: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    schema: str = ""
    volume_mb: int = 512
    clock_ahead_s: float = 0.0
    standbys: int = 0
    movable_clock: bool = False

    def with_settings(self, **settings: str) -> "Postgres":
        """The same server with these settings added or changed."""
        return replace(self, settings=tuple(sorted({**dict(self.settings), **settings}.items())))


@dataclass(frozen=True, slots=True)
class Redis:
    """A Redis or Valkey server.

    `hosts` are the names it is known by; `settings` go to its configuration file (without any, nothing is on disk but what
    SHUTDOWN saves); `password` is the default user's; `volume_mb` limits its own volume.
    """

    name: str
    hosts: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    password: str = ""
    volume_mb: int = 128

    def url(self, host: str, port: int) -> str:
        """Where a client finds it."""
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{secret}{host}:{port}/0"


@dataclass(frozen=True, slots=True)
class Mongo:
    """A MongoDB server (or what speaks its protocol) and the one database in it that the system uses.

    `hosts` are the names it is known by; `journaled` makes every commit wait for the disk; `volume_mb` limits its volume.
    """

    name: str
    database: str
    hosts: tuple[str, ...] = ()
    journaled: bool = False
    volume_mb: int = 512

    def url(self, host: str, port: int) -> str:
        """Where a client finds it."""
        return f"mongodb://{host}:{port}/{self.database}?directConnection=true"


Store = Redis | Mongo


@dataclass(frozen=True, slots=True)
class Workload:
    """A service of the system: `image` names a folder of clusters/workloads, `processes` stand behind one address.

    `env_file` is the operator-editable file (path in the environment, e.g. `/srv/api/.env`) read at every start of the
    service, over `env`. `hosts` and `port` are its address in the environment; `aliases` are the names that the operator's
    `service` and `docker` style commands know it by.
    """

    name: str
    image: str
    port: int
    hosts: tuple[str, ...] = ()
    processes: int = 2
    env: tuple[tuple[str, str], ...] = ()
    env_file: str = ""
    aliases: tuple[str, ...] = ()

    def with_env(self, **env: str) -> "Workload":
        """The same service with these variables added or changed."""
        return replace(self, env=tuple(sorted({**dict(self.env), **env}.items())))


@dataclass(frozen=True, slots=True)
class Exposed:
    """A Service of the cluster that probes and load ask by this `name`: it is `service` (the same name, if "") at `port`."""

    name: str
    port: int
    service: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Kubernetes cluster of a system, the same on every substrate.

    `stack` names a folder of clusters/stacks, or is an absolute path of one, whose *.yaml are applied in the order of their
    names; `namespace` is made first and is the default of the operator's kubectl context. `nodes` counts workers beside the
    control plane's node; with none pods run there. `variables` replace `${NAME}` in the manifests (Python's string.Template;
    `$$` is a dollar sign).
    `exposed` are its Services that are probed.
    """

    stack: str
    namespace: str
    nodes: int = 0
    variables: tuple[tuple[str, str], ...] = ()
    exposed: tuple[Exposed, ...] = ()

    def with_variables(self, **variables: str) -> "Cluster":
        """The same cluster with these variables of its manifests changed."""
        return replace(self, variables=tuple(sorted({**dict(self.variables), **variables}.items())))


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole replica: what is brought up for one trial. Pods reach `databases` and `stores` by their `hosts`."""

    stack: str
    databases: tuple[Postgres, ...] = ()
    workloads: tuple[Workload, ...] = ()
    cluster: Cluster | None = None
    stores: tuple[Store, ...] = ()

    def store(self, name: str) -> Store | None:
        """The Redis or MongoDB server of that name; None if there is none."""
        return next((store for store in self.stores if store.name == name), None)

    def database(self, name: str) -> Postgres:
        """The database of that name; `KeyError` if there is none."""
        return next(iter([db for db in self.databases if db.name == name]), None) or _missing(name)

    def with_database(self, changed: Postgres) -> "Topology":
        """The same with the database of that name replaced."""
        self.database(changed.name)
        return replace(self, databases=tuple(changed if db.name == changed.name else db for db in self.databases))

    def with_workload(self, changed: Workload) -> "Topology":
        """The same with the workload of that name replaced."""
        return replace(self, workloads=tuple(changed if w.name == changed.name else w for w in self.workloads))


def _missing(name: str) -> Postgres:
    raise KeyError(name)
