"""PostgreSQL of a local environment: how its files are made, and one server that is up. Not where it is reached."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import clock
from harness.errors import SubstrateError
from harness.measuring import procfs
from harness.model.topology import Postgres, Role
from harness.model.units import SECOND, Ns, milliseconds
from harness.ports import Room, Seen
from harness.substrates.inside.services import Ready, Spec
from harness.substrates.local import template, volume, wheels
from harness.substrates.local.layout import SOCKETS, SUPERUSER_PASSWORD, Layout
from harness.substrates.local.site import Site

STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
"""The postmaster's signals, as pg_ctl sends them."""

PREPARING: Ns = 120 * SECOND
PATIENCE_S = 30.0
NOTICING: Ns = 10 * SECOND
LOOK: Ns = milliseconds(50)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server's things are, inside: `volume` is its own file system, `sockets` a folder with no other's socket."""

    volume: str
    sockets: str
    log: str
    clock: str

    @property
    def data(self) -> str:
        """Its data directory."""
        return f"{self.volume}/data"


def place(spec: Postgres, *, first: bool) -> Place:
    """The first server has the usual socket folder; others their own below it, since all have the same port."""
    return Place(
        volume=f"/var/lib/postgresql/{spec.name}",
        sockets=SOCKETS if first else f"{SOCKETS}/{spec.name}",
        log=f"/var/log/postgresql/{spec.name}.log",
        clock=f"/run/rundrill/clock-{spec.name}",
    )


class LocalDatabase:
    """One server. Fulfils ports.Database."""

    def __init__(self, spec: Postgres, site: Site, *, primary: "LocalDatabase | None" = None) -> None:
        self._spec = spec
        self._site = site
        self._address = site.addresses.databases[spec.name]
        self._where = place(spec, first=site.is_first(spec))
        self._primary = primary
        self._movable = bool(spec.clock_ahead_s or spec.movable_clock)
        self._ballast: dict[str, volume.Ballast] = {}

    @property
    def spec(self) -> Postgres:
        """What was asked for."""
        return self._spec

    @property
    def pid(self) -> int:
        """The postmaster's pid as the harness sees it; SubstrateError if it is down."""
        pids = self._site.pids(self._spec.name)
        if not pids:
            raise SubstrateError(f"{self._spec.name}: expected a server that is up; it is down")
        return pids[0]

    async def up(self) -> bool:
        """Whether its postmaster runs."""
        return any(procfs.seen(pid) for pid in self._site.pids(self._spec.name))

    async def processes(self) -> Sequence[Seen]:
        """The postmaster, then all below it, parents first; none if it is down."""
        return procfs.descendants(self._site.pids(self._spec.name))

    async def signal(self, processes: Sequence[Seen], number: int) -> None:
        """Send a signal to those of its processes that still run, in that order."""
        procfs.send(processes, number)

    async def room(self) -> Room:
        """How much fits on its own volume; SubstrateError if that is not a file system of its own."""
        return volume.room(self._spec.name, self.volume)

    async def fill(self, file: str, *, leave: int) -> None:
        """Let a new `file` beside the data directory take all room but `leave` bytes; SubstrateError if it is there already."""
        self._ballast[file] = volume.Ballast(self.volume / file)
        await self._ballast[file].fill(leave=leave)

    async def empty(self, file: str) -> None:
        """Have back what `fill` took, whatever became of the file's name; nothing if it took nothing."""
        ballast = self._ballast.pop(file, None)
        if ballast is not None:
            ballast.empty()

    @property
    def volume(self) -> Path:
        """The folder of its own volume as the harness sees it; its data directory lies in it."""
        return self._layout.seen(self._where.volume)

    @property
    def _layout(self) -> Layout:
        return self._site.layout

    def conninfo(self, *, dbname: str = "", application_name: str = "rundrill") -> str:
        """How the harness process itself connects, as superuser `postgres` (libpq connection string)."""
        return (
            f"host={self._layout.seen(self._where.sockets)} port={self._address.port} user=postgres "
            f"dbname={dbname or self._spec.database} application_name={application_name}"
        )

    async def prepare(self) -> None:
        """Fill its data directory, from its primary or the template, and configure it. It is down afterwards."""
        for folder in (self._where.volume, self._where.data, self._where.sockets):
            self._site.own_folder(
                folder, self._site.users.postgres, mode=0o700 if folder == self._where.data else 0o755
            )
        if self._movable:
            self._write_clock(round(self._spec.clock_ahead_s * SECOND))
        if self._primary:
            await self._copy(self._primary)
        else:
            archive, made = await template.obtain(template.key(self._spec, wheels.version()), self._make_template)
            if not made:
                await self._unpack(archive)
        with self._layout.seen(f"{self._where.data}/postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(self._configuration())
        await self._site.define(self._service())

    async def start(self) -> None:
        """Start it if it is down, and return when it accepts connections; SubstrateError with its log if it does not."""
        await clock.until(self._noticed, deadline=clock.now() + NOTICING, every=LOOK)
        try:
            await self._site.control(self._spec.name, "start")
        except SubstrateError as error:
            raise SubstrateError(f"{self._spec.name}: {error}\n{await self.log_tail()}") from error

    async def _noticed(self) -> bool | None:
        """Whether it runs or is known to have ended: until we are told, it would be taken for running."""
        return True if not self._site.pids(self._spec.name) or await self.up() else None

    async def stop(self, *, mode: str = "fast") -> None:
        """Stop it (`smart`, `fast` or `immediate`, as pg_ctl has them)."""
        await self._site.control(self._spec.name, "stop", STOPS[mode])

    async def move_clock(self, ahead: Ns) -> None:
        """Let the server's clock, and only its, run `ahead` ns before the host's from now on (needs CLOCK)."""
        if not self._movable:
            raise SubstrateError(
                f"{self._spec.name}: expected a server whose clock can be moved; its topology does not ask for one\n"
                "    set movable_clock=True (or clock_ahead_s) in its Postgres(…)"
            )
        self._write_clock(ahead)

    def _write_clock(self, ahead: Ns) -> None:
        """Replace the file that libfaketime reads (README, "FAKETIME_TIMESTAMP_FILE"): never half a number."""
        self._site.own_file(f"{self._where.clock}.new", f"{ahead / SECOND:+.6f}\n", self._site.users.postgres)
        self._layout.seen(f"{self._where.clock}.new").replace(self._layout.seen(self._where.clock))

    async def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return self._site.tail(self._where.log, lines)

    def _environment(self) -> Mapping[str, str]:
        env = dict(self._site.base_environment())
        if self._movable:
            env |= {
                "LD_PRELOAD": self._layout.program(str(wheels.faketime())),
                "FAKETIME_TIMESTAMP_FILE": self._layout.path(self._where.clock),
                "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        return env

    def _service(self, *arguments: str) -> Spec:
        data = self._layout.path(self._where.data)
        return Spec(
            name=self._spec.name,
            aliases=self._site.known_as(self._spec),
            argv=(self._program("postgres"), "-D", data, *arguments),
            processes=1,
            env=self._environment(),
            env_file="",
            last={},
            cwd=data,
            log=self._layout.path(self._where.log),
            ready=Ready(pidfile=f"{data}/postmaster.pid", host="", port=0, path=""),
            stop=signal.SIGINT,
            patience_s=PATIENCE_S,
            identity=self._site.users.postgres,
        )

    def _configuration(self) -> str:
        """The end of postgresql.conf; a file and not the command line, so that ALTER SYSTEM prevails as it does in life."""
        listen = [self._address.host]
        if self._layout.private and self._site.is_first(self._spec):
            listen.append("127.0.0.1")
        settings = {
            "listen_addresses": ",".join(listen),
            "port": str(self._address.port),
            "unix_socket_directories": self._layout.path(self._where.sockets),
            "shared_preload_libraries": "pg_stat_statements",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "wal_keep_size": "64MB",
        }
        if not self._layout.private:
            settings |= OWN_SHARED_MEMORY
        if self._primary:
            settings["primary_conninfo"] = f"{self._primary.inner_conninfo} application_name={self._spec.name}"
        settings |= dict(self._spec.settings)
        return "\n# from the topology\n" + "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())

    def _program(self, name: str) -> str:
        return self._layout.program(wheels.program(name))

    async def _as_server(self, argv: Sequence[str], *, stdin: str = "") -> None:
        done = await self._site.complete(
            argv, env=self._environment(), identity=self._site.users.postgres, stdin=stdin, timeout=PREPARING
        )
        if not done.ok:
            raise SubstrateError(
                f"{self._spec.name}: {Path(argv[0]).name} failed: {done.stderr.strip() or done.stdout}"
            )

    @property
    def inner_conninfo(self) -> str:
        """How servers beside it connect, as superuser."""
        return f"host={self._layout.path(self._where.sockets)} port={self._address.port} user=postgres"

    async def _copy(self, primary: "LocalDatabase") -> None:
        """Become a standby of `primary`, which is up."""
        data = self._layout.path(self._where.data)
        source = ("-d", primary.inner_conninfo, "-D", data)
        await self._as_server(
            (self._program("pg_basebackup"), *source, "-X", "stream", "-c", "fast", "--no-sync", "-R")
        )

    async def _unpack(self, archive: Path) -> None:
        data = self._layout.path(self._where.data)
        with archive.open("rb") as file:
            status, trouble = await self._site.pipe(
                ("tar", "-x", "-C", data), self._site.users.postgres, source=file.fileno(), timeout=PREPARING
            )
        if status != 0:
            raise SubstrateError(
                f"{self._spec.name}: its data do not fit into its volume of {self._spec.volume_mb} MiB, "
                f"or {archive} is damaged: {trouble}\n    raise volume_mb, or remove that file"
            )

    async def _make_template(self, archive: Path) -> None:
        """Initialise the data directory in place, with roles, database and schema, and keep a copy of it."""
        data = self._layout.path(self._where.data)
        await self._as_server((self._program("initdb"), "-D", data, *INITDB))
        self._site.own_file(f"{self._where.data}/pg_hba.conf", HBA, self._site.users.postgres)
        sockets = self._layout.path(self._where.sockets)
        quick = ["listen_addresses=", f"unix_socket_directories={sockets}", "fsync=off", "autovacuum=off"]
        if not self._layout.private:
            quick += (f"{name}={value}" for name, value in OWN_SHARED_MEMORY.items())
        await self._site.define(self._service(*(part for setting in quick for part in ("-c", setting))))
        await self.start()
        psql = (
            self._program("psql"),
            "-X",
            "-q",
            "-h",
            sockets,
            "-U",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            "postgres",
        )
        await self._as_server(psql, stdin=bootstrap(self._spec))
        await self.stop()
        with archive.open("wb") as file:
            status, trouble = await self._site.pipe(
                ("tar", "-c", "-C", data, "."), self._site.users.postgres, sink=file.fileno(), timeout=PREPARING
            )
        if status != 0:
            raise SubstrateError(f"{archive}: the template could not be kept: {trouble}")


OWN_SHARED_MEMORY = {"dynamic_shared_memory_type": "mmap"}
"""In files of the data directory: what a killed server leaves in the machine's /dev/shm, nobody would remove."""

INITDB = (
    *("-U", "postgres", "--no-sync", "--no-instructions", "--auth=trust", "-E", "UTF8"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
)

HBA = """\
local all         all           trust
local replication all           trust
host  all         all 0.0.0.0/0 scram-sha-256
host  replication all 0.0.0.0/0 scram-sha-256
"""


def quoted(value: str) -> str:
    """A setting's value or an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def bootstrap(spec: Postgres) -> str:
    """The psql script that makes roles, database and schema."""
    roles: dict[str, Role] = {role.name: role for role in (*spec.roles, spec.owner)}
    lines = [f"ALTER ROLE postgres PASSWORD {quoted(SUPERUSER_PASSWORD)};"]
    for role in roles.values():
        verb = "ALTER" if role.name == "postgres" else "CREATE"
        password = f" PASSWORD {quoted(role.password)}" if role.password else ""
        lines.append(f"{verb} ROLE {identifier(role.name)} LOGIN{password}{' SUPERUSER' if role.superuser else ''};")
    if spec.database != "postgres":
        lines.append(f"CREATE DATABASE {identifier(spec.database)} OWNER {identifier(spec.owner.name)};")
    lines += [
        f"\\connect {identifier(spec.database)}",
        "CREATE EXTENSION pg_stat_statements;",
        f"SET SESSION AUTHORIZATION {identifier(spec.owner.name)};",
        spec.schema,
    ]
    return "\n".join(lines) + "\n"
