"""A PostgreSQL server in a container, started by testcontainers: its files, its life, and what faults ask of it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import psycopg
import psycopg.conninfo
import psycopg.pq

from harness.errors import SubstrateError
from harness.model.topology import Postgres
from harness.model.units import Ns
from harness.ports import Room
from harness.substrates.containers import clockwork, daemon
from harness.substrates.containers.clockwork import Clockwork
from harness.substrates.containers.compose import Definition
from harness.substrates.containers.daemon import do, tar
from harness.substrates.containers.housed import Housed
from harness.substrates.containers.yard import Keeper, Yard
from harness.substrates.local import template
from harness.substrates.local.layout import POSTGRES_PORT, SUPERUSER_PASSWORD, SYSTEM_PATH
from harness.substrates.local.postgres import STOPS, bootstrap, quoted

DATA = "pgdata"
"""The data directory's name in its volume."""

USUAL_MOUNT = "/var/lib/postgresql/data"
SHARED_MEMORY = "256m"
INITDB = "--locale=C.UTF-8 --encoding=UTF8"

_FILL = """
set -e
mkdir -p "$(dirname "$1")"
set -C
: > "$1"
set +C
for _ in 1 2 3; do
    set -- "$1" "$2" $(stat -f -c '%S %a' "$1") $(stat -c %s "$1")
    room=$(($3 * $4 - $2))
    if [ "$room" -le 0 ]; then break; fi
    fallocate -l $(($5 + room)) "$1" || break
done
stat -c %i "$1"
"""
"""Make a file that is not there yet, and let it take all room but so many bytes; its inode."""


class ContainerDatabase(Housed):
    """One server. Fulfils ports.Database."""

    def __init__(
        self, spec: Postgres, yard: Yard, *, volume: str, keeper: Keeper, primary: "ContainerDatabase | None"
    ) -> None:
        super().__init__(spec.name, spec.hosts, yard)
        self._spec = spec
        self._keeper = keeper
        self._volume = volume
        self._primary = primary
        self._place = keeper.place(spec.name)
        self._movable = bool(spec.clock_ahead_s or spec.movable_clock)
        self._clockwork = Clockwork(spec.name, keeper)
        self._mount = USUAL_MOUNT
        self._path = SYSTEM_PATH
        self._version = ""
        self._ballast: dict[str, str] = {}

    @property
    def spec(self) -> Postgres:
        """What was asked for."""
        return self._spec

    def conninfo(self, *, dbname: str = "", application_name: str = "rundrill") -> str:
        """How the harness process itself connects: by the published port, as superuser `postgres`."""
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=SUPERUSER_PASSWORD,
            dbname=dbname or self._spec.database,
            application_name=application_name,
        )

    async def look(self) -> None:
        """Find out what its image is like."""
        image = await daemon.image(self._yard.daemon, self._yard.images.postgres, "postgres")
        declared = image.attrs["Config"].get("Volumes") or {}
        self._mount = next(iter(declared), USUAL_MOUNT)
        given = dict(each.partition("=")[::2] for each in image.attrs["Config"].get("Env") or ())
        self._path = given.get("PATH", SYSTEM_PATH)
        self._version = str(image.id).removeprefix("sha256:")[:12]

    async def prepare(self) -> None:
        """Fill its volume, from its primary or the template, and configure it. There is no container of it afterwards."""
        if self._movable:
            await self._clockwork.bring(self._mount, image=self._yard.images.postgres, ahead=self._spec.clock_ahead_s)
        if self._primary:
            await self._copy(self._primary)
        else:
            archive, made = await template.obtain(template.key(self._spec, self._version), self._make_template)
            if not made:
                await self._unpack(archive)
        await self._keeper.sh(
            'printf "%s" "$1" >> "$2/postgresql.conf"', self._configuration(), f"{self._place}/{DATA}"
        )

    @property
    def definition(self) -> Definition:
        """What compose is told of it."""
        return Definition(
            image=self._yard.images.postgres,
            environment=self._environment(),
            ports=f"127.0.0.1:{self.port}:{POSTGRES_PORT}",
            aliases=self.names,
            volumes=[f"{self._volume}:{self._mount}"],
            shm_size=SHARED_MEMORY,
        )

    def _environment(self) -> Mapping[str, str]:
        found = {
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": SUPERUSER_PASSWORD,
            "POSTGRES_DB": "postgres",
            "PGDATA": f"{self._mount}/{DATA}",
            "POSTGRES_INITDB_ARGS": INITDB,
        }
        return found | ({"PATH": f"{self._mount}/{clockwork.BIN}:{self._path}"} if self._movable else {})

    async def answers(self) -> bool:
        """Whether it accepts connections."""
        conninfo = psycopg.conninfo.make_conninfo(self.conninfo(dbname="postgres"), connect_timeout=2).encode()
        return await asyncio.to_thread(psycopg.pq.PGconn.ping, conninfo) == psycopg.pq.Ping.OK

    async def stop(self, *, mode: str = "fast") -> None:
        """Stop it (`smart`, `fast` or `immediate`, as pg_ctl has them); nothing if it is down."""
        await self.end(STOPS[mode])

    async def room(self) -> Room:
        """How much fits on its volume; SubstrateError if that is no file system of its own."""
        said = (await self._keeper.sh("stat -f -c '%T %S %b %a' \"$1\"", self._place)).split()
        if said[0] != "tmpfs":
            raise SubstrateError(f"{self._spec.name}: expected a volume of its own; {self._place} is {said[0]}")
        block, size, free = map(int, said[1:])
        return Room(block * size, block * free)

    async def fill(self, file: str, *, leave: int) -> None:
        """Let `file`, beside the data directory, take all room but `leave` bytes; SubstrateError if it is there already."""

        async def filled() -> None:
            said = await self._keeper.sh(_FILL, f"{self._place}/{file}", str(leave))
            self._ballast[file] = said.split()[-1]

        await daemon.whole(filled())

    async def empty(self, file: str) -> None:
        """Remove what `fill` made, whatever it is called by now; nothing if it made nothing."""
        inode = self._ballast.pop(file, "")
        if inode:
            await self._keeper.sh('find "$1" -xdev -inum "$2" -exec rm -f {} +', self._place, inode)

    async def move_clock(self, ahead: Ns) -> None:
        """Let the server's clock, and only its, run `ahead` ns before the host's from now on (needs CLOCK)."""
        if not self._movable:
            raise SubstrateError(
                f"{self._spec.name}: expected a server whose clock can be moved; its topology does not ask for one\n"
                "    set movable_clock=True (or clock_ahead_s) in its Postgres(…)"
            )
        await self._clockwork.set(ahead)

    def _configuration(self) -> str:
        """The end of postgresql.conf; a file and not the command line, so that ALTER SYSTEM prevails as it does in life."""
        settings = {
            "listen_addresses": "*",
            "shared_preload_libraries": "pg_stat_statements",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "wal_keep_size": "64MB",
        }
        if self._primary:
            settings["primary_conninfo"] = f"{self._primary.inner_conninfo} application_name={self._spec.name}"
        settings |= dict(self._spec.settings)
        return "\n# from the topology\n" + "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())

    @property
    def inner_conninfo(self) -> str:
        """How servers beside it connect, as superuser."""
        return f"host={self._spec.name} port={POSTGRES_PORT} user=postgres password={SUPERUSER_PASSWORD}"

    async def _copy(self, primary: "ContainerDatabase") -> None:
        """Become a standby of `primary`, which is up."""
        data = f"{self._place}/{DATA}"
        argv = (
            "pg_basebackup",
            "-d",
            primary.inner_conninfo,
            "-D",
            data,
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-R",
        )
        await self._keeper.sh('mkdir -p "$1" && chown postgres "$1" && chmod 700 "$1"', data)
        await daemon.inside(self._keeper.container, argv, user="postgres")

    async def _unpack(self, archive: Path) -> None:
        try:
            with archive.open("rb") as file:
                await self._keeper.put(self._spec.name, self._place, file)
        except SubstrateError as error:
            raise SubstrateError(
                f"{self._spec.name}: its data do not fit into its volume of {self._spec.volume_mb} MiB, "
                f"or {archive} is damaged: {error}\n    raise volume_mb, or remove that file"
            ) from error

    async def _make_template(self, archive: Path) -> None:
        """Have the image initialise the data directory in place, with roles, database and schema, and keep a copy of it."""
        await self.create()
        await self.ready()
        container = await self.container()
        script = tar({"bootstrap.sql": bootstrap(self._spec).encode()})
        await do(f"{self._spec.name}: its schema", lambda: container.put_archive("/tmp", script))  # noqa: S108
        psql = ("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres")
        await daemon.inside(container, (*psql, "-f", "/tmp/bootstrap.sql"), stdout=False)  # noqa: S108
        await self.stop()
        await do(f"{self._spec.name}: its first container", lambda: container.remove(force=True))
        await self._keeper.sh(
            'echo "host replication all all scram-sha-256" >> "$1/pg_hba.conf"', f"{self._place}/{DATA}"
        )

        def keep() -> None:
            chunks, _ = self._keeper.container.get_archive(f"{self._place}/{DATA}")
            with archive.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)

        await do(f"{archive}: the template", keep)
